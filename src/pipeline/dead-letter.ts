import { createHash } from 'node:crypto';
import { categoryNameLengthMax } from '../protocol/limits.js';

/** What is appended to a category's name for the category of its dead letters. */
const deadLetterSuffix = '_dlq';

/** A message that a target will never take, with why and where it stands. */
export interface DeadLetter {
  /** The same for the same message of the same group, in every run. */
  readonly id: string;
  /** When it was written, in ISO 8601. */
  readonly time: string;
  /** What the target said. */
  readonly reason: string;
  /** The output that refused it. */
  readonly target: string;
  readonly group: string;
  readonly category: string;
  readonly cluster: string;
  readonly chunk: string;
  /** Where the message stands in the chunk, in bytes. */
  readonly offset: number;
  /** The message with its newline. */
  readonly message: Buffer;
}

/** How much of a message goes into one line: with base64 and the other fields that stays below the largest message. */
const partBytesMax = 512 * 1024;

/** How much of what a target said is kept. */
const reasonLengthMax = 4_000;

/** The category of the dead letters of a category; `undefined` when its name would be too long. */
export function deadLetterCategory(category: string): string | undefined {
  const name = `${category}${deadLetterSuffix}`;
  return name.length <= categoryNameLengthMax ? name : undefined;
}

export function isDeadLetterCategory(category: string): boolean {
  return category.endsWith(deadLetterSuffix);
}

/** Names a message of a group for ever, in the alphabet of producers. */
export function deadLetterId(
  letter: Pick<DeadLetter, 'cluster' | 'category' | 'chunk' | 'offset' | 'group'>,
): string {
  const { cluster, category, chunk, offset, group } = letter;
  const text = JSON.stringify([cluster, category, chunk, offset, group]);
  return `dl-${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
}

/**
 * The lines of a letter: JSON objects with the message as text, or in base64 when it is not UTF-8. One that is too large
 * for a line comes in parts, of which each has all other fields.
 */
export function formatDeadLetter(letter: DeadLetter): Buffer {
  const { message, reason, ...fields } = letter;
  const body = message.subarray(0, message.length - 1);
  const text = textOf(body);
  const common = { ...fields, reason: reason.slice(0, reasonLengthMax) };
  if (text !== undefined && body.length <= partBytesMax / 8) {
    return Buffer.from(`${JSON.stringify({ ...common, message: text })}\n`);
  }
  const parts = Math.max(1, Math.ceil(body.length / partBytesMax));
  const lines = Array.from({ length: parts }, (_, at) => {
    const piece = body.subarray(at * partBytesMax, (at + 1) * partBytesMax).toString('base64');
    const part = parts === 1 ? {} : { part: at + 1, parts };
    return `${JSON.stringify({ ...common, ...part, message_base64: piece })}\n`;
  });
  return Buffer.from(lines.join(''));
}

/** A line of a category of dead letters, as it was parsed. */
interface LetterLine extends Omit<DeadLetter, 'message'> {
  readonly message?: string;
  readonly message_base64?: string;
  readonly part?: number;
  readonly parts?: number;
}

/**
 * Puts letters together from the lines of their category. Lines of one letter follow each other, because they are one
 * batch.
 */
export class DeadLetterParser {
  /** Lines that are no part of a letter. */
  strangeCount = 0;
  #pieces: Buffer[] = [];
  #id = '';

  /** The letter that the line ends; `undefined` while there is more of it to come, or when the line is none. */
  take(line: string): DeadLetter | undefined {
    const parsed = parseLine(line);
    if (parsed === undefined) {
      this.strangeCount += 1;
      return undefined;
    }
    const { message, message_base64: encoded, part = 1, parts = 1, ...fields } = parsed;
    if (part === 1 || fields.id !== this.#id) this.#pieces = [];
    this.#id = fields.id;
    this.#pieces.push(
      Buffer.from(message ?? encoded ?? '', message === undefined ? 'base64' : 'utf8'),
    );
    if (part < parts) return undefined;
    const whole = Buffer.concat([...this.#pieces, Buffer.from('\n')]);
    this.#pieces = [];
    return { ...fields, message: whole };
  }
}

function parseLine(line: string): LetterLine | undefined {
  let value: Partial<LetterLine> | null;
  try {
    value = JSON.parse(line) as Partial<LetterLine> | null;
  } catch {
    // What is not JSON is not a letter; the caller counts it.
    return undefined;
  }
  const texts = [value?.id, value?.time, value?.reason, value?.target, value?.group];
  const places = [value?.category, value?.cluster, value?.chunk];
  const isLetter =
    [...texts, ...places].every((text) => typeof text === 'string') &&
    Number.isSafeInteger(value?.offset) &&
    (typeof value?.message === 'string' || typeof value?.message_base64 === 'string');
  return isLetter ? (value as LetterLine) : undefined;
}

/** The text of the bytes; `undefined` when they are not UTF-8, which JSON could not give back. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // It goes as base64 then.
    return undefined;
  }
}

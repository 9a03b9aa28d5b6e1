import { isUtf8 } from 'node:buffer';
import { parseEventTime } from './event-time.js';
import type { IndexName } from './index-name.js';
import type { TargetOptions } from './target-options.js';

/** What Elasticsearch takes as an id, in bytes. */
const idBytesMax = 512;

/** How much of a value an error repeats, in characters. */
const quotedCharactersMax = 80;

/** How messages become documents: what is wrapped, and which fields have to be read for the action line. */
export class MessageReader {
  readonly action: 'create' | 'index';
  readonly id: 'coordinates' | 'auto';
  /** True when every message is text. */
  readonly wrapsAll: boolean;
  /** True when a message has to be parsed, because its id or its index is in it. */
  readonly readsFields: boolean;
  readonly #options: TargetOptions;
  readonly #index: IndexName;

  constructor(options: TargetOptions, index: IndexName) {
    this.#options = options;
    this.#index = index;
    this.action = options.action;
    this.id = options.id;
    this.wrapsAll = options.format === 'text';
    this.readsFields = options.idField !== undefined || index.fixed === undefined;
  }

  /**
   * The document, with its newline, of a message that is no object: its text as a field, or as base64 where the bytes are no
   * text, so that nothing of it is lost. Returns a sentence when such messages are not taken.
   */
  wrap(bytes: Buffer, start: number, end: number): Buffer | string {
    const message = bytes.subarray(start, end);
    const { format, textField } = this.#options;
    if (format === 'json') {
      return `The message is not a JSON object: ${quote(message.toString())}. Set format to auto or text to store it as the field ${textField}.`;
    }
    const [field, value] = isUtf8(message)
      ? [textField, message.toString()]
      : [`${textField}_base64`, message.toString('base64')];
    return Buffer.from(`{${JSON.stringify(field)}:${JSON.stringify(value)}}\n`);
  }

  /** The action line of a document whose id or index is in its fields; a sentence when they are not. */
  readAction(document: Buffer, coordinatesId: string): { readonly line: Buffer } | string {
    let parsed: Readonly<Record<string, unknown>>;
    try {
      parsed = JSON.parse(document.toString());
    } catch (error) {
      return `The message is not valid JSON (${(error as Error).message}), so its fields cannot be read.`;
    }
    const target: { _index?: string; _id?: string } = {};
    if (this.#index.fixed === undefined) {
      const value = fieldOf(parsed, this.#options.timeField);
      const time = parseEventTime(value);
      if (time === undefined) {
        return `Field ${this.#options.timeField} is ${quote(value)}: expected the time of the event for the name of the index, as 2026-01-31T12:00:00Z or in (milli)seconds since 1970.`;
      }
      target._index = this.#index.at(time);
    }
    const { idField } = this.#options;
    if (idField === undefined) {
      if (this.id === 'coordinates') target._id = coordinatesId;
    } else {
      const id = parseId(fieldOf(parsed, idField));
      if (id === undefined) {
        return `Field ${idField} is ${quote(fieldOf(parsed, idField))}: expected the id of the document, a text of 1 to ${idBytesMax} bytes or a whole number below 2^53.`;
      }
      target._id = id;
    }
    return { line: Buffer.from(`${JSON.stringify({ [this.action]: target })}\n`) };
  }
}

function parseId(value: unknown): string | undefined {
  if (Number.isSafeInteger(value)) return String(value);
  if (typeof value !== 'string' || value === '' || Buffer.byteLength(value) > idBytesMax)
    return undefined;
  return value;
}

/** A field by its own name, or by the way to it with dots. */
function fieldOf(document: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(document, name)) return document[name];
  let value: unknown = document;
  for (const part of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part))
      return undefined;
    value = (value as Readonly<Record<string, unknown>>)[part];
  }
  return value;
}

function quote(value: unknown): string {
  if (value === undefined) return 'missing';
  const text = JSON.stringify(value);
  return text.length > quotedCharactersMax ? `${text.slice(0, quotedCharactersMax)}...` : text;
}

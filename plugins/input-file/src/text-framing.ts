import { characterStart, type Ending, type FrameResult, type Framing } from './framing.js';
import type { TextDecoding } from './text-encoding.js';

const newline = Buffer.from('\n');
const byteOrderMark = Buffer.from('\ufeff');

/** How much of a line is matched with a pattern, in bytes of UTF-8: what tells lines apart stands in front. */
const matchedBytesMax = 4096;

/** Which lines go together to one message. */
export interface LineGrouping {
  /** Whether a line, without its end, begins a message; the first of all does anyway. */
  startsMessage(line: string): boolean;
  /** What stands between two lines in a message. */
  readonly separator: Buffer;
  readonly linesMax: number;
}

/**
 * Lines that are decoded, or joined to messages, or both. Where a message begins depends on nothing before it:
 * a message that would be too long, or have too many lines, ends early, and the next line begins another.
 */
export class TextFraming implements Framing {
  readonly sourceBytesMax: number;
  readonly blockBytesMax: number;
  readonly #decoding: TextDecoding;
  readonly #messageBytesMax: number;
  readonly #grouping: LineGrouping | undefined;

  constructor(
    decoding: TextDecoding,
    limits: { readonly messageBytesMax: number; readonly batchBytesMax: number },
    grouping?: LineGrouping,
  ) {
    this.#decoding = decoding;
    this.#messageBytesMax = limits.messageBytesMax;
    this.#grouping = grouping;
    // A character that takes most in the source for a byte of UTF-8 is ASCII; an end of line is one unit.
    this.sourceBytesMax = (limits.messageBytesMax + 1) * decoding.unitBytes;
    this.blockBytesMax = Math.max(
      decoding.unitBytes,
      Math.floor(limits.batchBytesMax / decoding.growth / 2) * 2,
    );
  }

  frame(buffer: Buffer, byteCount: number, ending: Ending, outputBytesMax: number): FrameResult {
    const source = buffer.subarray(0, byteCount);
    const messages = new MessageList(this.#messageBytesMax, outputBytesMax, this.#grouping);
    let start = 0;
    for (let isFull = false; start < byteCount && !isFull; ) {
      const at = this.#decoding.findNewline(source, start);
      if (at === -1 && ending !== 'closed') break;
      const end = at === -1 ? byteCount : at + this.#decoding.unitBytes;
      let line = this.#decoding.decode(source.subarray(start, at === -1 ? byteCount : at));
      if (line.length >= 3 && start === 0 && this.#decoding.unitBytes === 2) {
        if (byteOrderMark.equals(line.subarray(0, 3))) line = line.subarray(3);
      }
      if (line.length >= this.#messageBytesMax) {
        messages.endMessage();
        if (messages.sourceBytes === 0) return { kind: 'long_line' };
        isFull = true;
      } else {
        isFull = !messages.add(line, end);
        start = end;
      }
    }
    const isAtLimit = messages.sourceBytes === 0 && byteCount >= this.sourceBytesMax;
    if (ending !== 'open' || this.#grouping === undefined || isAtLimit) messages.endMessage();
    if (messages.sourceBytes === 0) {
      return byteCount < this.sourceBytesMax ? { kind: 'more' } : { kind: 'long_line' };
    }
    return { kind: 'messages', output: messages.join(), sourceBytes: messages.sourceBytes };
  }

  lineEnd(bytes: Buffer, start: number): number {
    const at = this.#decoding.findNewline(bytes, start);
    return at === -1 ? -1 : at + this.#decoding.unitBytes;
  }

  cut(bytes: Buffer, outputBytesMax: number): { output: Buffer; sourceBytes: number } {
    const text = this.#decoding.decode(bytes);
    const output = text.subarray(0, characterStart(text, outputBytesMax));
    return { output, sourceBytes: this.#decoding.sourceBytesOf(output) };
  }
}

/** Messages that are ready, and the one whose lines are being gathered. */
class MessageList {
  /** How far the source has become whole messages. */
  sourceBytes = 0;
  readonly #messageBytesMax: number;
  readonly #outputBytesMax: number;
  readonly #grouping: LineGrouping | undefined;
  readonly #pieces: Buffer[] = [];
  #outputBytes = 0;
  #lines: Buffer[] = [];
  #lineBytes = 0;
  #linesEnd = 0;

  constructor(messageBytesMax: number, outputBytesMax: number, grouping: LineGrouping | undefined) {
    this.#messageBytesMax = messageBytesMax;
    this.#outputBytesMax = outputBytesMax;
    this.#grouping = grouping;
  }

  /** Adds a line that ends at `sourceEnd`; false when the batch is full and the line is left out. */
  add(line: Buffer, sourceEnd: number): boolean {
    if (this.#lines.length > 0 && !this.#joins(line)) this.endMessage();
    const separatorBytes = this.#lines.length > 0 ? (this.#grouping?.separator.length ?? 0) : 0;
    const bytes = this.#lineBytes + separatorBytes + line.length;
    if (this.#outputBytes + bytes + 1 > this.#outputBytesMax && this.sourceBytes > 0) {
      // What was gathered comes again, whole, in the next batch.
      this.#lines = [];
      return false;
    }
    this.#lines.push(line);
    this.#lineBytes = bytes;
    this.#linesEnd = sourceEnd;
    return true;
  }

  endMessage(): void {
    if (this.#lines.length === 0) return;
    for (const [index, line] of this.#lines.entries()) {
      if (index > 0 && this.#grouping !== undefined) this.#pieces.push(this.#grouping.separator);
      this.#pieces.push(line);
    }
    this.#pieces.push(newline);
    this.#outputBytes += this.#lineBytes + 1;
    this.sourceBytes = this.#linesEnd;
    this.#lines = [];
    this.#lineBytes = 0;
  }

  join(): Buffer {
    return Buffer.concat(this.#pieces, this.#outputBytes);
  }

  #joins(line: Buffer): boolean {
    if (this.#grouping === undefined || this.#lines.length >= this.#grouping.linesMax) return false;
    const bytes = this.#lineBytes + this.#grouping.separator.length + line.length + 1;
    if (bytes > this.#messageBytesMax) return false;
    return !this.#grouping.startsMessage(line.toString('utf8', 0, matchedBytesMax));
  }
}

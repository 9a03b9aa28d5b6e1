import type { OutputBatch } from '@chukcha/plugin-api';
import type { MessageFormatter } from './message-formatter.js';

/** What is printed of one batch, bit by bit, and how far that has come. */
export interface BatchPrinter {
  /**
   * The next bytes, at most so many; none at the end. The batch has the same bytes in every call, but may be another object
   * at another place in memory.
   */
  next(batch: OutputBatch, bytesMax: number): Uint8Array;
  /** So many of the bytes that {@link next} gave last were written. */
  advance(byteCount: number): void;
}

/** The bytes of the batch as they are. */
export class RawPrinter implements BatchPrinter {
  #byteCount = 0;

  next({ bytes }: OutputBatch, bytesMax: number): Uint8Array {
    return bytes.subarray(this.#byteCount, this.#byteCount + bytesMax);
  }

  advance(byteCount: number): void {
    this.#byteCount += byteCount;
  }
}

/** How much is formatted at a time, in bytes of messages: what is printed of a batch is never all in memory. */
const formattedBytesMax = 64 * 1024;

const newline = 0x0a;

/** What a formatter makes of each message. */
export class FormattedPrinter implements BatchPrinter {
  readonly #formatter: MessageFormatter;
  /** How far messages were formatted, and what of that is not written yet. */
  #formattedTo = 0;
  #unwritten = Buffer.alloc(0);

  constructor(formatter: MessageFormatter) {
    this.#formatter = formatter;
  }

  next(batch: OutputBatch, bytesMax: number): Uint8Array {
    if (this.#unwritten.length === 0) this.#unwritten = Buffer.from(this.#formatMore(batch));
    return this.#unwritten.subarray(0, bytesMax);
  }

  advance(byteCount: number): void {
    this.#unwritten = this.#unwritten.subarray(byteCount);
  }

  #formatMore(batch: OutputBatch): string {
    const bytes = Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength);
    const limit = this.#formattedTo + formattedBytesMax;
    const lines: string[] = [];
    while (this.#formattedTo < Math.min(limit, bytes.length)) {
      const start = this.#formattedTo;
      const end = bytes.indexOf(newline, start);
      lines.push(this.#formatter.format(bytes.subarray(start, end), batch, batch.offset + start));
      this.#formattedTo = end + 1;
    }
    return lines.join('');
  }
}

import { crc32 } from '../../src/common/crc32.js';
import type { FoundBatch } from './batch-ledger.js';
import { parseLine } from './batch-lines.js';
import { Violation } from './violation.js';

const NEWLINE = 0x0a;

/** Takes a chunk apart into the batches that it was written in; each must be whole. */
export class ChunkParser {
  /** Of the chunk: everything in front of it was taken. */
  offset = 0;
  readonly #chunk: string;
  readonly #found: (batch: FoundBatch) => void;
  #batch:
    | { key: string; offset: number; lineCount: number; nextLine: number; crc: number }
    | undefined;

  constructor(chunk: string, found: (batch: FoundBatch) => void) {
    this.#chunk = chunk;
    this.#found = found;
  }

  /** Takes the bytes at `offset`, which must be whole lines. */
  take(bytes: Buffer): void {
    for (let start = 0; start < bytes.length; ) {
      const end = bytes.indexOf(NEWLINE, start) + 1;
      if (end === 0) throw new Violation(`${this.#here} was read up to the middle of a line.`);
      this.#takeLine(bytes.subarray(start, end));
      start = end;
    }
  }

  /** What was taken must end with a batch. */
  end(): void {
    if (this.#batch !== undefined) {
      throw new Violation(`${this.#here} ends in the middle of batch ${this.#batch.key}.`);
    }
  }

  get #here(): string {
    return `${this.#chunk} at ${this.offset}`;
  }

  #takeLine(bytes: Buffer): void {
    const { key, line, lineCount } = parseLine(bytes.subarray(0, -1));
    this.#batch ??= { key, offset: this.offset, lineCount, nextLine: 0, crc: 0 };
    const batch = this.#batch;
    if (key !== batch.key || line !== batch.nextLine) {
      throw new Violation(
        `${this.#here} has line ${line} of batch ${key} where line ${batch.nextLine} of batch ${batch.key} is due.`,
      );
    }
    batch.crc = crc32(bytes, batch.crc);
    batch.nextLine += 1;
    this.offset += bytes.length;
    if (batch.nextLine < batch.lineCount) return;
    this.#batch = undefined;
    const { offset, crc } = batch;
    this.#found({ key, chunk: this.#chunk, offset, byteCount: this.offset - offset, crc });
  }
}

import { crc32 } from '../common/crc32.js';
import { parseLine, startOf } from './batch-lines.js';

const NEWLINE = 0x0a;

/** A batch as a reader has found it in a chunk, all lines of it and nothing between them. */
export interface FoundBatch {
  readonly key: string;
  readonly chunk: string;
  readonly offset: number;
  readonly byteCount: number;
  readonly crc: number;
}

/** Who is told what a chunk has. */
export interface ParserListener {
  found(batch: FoundBatch): void;
  /** A line or a batch is not as it was written. What is left of the batch is passed over. */
  broken(sentence: string): void;
}

/** Takes a chunk apart into the batches that it was written in; each must be whole. */
export class ChunkParser {
  /** Of the chunk: everything in front of it was taken. */
  offset = 0;
  readonly #chunk: string;
  readonly #listener: ParserListener;
  /** The batch that was broken last, of which more lines may come. */
  #brokenKey: string | undefined;
  #batch:
    | { key: string; offset: number; lineCount: number; nextLine: number; crc: number }
    | undefined;

  constructor(chunk: string, listener: ParserListener) {
    this.#chunk = chunk;
    this.#listener = listener;
  }

  /** Takes the bytes at `offset`, which must be whole lines. */
  take(bytes: Buffer): void {
    for (let start = 0; start < bytes.length; ) {
      const newline = bytes.indexOf(NEWLINE, start);
      const end = newline === -1 ? bytes.length : newline + 1;
      if (newline === -1) this.#break('was read up to the middle of a line');
      else this.#takeLine(bytes.subarray(start, end));
      this.offset += end - start;
      start = end;
    }
  }

  /** What was taken must end with a batch. */
  end(): void {
    if (this.#batch !== undefined) this.#break(`ends in the middle of batch ${this.#batch.key}`);
  }

  #takeLine(bytes: Buffer): void {
    const fields = parseLine(bytes.subarray(0, -1));
    if (fields === undefined) {
      this.#break(
        `has a line of ${bytes.length} bytes that is torn, joined or unknown: ${JSON.stringify(startOf(bytes))}`,
      );
      return;
    }
    const { key, line, lineCount } = fields;
    if (this.#batch === undefined && key === this.#brokenKey && line > 0) return;
    this.#batch ??= { key, offset: this.offset, lineCount, nextLine: 0, crc: 0 };
    const batch = this.#batch;
    if (key !== batch.key || line !== batch.nextLine) {
      this.#break(
        `has line ${line} of batch ${key} where line ${batch.nextLine} of batch ${batch.key} is due`,
      );
      this.#brokenKey = key;
      return;
    }
    batch.crc = crc32(bytes, batch.crc);
    batch.nextLine += 1;
    if (batch.nextLine === batch.lineCount) this.#endBatch(batch, this.offset + bytes.length);
  }

  #endBatch(
    { key, offset, crc }: { readonly key: string; readonly offset: number; readonly crc: number },
    end: number,
  ): void {
    this.#batch = undefined;
    this.#listener.found({ key, chunk: this.#chunk, offset, byteCount: end - offset, crc });
  }

  #break(what: string): void {
    this.#brokenKey = this.#batch?.key;
    this.#batch = undefined;
    this.#listener.broken(`${this.#chunk} at ${this.offset} ${what}.`);
  }
}

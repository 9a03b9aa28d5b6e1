import { crc32 } from '../../src/common/crc32.js';
import type { WriteReceipt } from '../../src/protocol/http-api.js';
import type { FoundBatch } from '../../src/torture/chunk-parser.js';
import { Violation } from './violation.js';

/** One batch of a writer, and what became of it. */
export interface LedgerBatch {
  readonly key: string;
  readonly isStamped: boolean;
  readonly byteCount: number;
  readonly lineCount: number;
  readonly crc: number;
  sendCount: number;
  isAnswered: boolean;
  /** `chunk offset`, by the first receipt or reader that told it. */
  place: string | undefined;
  readonly readers: Set<string>;
}

/** Knows every batch that was sent, and throws a violation as soon as the node contradicts it or itself. */
export class BatchLedger {
  answeredCount = 0;
  answeredLineCount = 0;
  /** Sendings of a stamped batch after the first one. */
  repeatCount = 0;
  /** Repetitions that the node knew. */
  duplicateCount = 0;
  readonly #batches = new Map<string, LedgerBatch>();
  readonly #places = new Map<string, LedgerBatch>();

  /** Must be called before the batch is sent. */
  add(key: string, bytes: Buffer, lineCount: number, isStamped: boolean): LedgerBatch {
    const batch: LedgerBatch = {
      key,
      isStamped,
      byteCount: bytes.length,
      lineCount,
      crc: crc32(bytes),
      sendCount: 0,
      isAnswered: false,
      place: undefined,
      readers: new Set(),
    };
    this.#batches.set(key, batch);
    return batch;
  }

  /** Must be called before each sending. */
  sending(batch: LedgerBatch): void {
    if (batch.sendCount > 0) this.repeatCount += 1;
    batch.sendCount += 1;
  }

  answered(batch: LedgerBatch, { chunk, offset, size, duplicate }: WriteReceipt): void {
    batch.isAnswered = true;
    this.answeredCount += 1;
    this.answeredLineCount += batch.lineCount;
    if (duplicate) this.duplicateCount += 1;
    if (duplicate && batch.sendCount === 1) {
      throw new Violation(
        `Batch ${batch.key} was taken for a duplicate although it was sent once.`,
      );
    }
    if (size !== batch.byteCount) {
      throw new Violation(`Batch ${batch.key} of ${batch.byteCount} bytes was stored as ${size}.`);
    }
    if (chunk !== null && offset !== null) this.#place(batch, `${chunk} ${offset}`);
  }

  found(group: string, { key, chunk, offset, byteCount, crc }: FoundBatch): void {
    const batch = this.#batches.get(key);
    if (batch === undefined) throw new Violation(`Nobody has sent batch ${key} of ${chunk}.`);
    if (byteCount !== batch.byteCount || crc !== batch.crc) {
      throw new Violation(`Batch ${key} in ${chunk} at ${offset} is not what was sent.`);
    }
    this.#place(batch, `${chunk} ${offset}`);
    batch.readers.add(group);
  }

  /** When all groups have read everything: what was answered has reached each of them, the rest all or none. */
  checkComplete(groups: readonly string[]): void {
    for (const { key, isAnswered, isStamped, place, readers } of this.#batches.values()) {
      if (isStamped && !isAnswered) throw new Violation(`Batch ${key} was never answered.`);
      const isDue = isAnswered || place !== undefined;
      const missed = groups.filter((group) => !readers.has(group));
      if (isDue && missed.length > 0) {
        throw new Violation(
          `Batch ${key} (${isAnswered ? 'answered' : 'not answered'}, at ${place}) did not reach ${missed.join(', ')}.`,
        );
      }
    }
  }

  /** A batch has one place, and a place one batch, whoever tells it and how often. */
  #place(batch: LedgerBatch, place: string): void {
    batch.place ??= place;
    if (batch.place !== place) {
      throw new Violation(`Batch ${batch.key} is stored twice: at ${batch.place} and at ${place}.`);
    }
    const holder = this.#places.get(place) ?? batch;
    this.#places.set(place, holder);
    if (holder !== batch) {
      throw new Violation(`At ${place} there was batch ${holder.key} and is batch ${batch.key}.`);
    }
  }
}

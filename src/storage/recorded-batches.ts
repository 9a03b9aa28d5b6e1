import { crc32 } from '../common/crc32.js';
import { invalidFrame } from '../protocol/frames.js';
import type { BatchRecord } from './batch-index.js';

/** Batches as another node has recorded them. */
export interface RecordedBatches {
  readonly records: readonly BatchRecord[];
  /** The lines of the index that say the same. */
  readonly lines: string;
  /** The bytes of the batches; no batch goes on from one piece into the next. */
  readonly pieces: readonly Uint8Array[];
  /** The bytes of all pieces. */
  readonly byteCount: number;
}

/**
 * Throws `invalid_frame` unless every batch is what its record says, and the batches follow each other from `offset`
 * on: what is wrong on a peer's disk must not come here.
 *
 * @param pieces the bytes of the batches, cut anywhere between two batches
 */
export function checkRecorded(
  records: readonly BatchRecord[],
  pieces: readonly Uint8Array[],
  offset: number,
): void {
  let expected = offset;
  let index = 0;
  let at = 0;
  for (const record of records) {
    if (at === pieces[index]?.length) {
      index += 1;
      at = 0;
    }
    const bytes = pieces[index]?.subarray(at, at + record.byteCount);
    const isWhole = bytes?.length === record.byteCount && record.offset === expected;
    if (!isWhole || crc32(bytes) !== record.crc) {
      throw invalidFrame(`the batch at ${record.offset} is not what its record says`);
    }
    at += record.byteCount;
    expected += record.byteCount;
  }
  if (index < pieces.length - 1 || at !== (pieces[index]?.length ?? 0)) {
    throw invalidFrame(`bytes behind ${expected} belong to no batch`);
  }
}

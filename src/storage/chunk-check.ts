import { crc32 } from '../common/crc32.js';
import type { BatchRecord } from './batch-index.js';
import type { DiskFile } from './disk.js';

/** How much is read at a time: enough to keep the disk busy, little enough to share the loop. */
const blockBytes = 256 * 1024;

/** Called after each block with its size; a check in the background slows itself down here. */
export type Pace = (byteCount: number) => Promise<void>;

/** Compares the batches of a chunk with their checksums. Returns those that do not match, in order. */
export async function findDamaged(
  file: DiskFile,
  records: readonly BatchRecord[],
  pace?: Pace,
): Promise<BatchRecord[]> {
  const damaged: BatchRecord[] = [];
  const reader = new BlockReader(file, pace);
  for (const record of records) {
    const crc = await reader.crcOfNext(record.byteCount);
    if (crc !== record.crc) damaged.push(record);
  }
  return damaged;
}

/** The CRC-32 of the first `byteCount` bytes of a file; `undefined` when it has fewer. */
export function crcOfFile(
  file: DiskFile,
  byteCount: number,
  pace?: Pace,
): Promise<number | undefined> {
  return new BlockReader(file, pace).crcOfNext(byteCount);
}

/** Reads a file from its start in blocks, however long the parts are that are asked for. */
class BlockReader {
  readonly #file: DiskFile;
  readonly #pace: Pace | undefined;
  readonly #buffer = Buffer.allocUnsafe(blockBytes);
  #block = this.#buffer.subarray(0, 0);
  #position = 0;

  constructor(file: DiskFile, pace: Pace | undefined) {
    this.#file = file;
    this.#pace = pace;
  }

  async crcOfNext(byteCount: number): Promise<number | undefined> {
    let crc = 0;
    for (let left = byteCount; left > 0; ) {
      if (this.#block.length === 0 && !(await this.#readBlock())) return undefined;
      const part = this.#block.subarray(0, left);
      this.#block = this.#block.subarray(part.length);
      crc = crc32(part, crc);
      left -= part.length;
    }
    return crc;
  }

  async #readBlock(): Promise<boolean> {
    const byteCount = await this.#file.read(this.#buffer, this.#position);
    this.#position += byteCount;
    this.#block = this.#buffer.subarray(0, byteCount);
    await this.#pace?.(byteCount);
    return byteCount > 0;
  }
}

import { ChukchaError } from '../protocol/chukcha-error.js';
import { chunkIndexMax } from '../protocol/limits.js';
import { replaceFile } from './atomic-file.js';
import { type Disk, hasSystemCode } from './disk.js';

/** How many indexes one write of the file reserves; a crash leaves a gap of at most this many. */
const reservedIndexCount = 16;

/**
 * Hands out the indexes of a node's own chunks in one category. An index is reserved on disk before it
 * is used, so that no name is ever used twice: not after a crash, and not when all chunks were
 * acknowledged and deleted.
 */
export class IndexAllocator {
  readonly #disk: Disk;
  readonly #path: string;
  #next: number;
  #reservedBefore: number;

  private constructor(disk: Disk, path: string, next: number, reservedBefore: number) {
    this.#disk = disk;
    this.#path = path;
    this.#next = next;
    this.#reservedBefore = reservedBefore;
  }

  /**
   * @param usedIndexMax the highest index that is known to have been used, from whatever source; -1 for none
   */
  static async open(disk: Disk, path: string, usedIndexMax: number): Promise<IndexAllocator> {
    const reserved = await readReservation(disk, path);
    const next = Math.max(reserved, usedIndexMax + 1);
    return new IndexAllocator(disk, path, next, reserved);
  }

  /** The index that will be handed out next. Every index of a chunk is below it. */
  get next(): number {
    return this.#next;
  }

  async take(): Promise<number> {
    const index = this.#next;
    if (index > chunkIndexMax) {
      throw new ChukchaError(
        'storage_failed',
        `No chunk index is left: ${chunkIndexMax} was the last one.`,
      );
    }
    if (index >= this.#reservedBefore) await this.#reserve(index + reservedIndexCount);
    this.#next = index + 1;
    return index;
  }

  /** Gives back what was reserved and not used. To be called when no index will be taken any more. */
  async close(): Promise<void> {
    if (this.#reservedBefore > this.#next) await this.#reserve(this.#next);
  }

  async #reserve(before: number): Promise<void> {
    await replaceFile(this.#disk, this.#path, `${JSON.stringify({ version: 1, next: before })}\n`);
    this.#reservedBefore = before;
  }
}

async function readReservation(disk: Disk, path: string): Promise<number> {
  let text: string;
  try {
    text = (await disk.readFile(path)).toString();
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) return 0;
    throw error;
  }
  const next = /^\{"version":1,"next":([0-9]{1,10})\}\n$/.exec(text)?.[1];
  if (next !== undefined) return Number(next);
  throw new ChukchaError(
    'directory_invalid',
    `${path} does not say which chunk index comes next (it has ${text.length} characters): ` +
      'write {"version":1,"next":N} into it, with an N above every index that was ever used in this category.',
  );
}

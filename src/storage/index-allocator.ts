import { ChukchaError } from '../protocol/chukcha-error.js';
import { chunkIndexMax } from '../protocol/limits.js';
import { replaceFile } from './atomic-file.js';
import { type Disk, hasSystemCode } from './disk.js';

/** How many indexes one write of the file reserves; a crash leaves a gap of at most this many. */
const reservedIndexCount = 16;

export interface IndexAllocatorPorts {
  readonly disk: Disk;
  /** Called when all indexes below may be used; they are not yet. */
  readonly onReserved?: (before: number) => void;
}

/**
 * Hands out the indexes of a node's own chunks in one category. An index is reserved on disk before it
 * is used, so that no name is ever used twice: not after a crash, and not when all chunks were
 * acknowledged and deleted.
 */
export class IndexAllocator {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #onReserved: (before: number) => void;
  #next: number;
  #reservedBefore: number;
  #first: number;

  private constructor(
    { disk, onReserved = () => undefined }: IndexAllocatorPorts,
    path: string,
    { next, first }: Reservation,
    reservedBefore: number,
  ) {
    this.#disk = disk;
    this.#onReserved = onReserved;
    this.#path = path;
    this.#next = next;
    this.#first = first;
    this.#reservedBefore = reservedBefore;
  }

  /**
   * @param usedIndexMax the highest index that is known to have been used, from whatever source; -1 for none
   * @param start.firstIndex for a category that is new here: the first index that may be used
   * @param start.mayHaveLost whether the disk may have lost own chunks that peers still hold, as with a power failure
   */
  static async open(
    ports: IndexAllocatorPorts,
    path: string,
    usedIndexMax: number,
    { firstIndex = 0, mayHaveLost = false }: { firstIndex?: number; mayHaveLost?: boolean } = {},
  ): Promise<IndexAllocator> {
    const found = await readReservation(ports.disk, path);
    const { first: knownFirst, next: reserved } = found ?? { first: firstIndex, next: 0 };
    const next = Math.max(reserved, usedIndexMax + 1, knownFirst);
    const first = mayHaveLost ? next : knownFirst;
    const allocator = new IndexAllocator(ports, path, { next, first }, reserved);
    // A crash must not make it forgotten that chunks below may have been lost here.
    if (first > (found?.first ?? 0)) await allocator.#reserve(next);
    return allocator;
  }

  /** Above 0 while own chunks with a lower index may be missing here that peers have, as after the loss of a disk. */
  get first(): number {
    return this.#first;
  }

  /** What was lost is here again, or acknowledged. */
  async markWhole(): Promise<void> {
    if (this.#first === 0) return;
    this.#first = 0;
    await this.#reserve(this.#reservedBefore);
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
    const first = this.#first === 0 ? undefined : this.#first;
    const content = { version: 1, next: before, first };
    await replaceFile(this.#disk, this.#path, `${JSON.stringify(content)}\n`);
    this.#reservedBefore = before;
    this.#onReserved(before);
  }
}

interface Reservation {
  readonly next: number;
  readonly first: number;
}

async function readReservation(disk: Disk, path: string): Promise<Reservation | undefined> {
  let text: string;
  try {
    text = (await disk.readFile(path)).toString();
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  const match = /^\{"version":1,"next":([0-9]{1,10})(?:,"first":([0-9]{1,10}))?\}\n$/.exec(text);
  const [, next, first = 0] = match ?? [];
  if (next !== undefined) return { next: Number(next), first: Number(first) };
  throw new ChukchaError(
    'directory_invalid',
    `${path} does not say which chunk index comes next (it has ${text.length} characters): ` +
      'write {"version":1,"next":N} into it, with an N above every index that was ever used in this category.',
  );
}

/** The unit in which bodies are collected and chunks are read: four of them are a usual batch of 1 MiB. */
export const slabBytes = 256 * 1024;

/** Slabs that are kept for the next request; 64 of them are 16 MiB. */
const idleSlabCountMax = 64;

/**
 * Buffers for bodies and answers, used again and again. Allocating them anew costs more than half of the
 * rate of large reads, and bodies that live until they are written make the garbage collector go through
 * the whole heap some fifty times for each gigabyte. A slab may go back only when nothing reads or fills
 * it any more.
 */
export class SlabPool {
  readonly #idle: Buffer[] = [];

  take(): Buffer {
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(slabBytes);
  }

  giveBack(slab: Buffer): void {
    if (this.#idle.length < idleSlabCountMax && slab.length === slabBytes) this.#idle.push(slab);
  }
}

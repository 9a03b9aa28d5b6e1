/** The unit in which chunks are read from disk and written to sockets. */
const slabBytes = 512 * 1024;

/** Slabs that are kept for the next reader; 32 of them are 16 MiB. */
const idleSlabCountMax = 32;

/**
 * Buffers for answers, used again and again: allocating them anew costs more than half of the rate of
 * large reads. A slab may go back only when the socket has let go of it.
 */
export class SlabPool {
  readonly slabBytes = slabBytes;
  readonly #idle: Buffer[] = [];

  take(): Buffer {
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(slabBytes);
  }

  giveBack(slab: Buffer): void {
    if (this.#idle.length < idleSlabCountMax) this.#idle.push(slab);
  }
}

import { ChukchaError } from '../protocol/chukcha-error.js';

/**
 * Counts the bytes of bodies that a node holds in memory, over all connections and all ways in, and refuses
 * more than its limit. Memory is counted when it is taken, so a client holds what it has sent and not what it
 * has announced.
 */
export class ByteBudget {
  readonly byteCountMax: number;
  #usedBytes = 0;

  constructor(byteCountMax: number) {
    this.byteCountMax = byteCountMax;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Throws `too_many_bytes`; nothing is taken then. */
  take(byteCount: number): void {
    if (this.#usedBytes + byteCount > this.byteCountMax) throw this.#tooManyBytes();
    this.#usedBytes += byteCount;
  }

  giveBack(byteCount: number): void {
    this.#usedBytes -= byteCount;
  }

  #tooManyBytes(): ChukchaError {
    return new ChukchaError(
      'too_many_bytes',
      `The node holds ${this.#usedBytes} bytes of bodies and takes at most ${this.byteCountMax}: send the batch again later; nothing was stored.`,
      { fields: { limit: this.byteCountMax } },
    );
  }
}

/** One of the buffers of a pool, on loan to whoever took it. */
export interface BufferLoan {
  /** May be replaced by a larger one; only the pool's own goes back to it. */
  buffer: Buffer;
  /** Gives the buffer back; a second call does nothing. */
  release(): void;
}

/**
 * A fixed number of buffers, used again and again: allocating 1 MiB anew for each block costs more than
 * reading it. Waiting for one is what stops an input whose batches are not settled.
 */
export class BufferPool {
  readonly #bufferBytes: number;
  readonly #idle: Buffer[] = [];
  #freeCount: number;
  #wake: () => void = () => undefined;

  constructor(options: { readonly bufferBytes: number; readonly bufferCount: number }) {
    this.#bufferBytes = options.bufferBytes;
    this.#freeCount = options.bufferCount;
  }

  /** True when all buffers are lent. */
  get isEmpty(): boolean {
    return this.#freeCount === 0;
  }

  /** Resolves with a buffer, or with `undefined` when the signal aborts before one is free. */
  async take(signal: AbortSignal): Promise<BufferLoan | undefined> {
    while (this.#freeCount === 0 && !signal.aborted) await this.#nextRelease(signal);
    if (signal.aborted) return undefined;
    this.#freeCount -= 1;
    const own = this.#idle.pop() ?? Buffer.allocUnsafeSlow(this.#bufferBytes);
    let isLent = true;
    return {
      buffer: own,
      release: () => {
        if (!isLent) return;
        isLent = false;
        this.#idle.push(own);
        this.#freeCount += 1;
        this.#wake();
      },
    };
  }

  /** There is one taker: the loop of the input. */
  #nextRelease(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        this.#wake = () => undefined;
        resolve();
      };
      signal.addEventListener('abort', wake);
      this.#wake = wake;
    });
  }
}

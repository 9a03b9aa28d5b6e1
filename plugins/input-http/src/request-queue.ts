import type { InputBatch } from '@chukcha/plugin-api';

/** What became of a request's lines. */
export type Verdict = 'accepted' | 'not_accepted' | 'stopping';

interface QueuedRequest {
  readonly bytes: Uint8Array;
  readonly category: string | undefined;
  readonly settle: (verdict: Verdict) => void;
}

/**
 * Hands the bodies of requests to the host, in the order in which they were complete. A request is first
 * waiting, then with the host, then settled; one that still waits when its client goes away is dropped.
 * Its size has no limit of its own: each request has a share of the byte budget, and a connection.
 */
export class RequestQueue {
  readonly #waiting = new Set<QueuedRequest>();
  #stopped = false;
  #wake: () => void = () => undefined;

  /**
   * Resolves when the host has settled the batch, or with `stopping` when it will never get it. The
   * signal takes a request back that the host does not have yet.
   */
  add(bytes: Uint8Array, category: string | undefined, gone: AbortSignal): Promise<Verdict> {
    if (this.#stopped || gone.aborted) return Promise.resolve('stopping');
    return new Promise((resolve) => {
      const request = { bytes, category, settle: resolve };
      this.#waiting.add(request);
      gone.addEventListener('abort', () => {
        if (this.#waiting.delete(request)) resolve('stopping');
      });
      this.#wake();
    });
  }

  /** Yields the requests until the signal aborts; then those that still wait are refused. */
  async *batches(signal: AbortSignal): AsyncGenerator<InputBatch> {
    const wake = (): void => this.#wake();
    signal.addEventListener('abort', wake);
    try {
      while (!signal.aborted && !this.#stopped) {
        const [request] = this.#waiting;
        if (request === undefined) {
          await this.#nextChange();
          continue;
        }
        this.#waiting.delete(request);
        yield toBatch(request);
      }
    } finally {
      signal.removeEventListener('abort', wake);
      this.stop();
    }
  }

  /** Refuses the requests that wait and all that come; idempotent. */
  stop(): void {
    this.#stopped = true;
    for (const request of this.#waiting) request.settle('stopping');
    this.#waiting.clear();
    this.#wake();
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

function toBatch({ bytes, category, settle }: QueuedRequest): InputBatch {
  return {
    bytes,
    ...(category === undefined ? {} : { category }),
    // A promise takes only the first verdict, so a second call does nothing.
    ack: async () => settle('accepted'),
    nack: async () => settle('not_accepted'),
  };
}

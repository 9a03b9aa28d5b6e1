import type { InputBatch } from '@chukcha/plugin-api';

/**
 * What became of a batch. `key_reused`: the bus has another batch under its key. `withdrawn`: it was taken back before
 * the host had it. `unknown`: the host has it, and nobody waits any longer.
 */
export type Verdict =
  | 'accepted'
  | 'not_accepted'
  | 'key_reused'
  | 'stopping'
  | 'withdrawn'
  | 'unknown';

/** A batch as a request gives it. */
export interface DoorBatch {
  readonly bytes: Uint8Array;
  readonly category?: string | undefined;
  readonly idempotencyKey?: string | undefined;
}

interface QueuedBatch {
  readonly batch: DoorBatch;
  readonly settle: (verdict: Verdict) => void;
}

/**
 * Hands the batches of requests to the host, in the order in which they came. A batch is first waiting,
 * then with the host, then settled; one that still waits when its client goes away is dropped.
 * Its size has no limit of its own: each request has a share of the byte budget, and a connection.
 */
export class RequestQueue {
  readonly #waiting = new Set<QueuedBatch>();
  #stopped = false;
  #wake: () => void = () => undefined;

  /**
   * Resolves when the host has settled the batch, or with `stopping` when it will never get it. The
   * signal takes a batch back that the host does not have yet.
   */
  add(batch: DoorBatch, withdrawn: AbortSignal): Promise<Verdict> {
    if (this.#stopped) return Promise.resolve('stopping');
    if (withdrawn.aborted) return Promise.resolve('withdrawn');
    return new Promise((resolve) => {
      const withdraw = (): void => {
        if (this.#waiting.delete(queued)) resolve('withdrawn');
      };
      const settle = (verdict: Verdict): void => {
        withdrawn.removeEventListener('abort', withdraw);
        resolve(verdict);
      };
      const queued = { batch, settle };
      this.#waiting.add(queued);
      withdrawn.addEventListener('abort', withdraw);
      this.#wake();
    });
  }

  /** Yields the batches until the signal aborts; then those that still wait are refused. */
  async *batches(signal: AbortSignal): AsyncGenerator<InputBatch> {
    const wake = (): void => this.#wake();
    signal.addEventListener('abort', wake);
    try {
      while (!signal.aborted && !this.#stopped) {
        const [queued] = this.#waiting;
        if (queued === undefined) {
          await this.#nextChange();
          continue;
        }
        this.#waiting.delete(queued);
        yield toInputBatch(queued);
      }
    } finally {
      signal.removeEventListener('abort', wake);
      this.stop();
    }
  }

  /** Refuses the batches that wait and all that come; idempotent. */
  stop(): void {
    this.#stopped = true;
    for (const queued of this.#waiting) queued.settle('stopping');
    this.#waiting.clear();
    this.#wake();
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

function toInputBatch({ batch, settle }: QueuedBatch): InputBatch {
  const { bytes, category, idempotencyKey } = batch;
  return {
    bytes,
    ...(category === undefined ? {} : { category }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    // A promise takes only the first verdict, so a second call does nothing.
    ack: async () => settle('accepted'),
    nack: async (error) => settle(isReusedKey(error) ? 'key_reused' : 'not_accepted'),
  };
}

/** The host's errors have the codes of the bus. */
function isReusedKey(error: Error & { readonly code?: unknown }): boolean {
  return error.code === 'sequence_reused';
}

import type { Clock } from '../common/clock.js';
import { sleep } from '../common/wait.js';
import type { Client } from './client.js';
import type { RetryListener } from './decide-retry.js';
import type { FinishedChunk, OwnerCursor } from './owner-cursor.js';

export interface ChunkAckerOptions {
  readonly category: string;
  readonly group: string;
  readonly clock: Clock;
  /** Is told of an acknowledgement that failed; it is given again later. */
  readonly onRetry: RetryListener | undefined;
}

/** Acknowledges to the node, in the background, the chunks that a group has processed whole. */
export class ChunkAcker {
  readonly #client: Client;
  readonly #options: ChunkAckerOptions;
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(client: Client, options: ChunkAckerOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Acknowledges what the cursor has finished and what is not under way already. */
  ackFinished(cursor: OwnerCursor): void {
    for (const finished of cursor.finished()) {
      if (this.#underWay.has(finished.chunk)) continue;
      const acking = this.#ack(cursor, finished).finally(() =>
        this.#underWay.delete(finished.chunk),
      );
      this.#underWay.set(finished.chunk, acking);
    }
  }

  /** Waits for what is under way, up to a limit; what is lost then is given again by the next run. */
  async settle(limitMs: number): Promise<void> {
    const limit = new AbortController();
    const overdue = sleep(this.#options.clock, limitMs, limit.signal).catch(() => undefined);
    await Promise.race([Promise.all(this.#underWay.values()), overdue]);
    limit.abort();
  }

  /** Never rejects: what failed is given again after the next batch or listing, or by the next run. */
  async #ack(cursor: OwnerCursor, { chunk, size }: FinishedChunk): Promise<void> {
    const { category, group, onRetry } = this.#options;
    try {
      await this.#client.ack(category, chunk, size, { group });
      cursor.forget(chunk);
    } catch (error) {
      onRetry?.(error, 0);
    }
  }
}

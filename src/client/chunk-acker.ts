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

/** How many acknowledgements are under way at a time; each takes a connection, and the node's disk takes one by one. */
const underWayCountMax = 16;

/** Acknowledges to the node, in the background, the chunks that a group has processed whole. */
export class ChunkAcker {
  readonly #client: Client;
  readonly #options: ChunkAckerOptions;
  readonly #underWay = new Map<string, Promise<void>>();
  #stopped = false;

  constructor(client: Client, options: ChunkAckerOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Acknowledges what the cursor has finished and what is not under way already, some at a time. */
  ackFinished(cursor: OwnerCursor): void {
    for (const finished of cursor.finished()) {
      if (this.#stopped || this.#underWay.size >= underWayCountMax) return;
      if (this.#underWay.has(finished.chunk)) continue;
      this.#underWay.set(finished.chunk, this.#ack(cursor, finished));
    }
  }

  /** Acknowledges what is left, up to a limit, and nothing more then; the rest is for the next run. */
  async settle(limitMs: number): Promise<void> {
    const limit = new AbortController();
    const overdue = sleep(this.#options.clock, limitMs, limit.signal).catch(() => undefined);
    await Promise.race([this.#drain(), overdue]);
    limit.abort();
    this.#stopped = true;
  }

  async #drain(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay.values());
  }

  /** Never rejects: what failed is given again after the next batch or listing, or by the next run. */
  async #ack(cursor: OwnerCursor, { chunk, size }: FinishedChunk): Promise<void> {
    const { category, group, onRetry } = this.#options;
    try {
      await this.#client.ack(category, chunk, size, { group });
    } catch (error) {
      this.#underWay.delete(chunk);
      onRetry?.(error, 0);
      return;
    }
    cursor.forget(chunk);
    this.#underWay.delete(chunk);
    this.ackFinished(cursor);
  }
}

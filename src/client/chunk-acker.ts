import type { Clock } from '../common/clock.js';
import { sleep } from '../common/wait.js';
import { type ChukchaError, errorCode } from '../protocol/chukcha-error.js';
import type { Client } from './client.js';
import type { ConsumerNodes } from './consumer-nodes.js';
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

/** Acknowledges to the nodes, in the background, the chunks that a group has processed whole. */
export class ChunkAcker {
  readonly #client: Client;
  readonly #nodes: ConsumerNodes;
  readonly #options: ChunkAckerOptions;
  readonly #underWay = new Map<string, Promise<void>>();
  #stopped = false;

  constructor(client: Client, nodes: ConsumerNodes, options: ChunkAckerOptions) {
    this.#client = client;
    this.#nodes = nodes;
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
  async #ack(cursor: OwnerCursor, finished: FinishedChunk): Promise<void> {
    const { chunk } = finished;
    try {
      await this.#give(finished);
    } catch (error) {
      this.#underWay.delete(chunk);
      // That a replica is behind is no failure: its list changes when it has the chunk, which gives it again.
      if (!(this.#nodes.areSeveral && isRefusedByLag(error))) this.#options.onRetry?.(error, 0);
      return;
    }
    cursor.forget(chunk);
    this.#underWay.delete(chunk);
    this.ackFinished(cursor);
  }

  /** To the node that is read from, and if that one lags, to the one that has shown the chunk whole. */
  async #give({ chunk, size, sealedAt }: FinishedChunk): Promise<void> {
    const { category, group } = this.#options;
    const ack = (server: string): Promise<void> =>
      this.#client.ack(category, chunk, size, { group, server });
    try {
      await this.#nodes.onEach(ack);
    } catch (error) {
      if (!isRefusedByLag(error) || error.fields['server'] === sealedAt) throw error;
      await this.#nodes.once(ack, sealedAt);
    }
  }
}

/** A node that does not have the whole chunk yet takes no acknowledgement of it. */
function isRefusedByLag(error: unknown): error is ChukchaError {
  const code = errorCode(error);
  return code === 'chunk_open' || code === 'chunk_not_found';
}

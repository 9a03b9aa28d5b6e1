import { setMaxListeners } from 'node:events';
import { type Clock, systemClock } from '../common/clock.js';
import { systemRandom } from '../common/random.js';
import { ChangeSignal } from '../common/wait.js';
import { ChukchaError, errorCode } from '../protocol/chukcha-error.js';
import { groupNameDefault } from '../protocol/http-api.js';
import { readBytesDefault } from '../protocol/limits.js';
import type { Position } from '../protocol/position.js';
import { ChunkAcker } from './chunk-acker.js';
import { ChunkLister } from './chunk-lister.js';
import { ChunkReader } from './chunk-reader.js';
import type { Client } from './client.js';
import type { ChunkListing, ReadAnswer } from './client-calls.js';
import { ConsumerNodes } from './consumer-nodes.js';
import type { ConsumerBatch, ConsumerOptions } from './consumer-options.js';
import { LagWaits } from './lag-waits.js';
import type { OwnerCursor, ReadPlan } from './owner-cursor.js';
import { OwnerCursors } from './owner-cursors.js';

/** How long `close` waits for acknowledgements that are under way. One that is lost is given again by the next run. */
const closeMsMax = 5_000;

/** Below the 30 s for which common proxies hold a silent connection. */
const pollMsDefault = 25_000;

/** How long the list may be out of date while there is more to read than was read. */
const staleListMs = 1_000;

interface ReadyBatch {
  readonly cursor: OwnerCursor;
  readonly batch: ConsumerBatch;
}

/**
 * Reads a category for a group, as an async iterator of batches: the messages of each owner in order,
 * those of several owners in turns. The next batch of an owner is read while the last one is processed,
 * and not before, so memory is bounded by two batches for each owner. Small chunks are read several at a time,
 * as many as one batch may have together.
 *
 *     const consumer = new Consumer(client, { category: 'logs' });
 *     for await (const batch of consumer) {
 *       await process(batch.bytes);
 *       batch.ack();
 *     }
 *
 * Delivery is at least once: what was not acknowledged comes again from the position that a later
 * consumer starts with. The iteration throws `cluster_changed` when a node's messages are not those that
 * the position belongs to, and what a node answers that no later try would change.
 *
 * With several nodes of a cluster it goes on at another one when its node fails. The other node may lag: then the
 * consumer waits for what it knows to be there, asks a third one after some seconds, and neither steps back nor skips.
 */
export class Consumer implements AsyncIterable<ConsumerBatch> {
  readonly #client: Client;
  readonly #options: ConsumerOptions;
  readonly #group: string;
  readonly #clock: Clock;
  readonly #batchBytesMax: number;
  readonly #nodes: ConsumerNodes;
  readonly #lister: ChunkLister;
  readonly #reader: ChunkReader;
  readonly #acker: ChunkAcker;
  readonly #lags: LagWaits;
  readonly #cursors: OwnerCursors;
  /** Ends reading. */
  readonly #stop = new AbortController();
  /** Ends what acknowledgements need too. */
  readonly #end = new AbortController();
  readonly #changed = new ChangeSignal();
  readonly #reading = new Set<OwnerCursor>();
  readonly #ready: ReadyBatch[] = [];
  #failure: unknown;

  constructor(client: Client, options: ConsumerOptions) {
    const { category, giveUpAfterMs, onRetry, position } = options;
    const { clock = systemClock, random = systemRandom, pollMs = pollMsDefault } = options;
    this.#client = client;
    this.#options = options;
    this.#group = options.group ?? groupNameDefault;
    this.#clock = clock;
    this.#batchBytesMax = options.batchBytesMax ?? readBytesDefault;
    this.#cursors = new OwnerCursors(position?.owners ?? {});
    const { signal } = this.#stop;
    // Every read that is under way listens to it.
    setMaxListeners(0, signal);
    const trying = { clock, random, signal, onRetry, giveUpAfterMs };
    this.#nodes = new ConsumerNodes(client, {
      ...trying,
      cluster: position?.cluster,
      meet: async (server) =>
        this.#takeListing(await this.#lister.list('now', server, this.#end.signal)),
    });
    this.#lags = new LagWaits(client, trying);
    const common = { category, group: this.#group, pollMs };
    this.#lister = new ChunkLister(client, common);
    const batchBytesMax = this.#batchBytesMax;
    this.#reader = new ChunkReader(client, this.#nodes, { ...common, batchBytesMax, signal });
    this.#acker = new ChunkAcker(client, this.#nodes, { ...common, clock, onRetry });
  }

  /** Everything before it was acknowledged by `ack`. `undefined` before the first listing. */
  position(): Position | undefined {
    const { cluster } = this.#nodes;
    return cluster === undefined ? undefined : { cluster, owners: this.#cursors.positions() };
  }

  /** What is processed already of the chunks that the group has still to acknowledge, in bytes. */
  get processedBytes(): number {
    let sum = 0;
    for (const cursor of this.#cursors) sum += cursor.processedBytes;
    return sum;
  }

  /** May be called once. Leaving the loop closes the consumer, unless it was told not to. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ConsumerBatch, void, void> {
    try {
      await this.#start();
      while (!this.#stop.signal.aborted) {
        if (this.#failure !== undefined) throw this.#failure;
        const ready = this.#ready.shift();
        if (ready !== undefined) {
          this.#startRead(ready.cursor);
          yield ready.batch;
        } else if (this.#cursors.areAtTargets) {
          return;
        } else {
          await this.#changed.wait({ clock: this.#clock, signal: this.#stop.signal });
        }
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    } finally {
      this.stopReading();
      if (this.#options.closeAtEnd !== false) await this.close();
    }
  }

  /** Ends the iteration; what was handed out can still be acknowledged. Idempotent. */
  stopReading(): void {
    this.#stop.abort();
    this.#changed.notify();
  }

  /** Ends the iteration and waits for acknowledgements that are under way; idempotent. */
  async close(): Promise<void> {
    this.stopReading();
    // An acknowledgement may have failed with its node when nothing came after it that would have given it again.
    for (const cursor of this.#cursors) this.#ackFinished(cursor);
    await this.#acker.settle(closeMsMax);
    this.#end.abort();
  }

  async #start(): Promise<void> {
    const { category, untilEnd = false } = this.#options;
    const { signal } = this.#stop;
    if (this.#options.acknowledge !== false) {
      await this.#nodes.trying((server) =>
        this.#client.registerGroup(category, this.#group, { server, signal }),
      );
    }
    await this.#list('now');
    if (untilEnd) this.#cursors.endHere();
    for (const cursor of this.#cursors) this.#startRead(cursor);
    if (!untilEnd) void this.#followList();
  }

  /** Lists again and again, each time held by the node until the list has changed. */
  async #followList(): Promise<void> {
    try {
      while (!this.#stop.signal.aborted) {
        await this.#list('when changed');
        for (const cursor of this.#cursors) this.#startRead(cursor);
        await this.#waitWhileBusy();
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Each chunk that is acknowledged changes the list, which is long as long as there is much to read. */
  async #waitWhileBusy(): Promise<void> {
    const endMs = this.#clock.monotonicMs() + staleListMs;
    const isBusy = (): boolean => {
      const cursors = [...this.#cursors];
      return cursors.length > 0 && cursors.every((cursor) => cursor.hasMore);
    };
    while (isBusy() && !this.#stop.signal.aborted) {
      const timeoutMs = endMs - this.#clock.monotonicMs();
      if (timeoutMs <= 0) return;
      await this.#changed.wait({ clock: this.#clock, timeoutMs, signal: this.#stop.signal });
    }
  }

  async #list(when: 'now' | 'when changed'): Promise<void> {
    const { signal } = this.#stop;
    this.#takeListing(
      await this.#nodes.trying((server) => this.#lister.list(when, server, signal)),
    );
  }

  #takeListing(listing: ChunkListing | undefined): void {
    if (listing === undefined) return;
    const { server, chunks } = listing;
    this.#nodes.know(listing);
    this.#cursors.update(chunks, { server, isAlone: !this.#nodes.areSeveral });
    for (const cursor of this.#cursors) this.#ackFinished(cursor);
    this.#changed.notify();
  }

  #startRead(cursor: OwnerCursor): void {
    if (this.#reading.has(cursor) || this.#ready.some((ready) => ready.cursor === cursor)) return;
    if (
      this.#stop.signal.aborted ||
      this.#failure !== undefined ||
      this.#cursors.isAtTarget(cursor)
    )
      return;
    const plans = cursor.plans(this.#batchBytesMax);
    if (plans.length === 0) return;
    this.#reading.add(cursor);
    void this.#read(cursor, plans);
  }

  async #read(cursor: OwnerCursor, plans: readonly ReadPlan[]): Promise<void> {
    try {
      for await (const { plan, answer } of this.#reader.read(plans)) {
        this.#take(cursor, plan, answer);
        if (answer.bytes.length === 0 && cursor.isMissing(plan)) {
          throw behindError(plan, answer);
        }
        // What follows on a chunk that has more after all must wait for that.
        if (!cursor.hasFinished(plan)) break;
      }
    } catch (error) {
      await this.#missRead(cursor, plans[0] as ReadPlan, error).catch((failure: unknown) =>
        this.#fail(failure),
      );
    }
    this.#reading.delete(cursor);
    this.#startRead(cursor);
    this.#changed.notify();
  }

  #take(cursor: OwnerCursor, plan: ReadPlan, answer: ReadAnswer): void {
    const { bytes } = answer;
    const end = cursor.receive(plan, answer);
    this.#ackFinished(cursor);
    if (!cursor.isMissing(plan)) this.#lags.end(cursor.owner);
    if (bytes.length === 0) return;
    const markProcessed = cursor.handOut(end);
    let acknowledged = false;
    const ack = (): void => {
      if (acknowledged) return;
      acknowledged = true;
      markProcessed();
      this.#reader.giveBack(bytes);
      this.#ackFinished(cursor);
    };
    const { category } = this.#options;
    const { chunk, offset } = plan;
    this.#ready.push({ cursor, batch: { category, chunk, offset, bytes, ack } });
    this.#changed.notify();
  }

  /** The chunk was acknowledged or cut since it was listed, or this node does not have as much as another one had. */
  async #missRead(cursor: OwnerCursor, plan: ReadPlan, error: unknown): Promise<void> {
    const code = errorCode(error);
    if (code !== 'chunk_not_found' && code !== 'offset_out_of_range') throw error;
    const missed = error as ChukchaError;
    if (missed.fields['chunkState'] === 'acked') {
      cursor.pass(plan);
      this.#lags.end(cursor.owner);
      return;
    }
    const { server = this.#client.server } = missed.fields;
    await this.#list('now');
    // A power failure took the end that was read already: the list shows the chunk sealed in front of it.
    if (cursor.plan()?.chunk !== plan.chunk) return this.#lags.end(cursor.owner);
    if (code === 'offset_out_of_range' && (await this.#isWrongOffset(cursor, String(server)))) {
      throw error;
    }
    await this.#lags.wait(cursor.owner, String(server), missed);
  }

  /** What a lone node does not have of its own chunk was never there. */
  async #isWrongOffset(cursor: OwnerCursor, server: string): Promise<boolean> {
    if (this.#nodes.areSeveral) return false;
    const { signal } = this.#stop;
    const { node } = await this.#nodes.trying(() => this.#client.live({ server, signal }));
    return node === cursor.owner;
  }

  #ackFinished(cursor: OwnerCursor): void {
    if (this.#options.acknowledge !== false) this.#acker.ackFinished(cursor);
  }

  #fail(error: unknown): void {
    if (!this.#stop.signal.aborted) this.#failure ??= error;
    this.#changed.notify();
  }
}

/** What is told when a node has nothing more of a chunk although another one has. */
function behindError(plan: ReadPlan, { server, chunkSize }: ReadAnswer): ChukchaError {
  return new ChukchaError(
    'chunk_not_found',
    `${server} has only ${chunkSize} bytes of chunk ${plan.chunk}, and another node has more: look whether the nodes reach each other.`,
    { fields: { server, chunk: plan.chunk, size: chunkSize } },
  );
}

import { setMaxListeners } from 'node:events';
import { type Clock, systemClock } from '../common/clock.js';
import { type Random, systemRandom } from '../common/random.js';
import { retry } from '../common/retry.js';
import { ChangeSignal, sleep } from '../common/wait.js';
import { ChukchaError, errorCode } from '../protocol/chukcha-error.js';
import { groupNameDefault, type ListedChunk } from '../protocol/http-api.js';
import { readBytesDefault } from '../protocol/limits.js';
import { parseChunkName } from '../protocol/names.js';
import type { OwnerPosition, Position } from '../protocol/position.js';
import { ChunkAcker } from './chunk-acker.js';
import { ChunkLister } from './chunk-lister.js';
import { ChunkReader } from './chunk-reader.js';
import type { Client, ReadAnswer } from './client.js';
import { decideRetry, type RetryListener } from './decide-retry.js';
import { OwnerCursor, type ReadPlan } from './owner-cursor.js';

export interface ConsumerOptions {
  readonly category: string;
  /** The group that the messages are read and acknowledged for. @default "default" */
  readonly group?: string;
  /**
   * Where to go on, from an earlier consumer's `position`. Without it the consumer starts at the oldest
   * message that the group has not acknowledged.
   */
  readonly position?: Position;
  /** When true, the iteration ends behind what was there when it began. @default false */
  readonly untilEnd?: boolean;
  /**
   * Whether the group is registered, so that messages wait for it, and chunks that are sealed and processed
   * are acknowledged, which frees them. @default true
   */
  readonly acknowledge?: boolean;
  /** The most bytes of a batch; a larger message comes whole all the same. @default 1048576 */
  readonly batchBytesMax?: number;
  /** How long a node holds a read while there is nothing new, in milliseconds. @default 25000 */
  readonly pollMs?: number;
  /**
   * How long the node may be away or busy before the iteration throws, in milliseconds.
   * @default for ever
   */
  readonly giveUpAfterMs?: number;
  /** Called before each new try. */
  readonly onRetry?: RetryListener;
  /** @default the system's */
  readonly clock?: Clock;
  readonly random?: Random;
}

/** Some whole messages of one chunk. */
export interface ConsumerBatch {
  readonly category: string;
  readonly chunk: string;
  /** Where the batch starts in the chunk. */
  readonly offset: number;
  /** Messages, each ended by `\n`. Valid until `ack`: the buffer is used again then. */
  readonly bytes: Buffer;
  /** The batch is processed. A chunk that is sealed and processed is acknowledged to the node in the background. */
  ack(): void;
}

/** How long `close` waits for acknowledgements that are under way. One that is lost is given again by the next run. */
const closeMsMax = 5_000;

/** Below the 30 s for which common proxies hold a silent connection. */
const pollMsDefault = 25_000;

/** How long to wait before asking again for a chunk that was listed, but is not there. */
const missingChunkMs = 200;

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
 * consumer starts with. The iteration throws `cluster_changed` when the node's messages are not those that
 * the position belongs to, and what a node answers that no later try would change.
 */
export class Consumer implements AsyncIterable<ConsumerBatch> {
  readonly #client: Client;
  readonly #options: ConsumerOptions;
  readonly #group: string;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #batchBytesMax: number;
  readonly #lister: ChunkLister;
  readonly #reader: ChunkReader;
  readonly #acker: ChunkAcker;
  readonly #stop = new AbortController();
  readonly #changed = new ChangeSignal();
  readonly #cursors = new Map<string, OwnerCursor>();
  readonly #reading = new Set<OwnerCursor>();
  readonly #ready: ReadyBatch[] = [];
  #cluster: string | undefined;
  /** With `untilEnd`: the place behind the last message of each owner when the iteration began. */
  #targets: ReadonlyMap<string, OwnerPosition> | undefined;
  /** For how long a chunk that is listed could not be read. */
  #missedMs = 0;
  #failure: unknown;

  constructor(client: Client, options: ConsumerOptions) {
    this.#client = client;
    this.#options = options;
    this.#group = options.group ?? groupNameDefault;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#cluster = options.position?.cluster;
    // Every read that is under way listens to it.
    setMaxListeners(0, this.#stop.signal);
    this.#batchBytesMax = options.batchBytesMax ?? readBytesDefault;
    const { category, onRetry, pollMs = pollMsDefault } = options;
    const common = { category, group: this.#group, clock: this.#clock, pollMs };
    const { signal } = this.#stop;
    const trying = <T>(call: () => Promise<T>): Promise<T> => this.#trying(call);
    this.#lister = new ChunkLister(client, { ...common, signal, trying });
    this.#reader = new ChunkReader(client, {
      ...common,
      batchBytesMax: this.#batchBytesMax,
      signal,
      trying,
    });
    this.#acker = new ChunkAcker(client, { ...common, onRetry });
  }

  /** Everything before it was acknowledged by `ack`. `undefined` before the first listing. */
  position(): Position | undefined {
    if (this.#cluster === undefined) return undefined;
    const owners = new Map(Object.entries(this.#options.position?.owners ?? {}));
    for (const cursor of this.#cursors.values()) owners.set(cursor.owner, cursor.processedTo);
    return { cluster: this.#cluster, owners: Object.fromEntries(owners) };
  }

  /** May be called once. Leaving the loop closes the consumer. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ConsumerBatch, void, void> {
    try {
      await this.#start();
      while (!this.#stop.signal.aborted) {
        if (this.#failure !== undefined) throw this.#failure;
        const ready = this.#ready.shift();
        if (ready !== undefined) {
          this.#startRead(ready.cursor);
          yield ready.batch;
        } else if (this.#isAtTargets()) {
          return;
        } else {
          await this.#changed.wait({ clock: this.#clock, signal: this.#stop.signal });
        }
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    } finally {
      await this.close();
    }
  }

  /** Ends the iteration and waits for acknowledgements that are under way; idempotent. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#changed.notify();
    await this.#acker.settle(closeMsMax);
  }

  async #start(): Promise<void> {
    const { category, untilEnd = false } = this.#options;
    const { signal } = this.#stop;
    if (this.#options.acknowledge !== false) {
      await this.#trying(() => this.#client.registerGroup(category, this.#group, { signal }));
    }
    await this.#list('now');
    if (untilEnd) this.#targets = this.#listedEnds();
    for (const cursor of this.#cursors.values()) this.#startRead(cursor);
    if (!untilEnd) void this.#followList();
  }

  /** Lists again and again, each time held by the node until the list has changed. */
  async #followList(): Promise<void> {
    try {
      while (!this.#stop.signal.aborted) {
        await this.#list('when changed');
        for (const cursor of this.#cursors.values()) this.#startRead(cursor);
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
      const cursors = [...this.#cursors.values()];
      return cursors.length > 0 && cursors.every((cursor) => cursor.hasMore);
    };
    while (isBusy() && !this.#stop.signal.aborted) {
      const timeoutMs = endMs - this.#clock.monotonicMs();
      if (timeoutMs <= 0) return;
      await this.#changed.wait({ clock: this.#clock, timeoutMs, signal: this.#stop.signal });
    }
  }

  async #list(when: 'now' | 'when changed'): Promise<void> {
    const listing = await this.#lister.list(when);
    if (listing === undefined) return;
    this.#checkCluster(listing.cluster);
    this.#takeListing(listing.chunks);
  }

  #checkCluster(cluster: string): void {
    this.#cluster ??= cluster;
    if (this.#cluster === cluster) return;
    throw new ChukchaError(
      'cluster_changed',
      `${this.#client.server} has the messages of ${cluster}, but the position belongs to ${this.#cluster}: ` +
        'name the server that the position came from, or start with an empty state directory (--state) to read everything.',
    );
  }

  #takeListing(chunks: readonly ListedChunk[]): void {
    const byOwner = groupByOwner(chunks);
    for (const owner of byOwner.keys()) {
      if (this.#cursors.has(owner)) continue;
      const start = this.#options.position?.owners[owner] ?? { index: 0, offset: 0 };
      this.#cursors.set(owner, new OwnerCursor(owner, start));
    }
    for (const cursor of this.#cursors.values()) {
      cursor.update(byOwner.get(cursor.owner) ?? []);
      this.#ackFinished(cursor);
    }
    this.#changed.notify();
  }

  #listedEnds(): ReadonlyMap<string, OwnerPosition> {
    const ends = new Map<string, OwnerPosition>();
    for (const cursor of this.#cursors.values()) {
      const end = cursor.listedEnd();
      if (end !== undefined) ends.set(cursor.owner, end);
    }
    return ends;
  }

  /** With `untilEnd`: whether everything that was there at the beginning was handed out. */
  #isAtTargets(): boolean {
    if (this.#targets === undefined) return false;
    return [...this.#cursors.values()].every((cursor) => this.#isAtTarget(cursor));
  }

  #isAtTarget(cursor: OwnerCursor): boolean {
    if (this.#targets === undefined) return false;
    const target = this.#targets.get(cursor.owner);
    // Who came later has nothing that was there at the beginning.
    return target === undefined || cursor.hasReadTo(target) || cursor.plan() === undefined;
  }

  #startRead(cursor: OwnerCursor): void {
    if (this.#reading.has(cursor) || this.#ready.some((ready) => ready.cursor === cursor)) return;
    if (this.#stop.signal.aborted || this.#failure !== undefined || this.#isAtTarget(cursor))
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
    this.#missedMs = 0;
    const { bytes } = answer;
    const end = cursor.receive(plan, answer);
    this.#ackFinished(cursor);
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

  /** The list was older than the chunk's end, or the chunk was acknowledged or cut in the meantime. */
  async #missRead(cursor: OwnerCursor, plan: ReadPlan, error: unknown): Promise<undefined> {
    switch (errorCode(error)) {
      case 'chunk_not_found':
        return this.#missChunk(cursor, plan, error as ChukchaError);
      case 'offset_out_of_range':
        // A power failure took the end that was read already; the list shows the chunk sealed in front of it.
        await this.#list('now');
        if (cursor.plan()?.chunk === plan.chunk) throw error;
        return undefined;
      default:
        throw error;
    }
  }

  async #missChunk(cursor: OwnerCursor, plan: ReadPlan, error: ChukchaError): Promise<undefined> {
    if (error.fields['chunkState'] === 'acked') {
      cursor.forget(plan.chunk);
      return;
    }
    this.#missedMs += missingChunkMs;
    if (this.#missedMs > (this.#options.giveUpAfterMs ?? Number.POSITIVE_INFINITY)) throw error;
    this.#options.onRetry?.(error, missingChunkMs);
    await sleep(this.#clock, missingChunkMs, this.#stop.signal);
    await this.#list('now');
  }

  #ackFinished(cursor: OwnerCursor): void {
    if (this.#options.acknowledge !== false) this.#acker.ackFinished(cursor);
  }

  /** Calls again, with growing delays, while the failure may pass. */
  #trying<T>(call: () => Promise<T>): Promise<T> {
    return retry(call, {
      clock: this.#clock,
      random: this.#random,
      // What broke because the consumer stops is no failure to speak of.
      decide: (error) => (this.#stop.signal.aborted ? 'fail' : decideRetry(error)),
      onRetry: this.#options.onRetry,
      giveUpAfterMs: this.#options.giveUpAfterMs,
      signal: this.#stop.signal,
    });
  }

  #fail(error: unknown): void {
    if (!this.#stop.signal.aborted) this.#failure ??= error;
    this.#changed.notify();
  }
}

function groupByOwner(chunks: readonly ListedChunk[]): Map<string, ListedChunk[]> {
  const byOwner = new Map<string, ListedChunk[]>();
  for (const chunk of chunks) {
    const owner = parseChunkName(chunk.name)?.owner;
    if (owner === undefined) continue;
    const owned = byOwner.get(owner) ?? [];
    byOwner.set(owner, owned);
    owned.push(chunk);
  }
  return byOwner;
}

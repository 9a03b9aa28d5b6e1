import { type Clock, systemClock, type Timer } from '../common/clock.js';
import { createDeferred, type Deferred } from '../common/deferred.js';
import { type Random, systemRandom } from '../common/random.js';
import { ChangeSignal } from '../common/wait.js';
import { checkBatch } from '../protocol/batch-check.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import type { ProducerStamp } from '../protocol/http-api.js';
import { batchBytesMaxDefault } from '../protocol/limits.js';
import type { Client } from './client.js';
import { decideRetry, type RetryListener } from './decide-retry.js';
import { retryOnNodes } from './retry-on-nodes.js';

export interface ProducerOptions {
  readonly category: string;
  /** Answer only when the batch is durable on the node's disk. @default false */
  readonly sync?: boolean;
  /** Accept a batch only when so many other nodes have it too. @default 0 */
  readonly minSyncReplicas?: number;
  /** A batch of this size is sent at once, in bytes. @default 65536 */
  readonly batchBytesMin?: number;
  /** The most bytes in one write; the node's limit unless it was started with another. @default 4194304 */
  readonly batchBytesMax?: number;
  /** How long a smaller batch waits for company, in milliseconds. @default 5 */
  readonly lingerMs?: number;
  /** How many bytes may wait or be under way before `ready` holds its callers. @default 16777216 */
  readonly inFlightBytesMax?: number;
  /**
   * How long one batch is tried again while no node can be reached or all are busy, in milliseconds, before
   * it is given up; each node is tried once in any case. @default for ever
   */
  readonly giveUpAfterMs?: number;
  /**
   * When true, a batch that failed for good fails everything behind it too, so that nothing is stored out of
   * order. @default false
   */
  readonly failFast?: boolean;
  /**
   * The stamp of the first batch; those that follow count on from it. Whoever goes on for an earlier producer
   * must go on behind its last sequence: a batch under a stamp that was used is taken for the one that was
   * stored with it, or refused. @default a producer of its own, from 0
   */
  readonly firstStamp?: ProducerStamp;
  /** Called before each new try. */
  readonly onRetry?: RetryListener;
  /** @default the system's */
  readonly clock?: Clock;
  readonly random?: Random;
}

interface PendingSend {
  readonly bytes: Uint8Array;
  readonly accepted: Deferred<void>;
}

/** Makes the ids of two producers differ. */
const producerIdBytes = 8;

/**
 * Gathers messages into batches and writes them, in order, one write at a time: what arrives while a
 * write is under way becomes the next batch. A batch whose write failed in a way that may pass is sent
 * again as the same bytes with the same stamp, so a node that stored the first try after all does not store
 * it again. With several nodes it goes to the next one then, which takes it for a repetition when the first
 * copy has reached it; when it has not, the batch is stored at both.
 */
export class Producer {
  readonly #client: Client;
  readonly #category: string;
  readonly #durability: { readonly sync: boolean; readonly minSyncReplicas?: number };
  readonly #batchBytesMin: number;
  readonly #batchBytesMax: number;
  readonly #lingerMs: number;
  readonly #inFlightBytesMax: number;
  readonly #giveUpAfterMs: number | undefined;
  readonly #failFast: boolean;
  readonly #onRetry: ProducerOptions['onRetry'];
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #id: string;
  readonly #abort = new AbortController();
  readonly #settled = new ChangeSignal();
  #nextSequence: number;
  #queue: PendingSend[] = [];
  #queuedBytes = 0;
  #inFlightBytes = 0;
  #lingerTimer: Timer | undefined;
  #sending: Promise<void> | undefined;
  #closing = false;
  /** With `failFast`: what the first batch failed with. */
  #failure: unknown;

  constructor(client: Client, options: ProducerOptions) {
    this.#client = client;
    this.#category = options.category;
    const { sync = false, minSyncReplicas } = options;
    this.#durability = { sync, ...(minSyncReplicas === undefined ? {} : { minSyncReplicas }) };
    this.#batchBytesMin = options.batchBytesMin ?? 64 * 1024;
    this.#batchBytesMax = options.batchBytesMax ?? batchBytesMaxDefault;
    this.#lingerMs = options.lingerMs ?? 5;
    this.#inFlightBytesMax = options.inFlightBytesMax ?? 4 * this.#batchBytesMax;
    this.#giveUpAfterMs = options.giveUpAfterMs;
    this.#failFast = options.failFast ?? false;
    this.#onRetry = options.onRetry;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#id = options.firstStamp?.producer ?? this.#random.hex(producerIdBytes);
    this.#nextSequence = options.firstStamp?.sequence ?? 0;
  }

  /** Resolves when there is room for more; a caller that does not wait for it holds what it sends. */
  async ready(): Promise<void> {
    while (this.#inFlightBytes >= this.#inFlightBytesMax)
      await this.#settled.wait({ clock: this.#clock });
  }

  /**
   * Sends whole messages, each ended by `\n`; they go into one batch. Resolves when the bus has accepted
   * them. The bytes must not change until then.
   *
   * Throws at once what `checkBatch` throws and `batch_too_large`; later the error of the node that did
   * not pass, or `aborted` after `abort`.
   */
  send(bytes: Uint8Array): Promise<void> {
    const accepted = createDeferred<void>();
    try {
      this.#check(bytes);
    } catch (error) {
      accepted.reject(error);
      return accepted.promise;
    }
    this.#queue.push({ bytes, accepted });
    this.#queuedBytes += bytes.length;
    this.#inFlightBytes += bytes.length;
    this.#wake();
    return accepted.promise;
  }

  /** Resolves when everything that was sent is accepted or has failed; it does not wait for company. */
  async flush(): Promise<void> {
    while (this.#inFlightBytes > 0) {
      this.#startSending();
      await this.#settled.wait({ clock: this.#clock });
    }
  }

  /** Takes nothing more and flushes; idempotent. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.flush();
    await this.#sending;
  }

  /** Gives up everything that is not accepted yet; it may have been stored all the same. */
  abort(): void {
    this.#closing = true;
    this.#abort.abort(new ChukchaError('aborted', 'The producer was told to give up.'));
    this.#startSending();
  }

  #check(bytes: Uint8Array): void {
    if (this.#closing)
      throw new ChukchaError('aborted', 'The producer is closed and takes no more messages.');
    checkBatch([bytes]);
    if (bytes.length > this.#batchBytesMax) {
      throw new ChukchaError(
        'batch_too_large',
        `${bytes.length} bytes were sent at once, and a batch takes at most ${this.#batchBytesMax}: send smaller parts.`,
        { fields: { limit: this.#batchBytesMax } },
      );
    }
  }

  #wake(): void {
    if (this.#sending !== undefined) return;
    if (this.#queuedBytes >= this.#batchBytesMin || this.#lingerMs === 0) this.#startSending();
    else this.#lingerTimer ??= this.#clock.after(this.#lingerMs, () => this.#startSending());
  }

  #startSending(): void {
    this.#lingerTimer?.cancel();
    this.#lingerTimer = undefined;
    if (this.#sending !== undefined || this.#queue.length === 0) return;
    this.#sending = this.#sendQueue().finally(() => {
      this.#sending = undefined;
      // Who was answered last may have sent more before this ran.
      if (this.#queue.length > 0) this.#wake();
    });
  }

  /** What gathered during one write goes out with the next at once: it has waited already. */
  async #sendQueue(): Promise<void> {
    while (this.#queue.length > 0) {
      const { sends, byteCount } = this.#takeBatch();
      try {
        if (this.#failure !== undefined) throw this.#failure;
        await this.#writeUntilAccepted(sends.map((send) => send.bytes));
        for (const send of sends) send.accepted.resolve();
      } catch (error) {
        if (this.#failFast) this.#failure = error;
        for (const send of sends) send.accepted.reject(error);
      }
      this.#inFlightBytes -= byteCount;
      this.#settled.notify();
    }
  }

  #takeBatch(): { sends: readonly PendingSend[]; byteCount: number } {
    let byteCount = 0;
    let count = 0;
    for (const send of this.#queue) {
      if (count > 0 && byteCount + send.bytes.length > this.#batchBytesMax) break;
      byteCount += send.bytes.length;
      count += 1;
    }
    this.#queuedBytes -= byteCount;
    return { sends: this.#queue.splice(0, count), byteCount };
  }

  async #writeUntilAccepted(pieces: readonly Uint8Array[]): Promise<void> {
    const { signal } = this.#abort;
    const stamp = { producer: this.#id, sequence: this.#nextSequence };
    this.#nextSequence += 1;
    const options = { ...this.#durability, stamp, signal };
    await retryOnNodes(this.#client, () => this.#client.write(this.#category, pieces, options), {
      clock: this.#clock,
      random: this.#random,
      decide: decideRetry,
      onRetry: this.#onRetry,
      giveUpAfterMs: this.#giveUpAfterMs,
      signal,
    });
  }
}

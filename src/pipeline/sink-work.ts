import type { BatchingAdvice } from '@chukcha/plugin-api';
import type { Consumer } from '../client/consumer.js';
import type { Clock } from '../common/clock.js';
import { ChangeSignal } from '../common/wait.js';
import type { DeliveryEnd } from './batch-delivery.js';
import { type Delivery, DeliveryCutter } from './delivery-cutter.js';
import type { SinkEnd } from './sink-options.js';

/**
 * The work of a sink while it runs: one loop takes what the consumer has, as much as there is room for, and some workers cut
 * deliveries from it, each one after the other.
 */
export class SinkWork {
  readonly #consumer: Consumer;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #cutter: DeliveryCutter;
  readonly #workerCount: number;
  readonly #batchingNow: () => Required<BatchingAdvice>;
  readonly #changed = new ChangeSignal();
  #hasAll = false;
  #hasNoRoom = false;
  #busyCount = 0;
  #end: SinkEnd | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** @param batchingNow tells how deliveries are cut from now on; how many are under way at a time is asked once */
  constructor(
    consumer: Consumer,
    batchingNow: () => Required<BatchingAdvice>,
    clock: Clock,
    signal: AbortSignal,
  ) {
    this.#consumer = consumer;
    this.#clock = clock;
    this.#signal = signal;
    this.#cutter = new DeliveryCutter(batchingNow);
    this.#batchingNow = batchingNow;
    this.#workerCount = batchingNow().inFlightMax;
  }

  /**
   * Delivers until the consumer is at its end, the signal aborts, or a delivery ends the run; what is being delivered
   * then is finished first. Throws what the consumer or a delivery has failed with.
   */
  async run(deliver: (delivery: Delivery) => Promise<DeliveryEnd>): Promise<SinkEnd> {
    const stop = (): void => this.#stop('stopped');
    this.#signal.addEventListener('abort', stop, { once: true });
    if (this.#signal.aborted) stop();
    const workers = Array.from({ length: this.#workerCount }, () => this.#work(deliver));
    await Promise.all([this.#readAll(), ...workers]);
    this.#signal.removeEventListener('abort', stop);
    await this.#consumer.close();
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#end ?? 'end';
  }

  /** Never rejects. */
  async #readAll(): Promise<void> {
    try {
      for await (const batch of this.#consumer) {
        this.#cutter.add(batch, this.#clock.monotonicMs());
        this.#changed.notify();
        await this.#waitForRoom(batch.bytes.length);
        if (this.#isOver) break;
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#hasAll = true;
    this.#changed.notify();
  }

  /**
   * Each worker has room for one delivery. The next batch is taken to be as large as the last one: it has been read
   * already, so what is in memory is one delivery for each worker, and one batch.
   */
  async #waitForRoom(byteCount: number): Promise<void> {
    const isFull = (): boolean => {
      const { heldBytes } = this.#cutter;
      // What is larger than all the room has it alone.
      if (heldBytes === 0) return false;
      return heldBytes + byteCount > this.#workerCount * this.#batchingNow().bytesMax;
    };
    while (isFull() && !this.#isOver) {
      this.#hasNoRoom = true;
      // What waits for company need not, when nothing else would make room for it.
      this.#changed.notify();
      await this.#changed.wait({ clock: this.#clock });
    }
    this.#hasNoRoom = false;
  }

  /** Never rejects. */
  async #work(deliver: (delivery: Delivery) => Promise<DeliveryEnd>): Promise<void> {
    while (!this.#isOver) {
      const nowMs = this.#clock.monotonicMs();
      const isLate = this.#hasAll || (this.#hasNoRoom && this.#busyCount === 0);
      const delivery = this.#cutter.take(isLate ? Number.POSITIVE_INFINITY : nowMs);
      if (delivery === undefined) {
        if (this.#hasAll && this.#cutter.isEmpty) return;
        const { dueMs } = this.#cutter;
        const limit = dueMs === undefined ? {} : { timeoutMs: Math.max(1, dueMs - nowMs) };
        await this.#changed.wait({ clock: this.#clock, ...limit });
        continue;
      }
      this.#busyCount += 1;
      try {
        const end = await deliver(delivery);
        if (end !== 'delivered') this.#stop(end);
      } catch (error) {
        this.#fail(error);
      }
      this.#busyCount -= 1;
      this.#changed.notify();
    }
  }

  get #isOver(): boolean {
    return this.#end !== undefined || this.#failure !== undefined;
  }

  #stop(end: SinkEnd): void {
    this.#end ??= end;
    this.#finishReading();
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#finishReading();
  }

  #finishReading(): void {
    this.#consumer.stopReading();
    this.#changed.notify();
  }
}

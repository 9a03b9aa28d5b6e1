import type { Client } from '../client/client.js';
import { Producer } from '../client/producer.js';
import { systemClock } from '../common/clock.js';
import { sleep } from '../common/wait.js';
import { errorCode } from '../protocol/chukcha-error.js';
import type { LoadRun } from './load-run.js';
import type { RateSchedule } from './rate-schedule.js';

/** How long a writer that was told to end waits for what it has sent. */
const drainMsMax = 15_000;

/** Writes batches over the producer of the client library, as one of several writers. */
export class LoadWriter {
  readonly #run: LoadRun;
  readonly #index: number;
  readonly #client: Client;
  readonly #producer: Producer;
  /** Batches that nobody holds; no more of them than ever were under way. */
  readonly #free: Buffer[] = [];
  readonly #end = new AbortController();
  #failure: unknown;

  constructor(run: LoadRun, index: number) {
    const { sync, minSyncReplicas } = run.shape;
    this.#run = run;
    this.#index = index;
    this.#client = run.place.connect(index);
    this.#producer = new Producer(this.#client, {
      category: run.place.category,
      sync,
      minSyncReplicas,
      lingerMs: 0,
      failFast: true,
      onRetry: (error) => run.meter.countError(error),
    });
  }

  /** Writes the next batch when the last one is accepted, until the signal aborts. Throws what no try will change. */
  async runClosed(signal: AbortSignal): Promise<void> {
    const ending = AbortSignal.any([signal, this.#end.signal]);
    const writing = (async () => {
      while (!ending.aborted) {
        await this.#waitForRoom(ending);
        if (!ending.aborted) await this.#send(systemClock.monotonicMs());
      }
    })();
    await this.#finish(ending, writing);
  }

  /** Writes each batch when it is due, whether those before it are accepted or not. Throws as `runClosed`. */
  async runPaced(schedule: RateSchedule, signal: AbortSignal): Promise<void> {
    const ending = AbortSignal.any([signal, this.#end.signal]);
    const writing = (async () => {
      for (let batch = 0; !ending.aborted; batch += 1) {
        const dueMs = schedule.dueMs(this.#index, batch);
        const waitMs = dueMs - systemClock.monotonicMs();
        if (waitMs > 0) await sleep(systemClock, waitMs, ending).catch(() => undefined);
        await this.#waitForRoom(ending);
        await this.#producer.ready();
        if (!ending.aborted) void this.#send(dueMs);
      }
    })();
    await this.#finish(ending, writing);
  }

  /** What is read too slowly must not fill the disk. Who waits here is late, and its latency shows it. */
  async #waitForRoom(signal: AbortSignal): Promise<void> {
    const { meter, place } = this.#run;
    while (meter.backlogBytes >= place.backlogBytesMax && !signal.aborted) {
      await meter.read.wait({ clock: systemClock, signal });
    }
  }

  /** Never rejects. */
  async #send(dueMs: number): Promise<void> {
    const { layout, ledger, meter } = this.#run;
    const batch = this.#free.pop() ?? Buffer.from(layout.template);
    const sequence = ledger.nextSequence(this.#index);
    layout.stamp(batch, {
      writer: this.#index,
      sequence,
      dueMicroseconds: Math.round(dueMs * 1_000),
    });
    try {
      await this.#producer.send(batch);
    } catch (error) {
      meter.countError(error);
      if (errorCode(error) !== 'aborted') this.#failure ??= error;
      this.#end.abort();
      return;
    }
    this.#free.push(batch);
    ledger.accepted(this.#index);
    meter.writtenBytes += layout.byteCount;
    meter.writtenMessages += layout.lineCount;
    meter.writeLatency.record(systemClock.monotonicMs() - dueMs);
    meter.written.notify();
  }

  /** Waits until the signal aborts, and for what is under way then; what takes too long is given up and counted. */
  async #finish(signal: AbortSignal, writing: Promise<void>): Promise<void> {
    if (!signal.aborted) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    }
    const overdue = systemClock.after(drainMsMax, () => this.#producer.abort());
    await writing;
    await this.#producer.close();
    overdue.cancel();
    this.#client.close();
    if (this.#failure !== undefined) throw this.#failure;
  }
}

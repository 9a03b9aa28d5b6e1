import type { Clock, Timer } from '../common/clock.js';
import type { LogFields, Logger } from '../common/logger.js';
import { sleep } from '../common/wait.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import type { Category } from './category.js';
import type { RetentionLimits } from './retention.js';

export interface CaretakerOptions {
  /** The limits of a category; `undefined` for one that is kept until it is acknowledged. */
  readonly retentionOf: (category: string) => RetentionLimits | undefined;
  /** How long after a check of all chunks the next one begins, in milliseconds; 0 for never. */
  readonly scrubIntervalMs: number;
}

export interface CaretakerPorts {
  readonly clock: Clock;
  readonly log: Logger;
  /** The categories that are open now. */
  readonly categories: () => Promise<readonly Category[]>;
}

/** When the last check of all chunks ended, and how much it read. */
export interface ScrubStatus {
  readonly endedAtMs: number;
  readonly checkedBytes: number;
}

/** How often limits of age and size are looked at; what is over them may stay so much longer. */
const expiryIntervalMs = 10_000;

/** The first check comes soon, so that a node that is often started again is checked at all. */
const firstScrubDelayMs = 10 * 60_000;

/** How fast chunks are read for a check, so that it costs readers and writers little. */
const scrubBytesPerSecond = 32 * 1024 * 1024;

/** What a store does by itself from time to time: give up what is over its limits, and check what is kept. */
export class Caretaker {
  readonly #options: CaretakerOptions;
  readonly #ports: CaretakerPorts;
  readonly #stop = new AbortController();
  readonly #timers = new Set<Timer>();
  readonly #running = new Set<Promise<void>>();
  #lastScrub: ScrubStatus | undefined;

  constructor(options: CaretakerOptions, ports: CaretakerPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  /** The last check that was finished since this start. */
  get lastScrub(): ScrubStatus | undefined {
    return this.#lastScrub;
  }

  start(): void {
    const { scrubIntervalMs } = this.#options;
    this.#repeat(expiryIntervalMs, expiryIntervalMs, () => this.#expire());
    if (scrubIntervalMs === 0) return;
    const firstMs = Math.min(scrubIntervalMs, firstScrubDelayMs);
    this.#repeat(firstMs, scrubIntervalMs, () => this.scrub());
  }

  /** Checks all chunks of all categories now. */
  async scrub(): Promise<void> {
    const { clock } = this.#ports;
    let checkedBytes = 0;
    const pace = async (byteCount: number): Promise<void> => {
      checkedBytes += byteCount;
      await sleep(clock, (byteCount / scrubBytesPerSecond) * 1_000, this.#stop.signal);
    };
    for (const category of await this.#ports.categories()) {
      for (const chunk of category.view.sealedChunks) {
        const fields = { category: category.name, chunk: chunk.name };
        await this.#attempt(
          'A chunk could not be checked; the next check tries again.',
          fields,
          () => category.check(chunk, pace),
        );
      }
    }
    if (this.#stop.signal.aborted) return;
    this.#lastScrub = { endedAtMs: clock.wallMs(), checkedBytes };
  }

  /** Begins nothing more, and resolves when what is under way has ended, which is soon. */
  async close(): Promise<void> {
    this.#stop.abort();
    for (const timer of this.#timers) timer.cancel();
    await Promise.all(this.#running);
  }

  async #expire(): Promise<void> {
    for (const category of await this.#ports.categories()) {
      const limits = this.#options.retentionOf(category.name);
      if (limits === undefined) continue;
      const fields = { category: category.name };
      await this.#attempt('Messages could not be given up; it is tried again.', fields, () =>
        category.expire(limits),
      );
    }
  }

  /** Does nothing any more once it is closed; what is under way then is waited for. */
  async #attempt(failure: string, fields: LogFields, work: () => Promise<void>): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const attempt = work().catch((error: unknown) => {
      // A check that was broken off has not failed.
      if (this.#stop.signal.aborted) return;
      this.#ports.log.warn(failure, { ...fields, error: errorMessage(error) });
    });
    this.#running.add(attempt);
    await attempt;
    this.#running.delete(attempt);
  }

  /** One run at a time; the interval counts from the end of a run. */
  #repeat(delayMs: number, intervalMs: number, run: () => Promise<void>): void {
    const timer = this.#ports.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      void run().then(() => {
        if (!this.#stop.signal.aborted) this.#repeat(intervalMs, intervalMs, run);
      });
    });
    this.#timers.add(timer);
  }
}

import type { Clock, Timer } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
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
      if (this.#stop.signal.aborted) return;
      await this.#attempt('check', category, () => category.scrub(pace));
    }
    this.#lastScrub = { endedAtMs: clock.wallMs(), checkedBytes };
  }

  close(): void {
    this.#stop.abort();
    for (const timer of this.#timers) timer.cancel();
  }

  async #expire(): Promise<void> {
    for (const category of await this.#ports.categories()) {
      const limits = this.#options.retentionOf(category.name);
      if (limits !== undefined)
        await this.#attempt('expire', category, () => category.expire(limits));
    }
  }

  async #attempt(work: string, { name }: Category, run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      const fields = { work, category: name, error: errorMessage(error) };
      this.#ports.log.warn('Upkeep of a category failed; it is tried again.', fields);
    }
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

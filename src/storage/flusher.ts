import type { Clock, Timer } from '../common/clock.js';
import { forEachLimited } from '../common/for-each-limited.js';
import { Mutex } from '../common/mutex.js';

/** Something that has written bytes which a crash of the machine would lose. */
export interface Flushable {
  /** Makes everything durable that was written before the call; a failure is the target's own to report. */
  flush(): Promise<void>;
}

/** How many are flushed at a time: as many as Node has threads for the disk. */
const flushCountMax = 4;

/**
 * Makes writes durable in the background: what was written is flushed at most one interval later, plus
 * the time that the disk takes.
 */
export class Flusher {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #lane = new Mutex();
  #dirty = new Set<Flushable>();
  #timer: Timer | undefined;
  #queued: Promise<void> | undefined;
  #closed = false;

  constructor(clock: Clock, intervalMs: number) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  markDirty(target: Flushable): void {
    this.#dirty.add(target);
    if (this.#closed) return;
    this.#timer ??= this.#clock.after(this.#intervalMs, () => void this.flushAll());
  }

  /** Flushes all that is dirty now; never rejects. A call while another one waits for its turn joins it. */
  flushAll(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#queued ??= this.#lane.run(() => {
      this.#queued = undefined;
      return this.#flushDirty();
    });
    return this.#queued;
  }

  /** Whether there is something that was not made durable yet. */
  get isDirty(): boolean {
    return this.#dirty.size > 0;
  }

  /** Flushes what is left and stops; what cannot be flushed now is left to the next start. */
  close(): Promise<void> {
    this.#closed = true;
    return this.flushAll();
  }

  async #flushDirty(): Promise<void> {
    const targets = [...this.#dirty];
    this.#dirty = new Set();
    await forEachLimited(targets, flushCountMax, (target) => target.flush());
  }
}

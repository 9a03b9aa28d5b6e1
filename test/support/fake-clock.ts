import type { Clock, Timer } from '../../src/common/clock.js';

interface PendingTimer {
  readonly dueMs: number;
  readonly run: () => void;
}

/** A clock that stands still until a test moves it. */
export class FakeClock implements Clock {
  #nowMs = 0;
  #wallOffsetMs: number;
  readonly #timers = new Set<PendingTimer>();
  #timerWaiters: (() => void)[] = [];

  constructor(wallStartMs = Date.UTC(2026, 0, 1)) {
    this.#wallOffsetMs = wallStartMs;
  }

  get timerCount(): number {
    return this.#timers.size;
  }

  wallMs(): number {
    return this.#wallOffsetMs + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const timer = { dueMs: this.#nowMs + delayMs, run };
    this.#timers.add(timer);
    for (const wake of this.#timerWaiters.splice(0)) wake();
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /** Resolves when somebody has begun to wait: at the next call of `after`. */
  nextTimer(): Promise<void> {
    return new Promise((resolve) => this.#timerWaiters.push(resolve));
  }

  /** The turns of the event loop stay real: files and sockets need them. */
  defer(run: () => void): void {
    setImmediate(run);
  }

  /** Moves on and runs what becomes due, in the order of time. */
  advance(byMs: number): void {
    const endMs = this.#nowMs + byMs;
    for (let next = this.#nextDue(endMs); next !== undefined; next = this.#nextDue(endMs)) {
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.run();
    }
    this.#nowMs = endMs;
  }

  /** Sets the wall clock, as an administrator would; measured durations do not see it. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  #nextDue(endMs: number): PendingTimer | undefined {
    const due = [...this.#timers].filter((timer) => timer.dueMs <= endMs);
    return due.sort((left, right) => left.dueMs - right.dueMs)[0];
  }
}

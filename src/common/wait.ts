import type { Clock, Timer } from './clock.js';

/** Resolves after `delayMs`; rejects with the reason of the signal when that aborts first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const abort = (): void => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', abort);
      resolve();
    });
    signal?.addEventListener('abort', abort, { once: true });
  });
}

export interface WaitLimits {
  readonly clock: Clock;
  /** How long to wait at most; without it the wait ends by a change or the signal. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Wakes whoever waits for something to change. It carries no value: who is woken looks at the state
 * again. A change that happens while nobody waits is not remembered, so look first and wait then, with
 * no `await` in between.
 */
export class ChangeSignal {
  readonly #waiters = new Set<() => void>();

  notify(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }

  /** Resolves at the next change, at the time-out, or when the signal aborts; never rejects. */
  wait(limits: WaitLimits): Promise<void> {
    return ChangeSignal.waitForAny([this], limits);
  }

  /** As `wait`, for the first of several changes. */
  static waitForAny(changes: readonly ChangeSignal[], limits: WaitLimits): Promise<void> {
    const { clock, timeoutMs, signal } = limits;
    return new Promise((resolve) => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      let timer: Timer | undefined;
      const wake = (): void => {
        for (const change of changes) change.#waiters.delete(wake);
        timer?.cancel();
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      for (const change of changes) change.#waiters.add(wake);
      if (timeoutMs !== undefined) timer = clock.after(timeoutMs, wake);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }
}

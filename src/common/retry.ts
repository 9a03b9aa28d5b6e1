import { Backoff } from './backoff.js';
import type { Clock } from './clock.js';
import type { Random } from './random.js';
import { sleep } from './wait.js';

/**
 * What to do about a failure: throw it, or call again after a growing delay, after a fixed one, or after what
 * the other side asked for and a growing delay on top, so that not all come back at the same moment.
 */
export type RetryDecision =
  | 'fail'
  | 'back off'
  | { readonly afterMs: number }
  | { readonly notBeforeMs: number };

export interface RetryOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly decide: (error: unknown) => RetryDecision;
  /** Called before each new try. */
  readonly onRetry?: ((error: unknown, delayMs: number) => void) | undefined;
  /** How long after the first try no other one begins, in milliseconds. @default for ever */
  readonly giveUpAfterMs?: number | undefined;
  readonly signal: AbortSignal;
}

/**
 * Calls until that succeeds. Throws the failure when it is not to be tried again or the time is over, and
 * the signal's reason when that aborts between two tries.
 */
export async function retry<T>(call: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, signal, giveUpAfterMs = Number.POSITIVE_INFINITY } = options;
  const backoff = new Backoff(options.random);
  const giveUpAtMs = clock.monotonicMs() + giveUpAfterMs;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const decision = options.decide(error);
      if (decision === 'fail') throw error;
      const delayMs = delayOf(decision, backoff);
      if (clock.monotonicMs() + delayMs > giveUpAtMs) throw error;
      options.onRetry?.(error, delayMs);
      await sleep(clock, delayMs, signal);
    }
  }
}

function delayOf(decision: Exclude<RetryDecision, 'fail'>, backoff: Backoff): number {
  if (decision === 'back off') return backoff.nextDelayMs();
  return 'afterMs' in decision ? decision.afterMs : decision.notBeforeMs + backoff.nextDelayMs();
}

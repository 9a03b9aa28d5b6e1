import { Backoff } from './backoff.js';
import type { Clock } from './clock.js';
import type { Random } from './random.js';
import { sleep } from './wait.js';

/** What to do about a failure: throw it, or call again after a growing delay or after a fixed one. */
export type RetryDecision = 'fail' | 'back off' | { readonly afterMs: number };

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
      const delayMs = decision === 'back off' ? backoff.nextDelayMs() : decision.afterMs;
      if (clock.monotonicMs() + delayMs > giveUpAtMs) throw error;
      options.onRetry?.(error, delayMs);
      await sleep(clock, delayMs, signal);
    }
  }
}

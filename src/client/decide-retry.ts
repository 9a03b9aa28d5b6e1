import type { RetryDecision } from '../common/retry.js';
import { ChukchaError } from '../protocol/chukcha-error.js';

/** Is told of each failure that is tried again. */
export type RetryListener = (error: unknown, delayMs: number) => void;

/** The longest wait that a node may ask for; one that is back earlier is not left alone for longer. */
const retryAfterMsMax = 30_000;

/** What a node answered that may pass is tried again, and so is a node that cannot be reached. */
export function decideRetry(error: unknown): RetryDecision {
  if (!(error instanceof ChukchaError) || !error.retryable) return 'fail';
  // A chunk that is missing will not come back by asking for it; the list tells what there is.
  if (error.code === 'chunk_not_found') return 'fail';
  const { retryAfterMs } = error.fields;
  if (typeof retryAfterMs !== 'number') return 'back off';
  return { notBeforeMs: Math.min(retryAfterMs, retryAfterMsMax) };
}

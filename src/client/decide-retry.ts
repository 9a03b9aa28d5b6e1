import type { RetryDecision } from '../common/retry.js';
import { ChukchaError, errorCode } from '../protocol/chukcha-error.js';
import type { ErrorCode } from '../protocol/error-codes.js';

/** Is told of each failure that is tried again. */
export type RetryListener = (error: unknown, delayMs: number) => void;

/** The longest wait that a node may ask for; one that is back earlier is not left alone for longer. */
const retryAfterMsMax = 30_000;

/** What another node may well do although this one cannot. A node that is only busy is given its time instead. */
const nodeFailureCodes: ReadonlySet<ErrorCode> = new Set([
  'server_unreachable',
  'timeout',
  'draining',
  'storage_failed',
  'disk_full',
  'too_few_replicas',
  'not_replicated',
  'coordination_unavailable',
  'internal',
]);

/** Tells whether the failure is one of the node that was asked, so that another one is worth asking. */
export function isNodeFailure(error: unknown): boolean {
  const code = errorCode(error);
  return code !== undefined && nodeFailureCodes.has(code);
}

/** What a node answered that may pass is tried again, and so is a node that cannot be reached. */
export function decideRetry(error: unknown): RetryDecision {
  if (!(error instanceof ChukchaError) || !error.retryable) return 'fail';
  // A chunk that is missing will not come back by asking for it; the list tells what there is.
  if (error.code === 'chunk_not_found') return 'fail';
  const { retryAfterMs } = error.fields;
  if (typeof retryAfterMs !== 'number') return 'back off';
  return { notBeforeMs: Math.min(retryAfterMs, retryAfterMsMax) };
}

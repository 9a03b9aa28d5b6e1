import { type RetryOptions, retry } from '../common/retry.js';
import { isNodeFailure, type RetryListener } from './decide-retry.js';
import type { ServerList } from './node-ring.js';

/** What is known of a client here: one that goes on to the next of its nodes when a call fails. */
interface SeveralNodes {
  readonly servers: ServerList;
}

export interface EachNodeOptions {
  /** Called before each further node is asked. */
  readonly onRetry?: RetryListener | undefined;
  readonly signal?: AbortSignal;
}

/**
 * Calls, and as long as that fails by a fault of the node, calls again at once, until each node was asked once.
 * Throws what the last one failed with.
 */
export async function callEachNode<T>(
  client: SeveralNodes,
  call: () => Promise<T>,
  { onRetry, signal }: EachNodeOptions = {},
): Promise<T> {
  for (let left = client.servers.length - 1; ; left -= 1) {
    try {
      return await call();
    } catch (error) {
      if (left <= 0 || signal?.aborted || !isNodeFailure(error)) throw error;
      onRetry?.(error, 0);
    }
  }
}

/**
 * As `retry`, in rounds: each try asks one node after the other, and the delays and the time limit lie between the
 * rounds. So a single failure costs no delay, and a limit of 0 still asks every node once.
 */
export function retryOnNodes<T>(
  client: SeveralNodes,
  call: () => Promise<T>,
  options: RetryOptions,
): Promise<T> {
  return retry(() => callEachNode(client, call, options), options);
}

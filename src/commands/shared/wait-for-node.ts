import type { Client } from '../../client/client.js';
import type { NodeInfo } from '../../client/client-calls.js';
import { decideRetry } from '../../client/decide-retry.js';
import { retryOnNodes } from '../../client/retry-on-nodes.js';
import { systemClock } from '../../common/clock.js';
import { systemRandom } from '../../common/random.js';

/**
 * Makes sure that there is a node before anything else is done. Tries each node once, or for as long as it was asked
 * to: somebody who just starts a command wants to hear at once that the address is wrong.
 */
export function waitForNode(
  client: Client,
  retrySeconds: number | undefined,
  signal: AbortSignal,
): Promise<NodeInfo> {
  return retryOnNodes(client, () => client.live({ signal }), {
    clock: systemClock,
    random: systemRandom,
    decide: decideRetry,
    giveUpAfterMs: (retrySeconds ?? 0) * 1_000,
    signal,
  });
}

import type { Client, NodeInfo } from '../../client/client.js';
import { decideRetry } from '../../client/decide-retry.js';
import { systemClock } from '../../common/clock.js';
import { systemRandom } from '../../common/random.js';
import { retry } from '../../common/retry.js';

/**
 * Makes sure that there is a node before anything else is done. Tries once, or for as long as it was asked
 * to: somebody who just starts a command wants to hear at once that the address is wrong.
 */
export function waitForNode(
  client: Client,
  retrySeconds: number | undefined,
  signal: AbortSignal,
): Promise<NodeInfo> {
  return retry(() => client.live({ signal }), {
    clock: systemClock,
    random: systemRandom,
    decide: decideRetry,
    giveUpAfterMs: (retrySeconds ?? 0) * 1_000,
    signal,
  });
}

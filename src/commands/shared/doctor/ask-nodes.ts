import { Client } from '../../../client/client.js';
import type { Credentials } from '../../../client/credentials.js';
import { linkSignals } from '../../../common/link-signals.js';
import { errorMessage } from '../../../protocol/chukcha-error.js';
import type { AskedNode } from './node-checks.js';

/** How long a node may take for its status; a slow answer is a finding by itself. */
const statusMsMax = 5_000;

/** Which nodes, and what is shown to them. */
export interface NodesToAsk {
  readonly servers: readonly string[];
  readonly credentials: Credentials;
}

/**
 * The status of each of the nodes, and of the other nodes of their clusters, each once. A node that does not answer is
 * there with the reason. In the order of the addresses, then by name.
 */
export async function askNodes(
  { servers, credentials }: NodesToAsk,
  signal?: AbortSignal,
): Promise<AskedNode[]> {
  const ask = (url: string): Promise<AskedNode> => askNode(url, credentials, signal);
  const named = await Promise.all(servers.map(ask));
  const known = new Set(named.flatMap(({ status }) => (status === undefined ? [] : [status.node])));
  const others = new Map<string, string>();
  for (const { status } of named) {
    for (const { name, url } of status?.clusterStatus?.members ?? []) {
      if (!known.has(name)) others.set(name, url);
    }
  }
  const urls = [...others.values()].filter((url) => !servers.includes(url));
  return [...named, ...(await Promise.all(urls.map(ask)))];
}

async function askNode(
  url: string,
  credentials: Credentials,
  signal?: AbortSignal,
): Promise<AskedNode> {
  const client = new Client({ server: url, ...credentials });
  const limit = AbortSignal.timeout(statusMsMax);
  const end = linkSignals(limit, ...(signal === undefined ? [] : [signal]));
  try {
    const status = await client.status({ signal: end.signal });
    return { url, status, askedMs: Date.now() };
  } catch (error) {
    const problem = limit.aborted ? `it took more than ${statusMsMax} ms` : errorMessage(error);
    return { url, problem, askedMs: Date.now() };
  } finally {
    end.release();
    client.close();
  }
}

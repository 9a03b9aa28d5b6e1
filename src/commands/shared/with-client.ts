import { Client } from '../../client/client.js';
import { callEachNode } from '../../client/retry-on-nodes.js';
import { type CredentialValues, readCredentials } from './credential-flags.js';

/**
 * Makes a call, and as long as that fails by a fault of the node, the same call at the next of the nodes that were
 * named, each once: somebody who typed a command wants to hear at once that none of them answers.
 */
export async function withClient<T>(
  target: { readonly server: string } & CredentialValues,
  call: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client({ server: target.server, ...(await readCredentials(target)) });
  try {
    return await callEachNode(client, () => call(client));
  } finally {
    client.close();
  }
}

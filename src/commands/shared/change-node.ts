import type { NodeChange } from '../../protocol/http-api.js';
import type { CredentialValues } from './credential-flags.js';

/** Changes a member of a cluster through any of its nodes. Throws what the node answers. */
export async function changeNode(
  target: { readonly server: string } & CredentialValues,
  node: string,
  change: NodeChange,
  force = false,
): Promise<void> {
  const { checkNodeName } = await import('../../protocol/names.js');
  checkNodeName(node);
  const { withClient } = await import('./with-client.js');
  await withClient(target, (client) => client.changeNode(node, change, { force }));
}

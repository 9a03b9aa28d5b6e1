import { silentLogger } from '../../src/common/logger.js';
import type { Identity } from '../../src/node/identity.js';
import { resolveNodeOptions } from '../../src/node/node-options.js';
import { type RunningNode, startNode } from '../../src/node/start-node.js';

/** A whole node in this process, on a free port, or on the one of an earlier start. */
export function startTestNode(
  dataDirectory: string,
  options: Record<string, unknown> = {},
): Promise<RunningNode> {
  const resolved = resolveNodeOptions({
    data: dataDirectory,
    listen: '127.0.0.1:0',
    name: 'node1',
    // A test must not depend on how full the disk of the machine is.
    'disk-reserve': '0',
    ...options,
  });
  return startNode(resolved, { log: silentLogger });
}

/** Who a node of a test is. */
export function testIdentity(nodeName = 'node1'): Identity {
  return { version: 1, clusterId: 'cluster1', nodeName, directoryId: 'directory1' };
}

/** The address of a node in the form that `listen` takes. */
export function listenAddress(node: RunningNode): string {
  return new URL(node.url).host;
}

import { createRequire } from 'node:module';
import type { Clock } from '../common/clock.js';
import type { ClusterStatus, NodeState, NodeStatus } from '../protocol/http-api.js';
import type { ByteBudget } from '../server/byte-budget.js';
import type { PipelineBoard } from '../server/pipeline-board.js';
import type { Store } from '../storage/store.js';
import type { Identity } from './identity.js';

export interface NodeStatusPorts {
  readonly identity: Identity;
  readonly store: Store;
  readonly clock: Clock;
  readonly budget: ByteBudget;
  readonly pipelines: PipelineBoard;
  /** Aborts when the node begins to stop. */
  readonly stopping: AbortSignal;
  /** What there is to say of the cluster; `undefined` for a node that stands alone. */
  readonly cluster: (() => ClusterStatus) | undefined;
  /** Whether an operator empties the node. */
  readonly isDraining: () => boolean;
}

const { version } = createRequire(import.meta.url)('chukcha/package.json') as { version: string };

/** Returns how to ask a node that starts now for its status. */
export function createNodeStatus(ports: NodeStatusPorts): () => Promise<NodeStatus> {
  const { identity, store, clock, budget, cluster, pipelines } = ports;
  const startedAt = new Date(clock.wallMs()).toISOString();
  const startMs = clock.monotonicMs();
  return async () => ({
    node: identity.nodeName,
    cluster: identity.clusterId,
    version,
    state: stateOf(ports),
    startedAt,
    uptimeSeconds: Math.floor((clock.monotonicMs() - startMs) / 1_000),
    bytesInFlight: budget.usedBytes,
    disk: store.diskStatus,
    clusterStatus: cluster?.() ?? null,
    lastScrub: describeScrub(store),
    categories: (await store.categories()).map((category) => ({
      name: category.name,
      ...category.view.held(),
      ...category.traffic,
      expiredBytes: category.expiredBytes,
      hiddenChunks: category.hiddenChunks,
      groups: category.view.groups(),
    })),
    pipelines: pipelines.list(),
  });
}

function stateOf({ stopping, isDraining }: NodeStatusPorts): NodeState {
  if (stopping.aborted) return 'stopping';
  return isDraining() ? 'draining' : 'running';
}

function describeScrub({ lastScrub }: Store): NodeStatus['lastScrub'] {
  if (lastScrub === undefined) return null;
  const { endedAtMs, checkedBytes } = lastScrub;
  return { endedAt: new Date(endedAtMs).toISOString(), checkedBytes };
}

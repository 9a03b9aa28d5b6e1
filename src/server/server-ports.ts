import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import type { NodeStatus } from '../protocol/http-api.js';
import type { OpenFiles } from '../storage/open-files.js';
import type { Store } from '../storage/store.js';
import type { Access } from './access/access.js';
import type { ClusterSecret } from './access/cluster-secret.js';
import type { ByteBudget } from './byte-budget.js';
import type { ClusterPorts } from './cluster-ports.js';
import type { GroupLeases } from './group-leases.js';
import type { PipelineBoard } from './pipeline-board.js';
import type { RequestCounts } from './request-counts.js';
import type { SlabPool } from './slab-pool.js';

/** What the routes work with. */
export interface ServerPorts {
  readonly store: Store;
  readonly clock: Clock;
  /** Limited in its rate: a failing disk fails every request. */
  readonly log: Logger;
  readonly slabs: SlabPool;
  /** What the bodies of requests take of memory, all together. */
  readonly budget: ByteBudget;
  /** The files of the chunks that are read. */
  readonly files: OpenFiles;
  /** Which readers drain what for their groups. */
  readonly leases: GroupLeases;
  /** What ships and sinks say of themselves. */
  readonly pipelines: PipelineBoard;
  readonly nodeName: string;
  /** The id of the cluster, or of the data directory of a lone node. */
  readonly clusterId: string;
  readonly batchBytesMax: number;
  /** The tokens that are accepted; `undefined` when the node asks for none. */
  readonly access: Access | undefined;
  /** What peers have to show; without it a node that asks for tokens takes no peer. */
  readonly clusterSecret: ClusterSecret | undefined;
  /** The cluster that the node is a member of; `undefined` when it stands alone. */
  readonly cluster: ClusterPorts | undefined;
  /** What the node says of itself; it knows more of it than the routes do. */
  readonly status: () => Promise<NodeStatus>;
  /** Why the node takes no writes, as sentences; none when it does. */
  readonly readiness: () => Promise<readonly string[]>;
  /** What was answered since the start. */
  readonly counts: RequestCounts;
  /** The metrics in the text form of Prometheus. */
  readonly metrics: { readonly contentType: string; read(): Promise<string> };
  /** Aborts when the node begins to stop: long polls answer at once, connections are closed after use. */
  readonly stopping: AbortSignal;
}

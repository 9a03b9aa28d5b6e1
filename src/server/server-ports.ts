import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import type { OpenFiles } from '../storage/open-files.js';
import type { Store } from '../storage/store.js';
import type { ByteBudget } from './byte-budget.js';
import type { SlabPool } from './slab-pool.js';

/** What the routes work with. */
export interface ServerPorts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly slabs: SlabPool;
  /** What the bodies of requests take of memory, all together. */
  readonly budget: ByteBudget;
  /** The files of the chunks that are read. */
  readonly files: OpenFiles;
  readonly nodeName: string;
  /** The id of the cluster, or of the data directory of a lone node. */
  readonly clusterId: string;
  readonly batchBytesMax: number;
  /** Aborts when the node begins to stop: long polls answer at once, connections are closed after use. */
  readonly stopping: AbortSignal;
}

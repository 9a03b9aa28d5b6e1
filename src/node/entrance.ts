import { hostname } from 'node:os';
import type { Random } from '../common/random.js';
import { ClusterTable } from '../coordination/cluster-table.js';
import type { Coordinator, CoordinatorSnapshot } from '../coordination/coordinator.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { dataLayout } from '../storage/data-layout.js';
import type { Disk } from '../storage/disk.js';
import type { StoreMembership } from '../storage/store.js';
import { fileSnapshot } from './cluster-snapshot.js';
import { enterCluster, machineRestarted } from './enter-cluster.js';
import { type Identity, openIdentity } from './identity.js';
import type { ClusterOptions, NodeOptions } from './node-options.js';

export interface EntrancePorts {
  readonly disk: Disk;
  readonly random: Random;
  readonly openCoordinator: OpenCoordinator;
}

/** Opens what the nodes of a cluster agree on; resolves also while it cannot be reached. */
export type OpenCoordinator = (
  options: ClusterOptions,
  snapshot: CoordinatorSnapshot,
) => Promise<Coordinator>;

/** Whose directory it is, and what there is to know of it as a member of a cluster. */
export interface Entrance {
  readonly identity: Identity;
  readonly membership?: StoreMembership;
  readonly table?: ClusterTable;
  /** What tells this process from others under the same name. */
  readonly place: string;
}

/** Finds out as whom a node starts, and in a cluster whether it may. Throws what `openIdentity` or `enterCluster` throws. */
export async function enter(
  options: NodeOptions,
  dataDirectory: string,
  ports: EntrancePorts,
): Promise<Entrance> {
  const { disk, random } = ports;
  const { cluster, name } = options;
  const place = `${hostname()}:${dataDirectory}`;
  if (cluster === undefined) {
    return { identity: await openIdentity(disk, random, dataDirectory, name), place };
  }
  if (cluster.advertisedUrl === undefined && wildcardHosts.has(options.host)) {
    throw new ChukchaError(
      'invalid_option',
      `--listen ${options.host}:${options.port} says not how other nodes reach this one: give its address with --advertise, for example http://node1.example:${options.port || 8080}.`,
    );
  }
  const { stateDirectory } = dataLayout(dataDirectory);
  await disk.makeDirectory(stateDirectory);
  const snapshot = fileSnapshot(disk, `${stateDirectory}/cluster.json`);
  const coordinator = await ports.openCoordinator(cluster, snapshot);
  const table = new ClusterTable(coordinator);
  try {
    const identity = await enterCluster({ dataDirectory, name, cluster }, { disk, random, table });
    const membership = {
      mayHaveLost: await machineRestarted(disk, stateDirectory),
      firstIndexOf: (category: string) => firstIndexOf(identity, table, category),
    };
    return { identity, membership, table, place };
  } catch (error) {
    await coordinator.close();
    throw error;
  }
}

/** Addresses that stand for all of a machine. */
const wildcardHosts: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** More indexes than a node uses while it cannot say in the cluster which it uses. */
const replacementGapCount = 100_000;

/** Behind all that a lost directory of the node may have used. */
function firstIndexOf(identity: Identity, table: ClusterTable, category: string): number {
  if (identity.isReplacement !== true) return 0;
  return table.reservedBefore(identity.nodeName, category) + replacementGapCount;
}

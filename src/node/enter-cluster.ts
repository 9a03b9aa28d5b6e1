import type { Random } from '../common/random.js';
import type { ClusterTable, Member } from '../coordination/cluster-table.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { replaceFile } from '../storage/atomic-file.js';
import type { Disk } from '../storage/disk.js';
import { findIdentity, type Identity, newIdentity, saveIdentity } from './identity.js';
import type { ClusterOptions } from './node-options.js';

export interface EntranceOptions {
  readonly dataDirectory: string;
  /** The name that was asked for; `undefined` takes what the directory says, or the host's. */
  readonly name: string | undefined;
  readonly cluster: ClusterOptions;
}

export interface EntrancePorts {
  readonly disk: Disk;
  readonly random: Random;
  readonly table: ClusterTable;
}

/**
 * Finds out whether a data directory may take part in the cluster as the node, and gives it an identity when it has
 * none. Directory and cluster have to agree: a name that the cluster knows stands for one directory, and one that is
 * empty is a disk that was lost. A directory that stood alone founds a cluster, but joins none.
 *
 * A member starts also while etcd cannot be reached. Throws `membership_refused`, `directory_invalid`, or
 * `coordination_unavailable` for a node that joins.
 */
export async function enterCluster(
  options: EntranceOptions,
  { disk, random, table }: EntrancePorts,
): Promise<Identity> {
  const { dataDirectory, cluster } = options;
  const found = await findIdentity(disk, dataDirectory, options.name);
  if (found?.clusterName !== undefined && found.clusterName !== cluster.name) {
    throw refused(
      `Directory ${dataDirectory} belongs to a member of the cluster ${found.clusterName}, not of ${cluster.name}: start with --cluster ${found.clusterName}, or with another --data directory.`,
    );
  }
  const { status } = table.coordinator;
  if (!status.isCurrent) {
    if (found?.clusterName === cluster.name && table.member(found.nodeName) !== undefined) {
      checkMember(table, found, dataDirectory);
      return found;
    }
    throw new ChukchaError(
      'coordination_unavailable',
      `The node cannot join the cluster ${cluster.name} while etcd at ${cluster.etcdHosts.join(', ')} ${
        status.isDenied === true
          ? `does not let it in (${status.problem}).`
          : `does not answer (${status.problem ?? 'no reason is known'}): start etcd, or look at --etcd.`
      }`,
    );
  }
  const clusterId = table.clusterId ?? (await table.found(found?.clusterId ?? random.hex(8)));
  const identity = found ?? newIdentity(random, clusterId, options.name);
  if (identity.clusterId !== clusterId) {
    throw refused(
      `Directory ${dataDirectory} has messages of its own (cluster id ${identity.clusterId}), and the cluster ${cluster.name} (${clusterId}) has others: start with an empty --data directory, or with another --cluster.`,
    );
  }
  const isReplacement = checkMember(table, identity, dataDirectory, found === undefined);
  const entered = {
    ...identity,
    clusterName: cluster.name,
    ...((isReplacement || identity.isReplacement === true) && { isReplacement: true }),
  };
  if (found === undefined || found.clusterName === undefined || isReplacement) {
    await saveIdentity(disk, dataDirectory, entered);
  }
  return entered;
}

/** Enters the node among the members, or says where it is now; durable in the cluster when it resolves. */
export function announceMember(
  table: ClusterTable,
  { nodeName: name, directoryId: directory }: Identity,
  url: string,
): Promise<Member> {
  return table.changeMember(name, (before) => {
    if (before?.state === 'removed') throw removedError(name);
    const comesBack = before?.state === 'lost' || before?.state === 'replaceable';
    if (before !== undefined && !comesBack && before.directory !== directory) {
      throw refused(otherDirectory(name, 'this one'));
    }
    const epoch = (before?.epoch ?? 0) + (comesBack || before === undefined ? 1 : 0);
    const state = before?.state === 'draining' ? 'draining' : 'active';
    return { name, directory, url, state, epoch };
  });
}

/** Tells whether the directory takes the place of one that was lost. Throws `membership_refused`. */
function checkMember(
  table: ClusterTable,
  { nodeName: name, directoryId }: Identity,
  dataDirectory: string,
  isEmpty = false,
): boolean {
  const member = table.member(name);
  if (member === undefined) return false;
  if (member.state === 'removed') throw removedError(name);
  if (member.state === 'replaceable') return member.directory !== directoryId;
  if (isEmpty) {
    throw refused(
      `The cluster knows node ${name} with another directory, and ${dataDirectory} is empty: when the disk of ${name} was lost, say so with \`chukcha node replace ${name}\` at another node and start it again; else start with its --data directory, or with another --name.`,
    );
  }
  if (member.directory !== directoryId) throw refused(otherDirectory(name, dataDirectory));
  return false;
}

function otherDirectory(name: string, directory: string): string {
  return `The cluster knows node ${name} with another directory than ${directory}: start it with its own --data directory, or give this one another --name; when the other directory is lost, say \`chukcha node replace ${name}\` at another node.`;
}

function removedError(name: string): ChukchaError {
  return refused(
    `Node ${name} was removed from the cluster: start with an empty --data directory and another --name, or take it in again with \`chukcha node replace ${name}\` at another node.`,
  );
}

function refused(message: string): ChukchaError {
  return new ChukchaError('membership_refused', message);
}

/**
 * Whether the machine was started anew since the last start of the node, so that what was written last may be
 * lost: a process that dies alone loses nothing that it has written.
 */
export async function machineRestarted(disk: Disk, stateDirectory: string): Promise<boolean> {
  const path = `${stateDirectory}/machine-boot`;
  const [now, before] = await Promise.all(
    ['/proc/sys/kernel/random/boot_id', path].map((file) =>
      disk.readFile(file).then(
        (bytes) => bytes.toString().trim(),
        (error: unknown) => `unknown: ${errorMessage(error)}`,
      ),
    ),
  );
  if (now === before) return false;
  // Without room for it the next start takes the longer way.
  await replaceFile(disk, path, `${now}\n`).catch(() => undefined);
  return true;
}

import { hostname } from 'node:os';
import type { Random } from '../common/random.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { nodeNameLengthMax } from '../protocol/limits.js';
import { checkNodeName } from '../protocol/names.js';
import { replaceFile } from '../storage/atomic-file.js';
import { type Disk, hasSystemCode } from '../storage/disk.js';

/** Who a data directory belongs to; kept in its `identity.json`. */
export interface Identity {
  readonly version: 1;
  /** The cluster that the chunks belong to; a lone node is a cluster of its own. */
  readonly clusterId: string;
  readonly nodeName: string;
  /** Made once for the directory, so that a directory that was wiped is not taken for the old one. */
  readonly directoryId: string;
  /** The name of the cluster that the node is a member of; missing for one that stands alone. */
  readonly clusterName?: string;
  /** Whether an earlier directory of the node was lost, of which the peers have copies. */
  readonly isReplacement?: boolean;
}

/**
 * Reads the identity of the data directory of a node that stands alone, or gives it one. Throws `directory_invalid`
 * when the directory belongs to a node of another name, whose chunks would look like this one's, or to a member of a
 * cluster.
 */
export async function openIdentity(
  disk: Disk,
  random: Random,
  dataDirectory: string,
  wantedName: string | undefined,
): Promise<Identity> {
  const found = await findIdentity(disk, dataDirectory, wantedName);
  if (found?.clusterName !== undefined) {
    throw new ChukchaError(
      'directory_invalid',
      `Directory ${dataDirectory} belongs to a member of the cluster ${found.clusterName}: start with --etcd and --cluster ${found.clusterName}, or with another --data directory.`,
    );
  }
  if (found !== undefined) return found;
  const identity = newIdentity(random, random.hex(8), wantedName);
  await saveIdentity(disk, dataDirectory, identity);
  return identity;
}

/** The identity of a directory that has one. Throws `directory_invalid` when it is that of a node of another name. */
export async function findIdentity(
  disk: Disk,
  dataDirectory: string,
  wantedName: string | undefined,
): Promise<Identity | undefined> {
  const found = await readIdentity(disk, `${dataDirectory}/identity.json`);
  if (found === undefined || wantedName === undefined || wantedName === found.nodeName)
    return found;
  throw new ChukchaError(
    'directory_invalid',
    `Directory ${dataDirectory} belongs to node ${found.nodeName}, not to ${wantedName}: ` +
      `start with --name ${found.nodeName}, or with another --data directory.`,
  );
}

/** An identity for a directory that has none. */
export function newIdentity(
  random: Random,
  clusterId: string,
  wantedName: string | undefined,
): Identity {
  const nodeName = checkNodeName(wantedName ?? hostNodeName());
  return { version: 1, clusterId, nodeName, directoryId: random.hex(16) };
}

/** Durable when it resolves. */
export async function saveIdentity(
  disk: Disk,
  dataDirectory: string,
  identity: Identity,
): Promise<void> {
  await replaceFile(disk, `${dataDirectory}/identity.json`, `${JSON.stringify(identity)}\n`);
}

/** Throws `directory_invalid` for a directory that is not a node's. */
export async function requireDataDirectory(disk: Disk, dataDirectory: string): Promise<void> {
  const identity = await readIdentity(disk, `${dataDirectory}/identity.json`);
  if (identity !== undefined) return;
  throw new ChukchaError(
    'directory_invalid',
    `${dataDirectory} is not the data directory of a node: it has no identity.json; name the one that was given to serve with --data.`,
  );
}

async function readIdentity(disk: Disk, path: string): Promise<Identity | undefined> {
  let text: string;
  try {
    text = (await disk.readFile(path)).toString();
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
  const identity = parseIdentity(text);
  if (identity !== undefined) return identity;
  throw new ChukchaError(
    'directory_invalid',
    `${path} is not an identity of version 1: restore it from a copy, or choose another --data directory.`,
  );
}

function parseIdentity(text: string): Identity | undefined {
  try {
    const identity = JSON.parse(text) as Partial<Identity>;
    const { version, clusterId, nodeName, directoryId, clusterName, isReplacement } = identity;
    if (version !== 1 || !clusterId || !nodeName || !directoryId) return undefined;
    return {
      version,
      clusterId,
      nodeName: checkNodeName(nodeName),
      directoryId,
      ...(clusterName !== undefined && { clusterName }),
      ...(isReplacement === true && { isReplacement }),
    };
  } catch {
    // Damaged in one way or another; the caller says what to do.
    return undefined;
  }
}

/** The first part of the host's name, with what a node's name cannot have replaced. */
function hostNodeName(): string {
  const [first = ''] = hostname().split('.');
  return first.replace(/[^A-Za-z0-9_-]/g, '-').slice(0, nodeNameLengthMax) || 'node1';
}

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
}

/**
 * Reads the identity of a data directory, or gives it one. Throws `directory_invalid` when the directory
 * belongs to a node of another name: its chunks would look like the other node's.
 */
export async function openIdentity(
  disk: Disk,
  random: Random,
  dataDirectory: string,
  wantedName: string | undefined,
): Promise<Identity> {
  const path = `${dataDirectory}/identity.json`;
  const found = await readIdentity(disk, path);
  if (found === undefined) {
    const nodeName = checkNodeName(wantedName ?? hostNodeName());
    const identity: Identity = {
      version: 1,
      clusterId: random.hex(8),
      nodeName,
      directoryId: random.hex(16),
    };
    await replaceFile(disk, path, `${JSON.stringify(identity)}\n`);
    return identity;
  }
  if (wantedName === undefined || wantedName === found.nodeName) return found;
  throw new ChukchaError(
    'directory_invalid',
    `Directory ${dataDirectory} belongs to node ${found.nodeName}, not to ${wantedName}: ` +
      `start with --name ${found.nodeName}, or with another --data directory.`,
  );
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
    const { version, clusterId, nodeName, directoryId } = JSON.parse(text) as Partial<Identity>;
    if (version !== 1 || !clusterId || !nodeName || !directoryId) return undefined;
    return { version, clusterId, nodeName: checkNodeName(nodeName), directoryId };
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

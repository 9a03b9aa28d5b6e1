import { constants } from 'node:fs';
import { access, readdir, statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { formatBytes } from '../../../common/quantity.js';
import { StateJournal } from '../../../pipeline/state-journal.js';
import { StateSnapshot } from '../../../pipeline/state-section.js';
import { errorMessage } from '../../../protocol/chukcha-error.js';
import { nodeDisk } from '../../../storage/node-disk.js';
import { stateJournalName } from '../pipeline-state.js';
import type { Finding } from './finding.js';

/** Below this share a disk that fills becomes full sooner than somebody looks again. */
const freeShareMin = 0.05;

/** Below this a state cannot be written reliably any more: a journal and its rewritten copy. */
const freeBytesMin = 64 * 1024 * 1024;

/** Every chunk takes two files, and a state a few. */
const freeInodesMin = 1_000;

/** Whether the directory, or the nearest one above it that is there, can be written and has room. */
export async function checkDirectory(about: string, directory: string): Promise<Finding[]> {
  const path = await nearestDirectory(resolve(directory));
  try {
    await access(path, constants.W_OK);
  } catch (error) {
    return [
      {
        about,
        result: 'failed',
        detail: `${path} cannot be written by this user (${errorMessage(error)}).`,
        fix: `chown ${process.getuid?.() ?? 'USER'} '${path}', or choose another directory`,
      },
    ];
  }
  const { bavail, blocks, bsize, ffree, files } = await statfs(path);
  return judgeRoom(about, path, {
    freeBytes: bavail * bsize,
    totalBytes: blocks * bsize,
    // A file system that makes inodes as it needs them says 0.
    freeInodes: files === 0 ? undefined : ffree,
  });
}

export interface Room {
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly freeInodes: number | undefined;
}

/** What the room on a disk means. */
export function judgeRoom(about: string, path: string, room: Room): Finding[] {
  const { freeBytes, totalBytes, freeInodes } = room;
  const bytes = `${path} has ${formatBytes(freeBytes)} free of ${formatBytes(totalBytes)}`;
  if (freeInodes !== undefined && freeInodes < freeInodesMin) {
    const detail = `${path} has room for ${freeInodes} more files only.`;
    return [{ about, result: 'failed', detail, fix: `remove files there: df -i '${path}'` }];
  }
  const fix = `make room: du -xh '${path}' | sort -h | tail`;
  if (freeBytes < freeBytesMin) {
    const least = formatBytes(freeBytesMin);
    return [{ about, result: 'failed', detail: `${bytes}: expected ${least} or more.`, fix }];
  }
  if (freeBytes < totalBytes * freeShareMin) {
    return [{ about, result: 'warning', detail: `${bytes}, less than 5 percent.`, fix }];
  }
  return [{ about, result: 'ok', detail: `${bytes}.` }];
}

async function nearestDirectory(path: string): Promise<string> {
  for (let each = path; ; each = dirname(each)) {
    const isThere = await access(each).then(
      () => true,
      () => false,
    );
    if (isThere || each === dirname(each)) return each;
  }
}

/**
 * The states of pipelines that belong to nothing: without a journal, or of a cluster to which no node that answered belongs.
 *
 * @param clusters the ids of the clusters whose nodes have answered; when there are none, only the journals are looked at
 */
export async function checkStates(base: string, clusters: ReadonlySet<string>): Promise<Finding[]> {
  const names = (await readdir(base, { withFileTypes: true }).catch(() => []))
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
  const findings: Finding[] = [];
  for (const name of names) {
    const directory = join(base, name);
    const problem = await findStateProblem(directory, clusters);
    if (problem !== undefined) findings.push(problem);
  }
  const about = 'states';
  if (findings.length > 0 || names.length === 0) return findings;
  return [{ about, result: 'ok', detail: `${base} has ${names.length} states of pipelines.` }];
}

async function findStateProblem(
  directory: string,
  clusters: ReadonlySet<string>,
): Promise<Finding | undefined> {
  const about = 'state';
  const fix = `rm -r '${directory}'`;
  const files = await readdir(directory);
  // What `pipe` keeps has a state and a node inside.
  const journal = files.includes('state')
    ? join(directory, 'state', stateJournalName)
    : join(directory, stateJournalName);
  try {
    const entries = await StateJournal.read(nodeDisk, journal);
    if ([...entries].length === 0) {
      const detail = `${directory} remembers nothing: its pipeline never ran, or was given up.`;
      return { about, result: 'warning', detail, fix };
    }
    const position = new StateSnapshot(entries, 'sink').get('position') as
      | { readonly cluster?: string }
      | undefined;
    const cluster = position?.cluster;
    if (files.includes('state') || cluster === undefined || clusters.size === 0) return undefined;
    if (clusters.has(cluster)) return undefined;
    const detail = `${directory} is of cluster ${cluster}, to which no node belongs that was asked.`;
    return { about, result: 'warning', detail, fix: `if that cluster is gone: ${fix}` };
  } catch (error) {
    const detail = `The state in ${directory} cannot be read (${errorMessage(error)}).`;
    return { about, result: 'failed', detail, fix: `look at ${journal}` };
  }
}

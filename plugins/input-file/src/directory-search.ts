import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type FileStatus, isSameInode, toFileStatus } from './file-status.js';
import { areRotationsOfOne } from './rotated-names.js';

/** How many names of a directory are looked at in search of one file. */
const searchedCountMax = 1000;

/** How often a directory is looked through when files got other names meanwhile. */
const lookCountMax = 8;

/** A regular file of a directory. */
export interface DirectoryEntry {
  readonly path: string;
  readonly status: FileStatus;
  /** Whether a rotation may have made the one name of the other. */
  readonly isRelated: boolean;
}

/**
 * Looks for something among the files in the directory of a path, those first whose names a rotation makes. A rotation that
 * goes on meanwhile may give a file a name that was looked at before it had the file: when nothing was found, and names
 * lead to other files than they did, it is looked for again.
 */
export async function searchDirectory<Found>(
  path: string,
  look: (entries: readonly DirectoryEntry[]) => Promise<Found | undefined>,
): Promise<Found | undefined> {
  let entries = await list(path);
  for (let count = 1; ; count += 1) {
    const found = await look(entries);
    if (found !== undefined || count === lookCountMax) return found;
    const now = await list(path);
    if (areSame(entries, now)) return undefined;
    entries = now;
  }
}

async function list(path: string): Promise<DirectoryEntry[]> {
  const directory = dirname(path);
  const names = await readdir(directory).catch(() => []);
  const related = new Set(names.filter((name) => areRotationsOfOne(name, basename(path))));
  // In a directory of very many files the others would not come to their turn.
  const others = names.length > searchedCountMax ? [] : names;
  const entries: DirectoryEntry[] = [];
  for (const name of new Set([...[...related].slice(0, searchedCountMax), ...others])) {
    const path = join(directory, name);
    const stats = await stat(path, { bigint: true }).catch(() => undefined);
    if (stats?.isFile() !== true) continue;
    entries.push({ path, status: toFileStatus(stats), isRelated: related.has(name) });
  }
  return entries;
}

function areSame(before: readonly DirectoryEntry[], now: readonly DirectoryEntry[]): boolean {
  const statuses = new Map(before.map(({ path, status }) => [path, status]));
  return (
    before.length === now.length &&
    now.every(({ path, status }) => {
      const then = statuses.get(path);
      return then !== undefined && isSameInode(then, status);
    })
  );
}

import { type Dirent, readdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Glob, GlobSegment } from './glob.js';

/** How many paths that are left out are remembered, to be explained. */
const excludedCountMax = 1000;

/** A directory whose list was made this soon after its last change is listed again: clocks of file systems are coarse. */
const racyMs = 2000;

/** How many directories are compared with their lists in one look, when hints come for them. */
const checkedCountMax = 500;

/** What a path could not be looked at for. */
export interface PathProblem {
  readonly path: string;
  readonly error: NodeJS.ErrnoException;
}

export interface FoundPaths {
  /** Absolute, in their order. A path without a pattern is here whether it is there or not. */
  readonly paths: ReadonlySet<string>;
  /** Those of them whose changes a watch of their directory may not show: they are links. */
  readonly links: ReadonlySet<string>;
  /** Directories to be watched. */
  readonly directories: ReadonlySet<string>;
  readonly excluded: readonly string[];
  /** When there are any, paths may be missing above that are still there. */
  readonly problems: readonly PathProblem[];
}

interface DirectoryList {
  readonly entries: readonly Dirent[];
  readonly problem: NodeJS.ErrnoException | undefined;
  readonly inode: bigint;
  readonly changedNs: bigint;
  readonly isRacy: boolean;
}

/**
 * Looks for paths that match globs and no exclude. Of the directories that a pattern finds, those that an exclude
 * matches are not entered. A directory is listed again only when it has changed, so looking again costs one
 * `stat` per directory.
 */
export class PathFinder {
  readonly #globs: readonly Glob[];
  readonly #isExcluded: (path: string) => boolean;
  readonly #lists = new Map<string, DirectoryList>();
  #found: FoundPaths | undefined;
  #checkFrom = 0;

  constructor(globs: readonly Glob[], isExcluded: (path: string) => boolean) {
    this.#globs = globs;
    this.#isExcluded = isExcluded;
  }

  /** The same object as before when no directory has changed. With `isHinted` not all of many directories are looked at each time. */
  find(isHinted = false): FoundPaths {
    const isChanged = this.#checkLists(isHinted);
    if (this.#found !== undefined && !isChanged) return this.#found;
    const walk = new Walk(this.#isExcluded, (directory) => this.#list(directory));
    for (const glob of this.#globs) walk.visit('', glob.segments, 0);
    for (const directory of [...this.#lists.keys()]) {
      if (!walk.directories.has(directory)) this.#lists.delete(directory);
    }
    this.#found = {
      paths: new Set([...walk.paths].sort(compareText)),
      links: walk.links,
      directories: walk.directories,
      excluded: [...walk.excluded],
      problems: walk.problems,
    };
    return this.#found;
  }

  /** Something was told of a directory: it is listed again. */
  invalidate(directory: string): void {
    this.#lists.delete(directory);
    this.#found = undefined;
  }

  /** How many entries a directory has; 0 when it cannot be listed. */
  entryCountOf(directory: string): number {
    return (this.#lists.get(directory) ?? readList(directory)).entries.length;
  }

  #checkLists(isHinted: boolean): boolean {
    const directories = [...this.#lists.keys()];
    const count = isHinted ? Math.min(checkedCountMax, directories.length) : directories.length;
    let isChanged = false;
    for (let index = 0; index < count; index += 1) {
      const directory = directories[(this.#checkFrom + index) % directories.length] as string;
      const list = this.#lists.get(directory) as DirectoryList;
      if (!list.isRacy && !hasChanged(directory, list)) continue;
      this.#lists.delete(directory);
      isChanged = true;
    }
    this.#checkFrom = directories.length === 0 ? 0 : (this.#checkFrom + count) % directories.length;
    return isChanged;
  }

  #list(directory: string): DirectoryList {
    const list = this.#lists.get(directory) ?? readList(directory);
    this.#lists.set(directory, list);
    return list;
  }
}

/** One walk through the directories that globs lead to. */
class Walk {
  readonly paths = new Set<string>();
  readonly links = new Set<string>();
  readonly excluded = new Set<string>();
  readonly directories = new Set<string>();
  readonly problems: PathProblem[] = [];
  readonly #isExcluded: (path: string) => boolean;
  readonly #listOf: (directory: string) => DirectoryList;

  constructor(isExcluded: (path: string) => boolean, listOf: (directory: string) => DirectoryList) {
    this.#isExcluded = isExcluded;
    this.#listOf = listOf;
  }

  /** Follows the segments from the given one on; `directory` is without a slash at its end. */
  visit(directory: string, segments: readonly GlobSegment[], index: number): void {
    const segment = segments[index];
    const isLast = index === segments.length - 1;
    if (segment === undefined) return;
    if (segment.kind === 'name') {
      const path = `${directory}/${segment.name}`;
      if (!isLast) this.visit(path, segments, index + 1);
      else {
        this.directories.add(dirname(path));
        // What is behind it is not known without a look, so it counts as a link.
        this.#addPath(path, true);
      }
      return;
    }
    // `**` stands for no directory as well as for each one below, in which it goes on.
    if (segment.kind === 'any_directories' && !isLast) this.visit(directory, segments, index + 1);
    for (const entry of this.#entries(directory)) {
      const path = `${directory}/${entry.name}`;
      if (segment.kind === 'pattern') {
        if (!segment.pattern.test(entry.name)) continue;
        if (isLast) this.#addFile(path, entry);
        else if (!entry.isFile()) this.#enter(path, segments, index + 1);
      } else if (!entry.name.startsWith('.')) {
        // Links to directories are not followed here: they may lead round in a circle.
        if (entry.isDirectory()) this.#enter(path, segments, index);
        else if (isLast) this.#addFile(path, entry);
      }
    }
  }

  #entries(directory: string): readonly Dirent[] {
    const isNew = !this.directories.has(directory);
    this.directories.add(directory);
    const { entries, problem } = this.#listOf(directory);
    if (isNew && problem !== undefined) this.problems.push({ path: directory, error: problem });
    return entries;
  }

  #enter(directory: string, segments: readonly GlobSegment[], index: number): void {
    if (this.#isExcluded(directory)) this.#addExcluded(directory);
    else this.visit(directory, segments, index);
  }

  #addFile(path: string, entry: Dirent): void {
    if (entry.isFile() || entry.isSymbolicLink()) this.#addPath(path, !entry.isFile());
  }

  #addPath(path: string, isLink: boolean): void {
    if (this.#isExcluded(path)) {
      this.#addExcluded(path);
      return;
    }
    this.paths.add(path);
    if (isLink) this.links.add(path);
  }

  #addExcluded(path: string): void {
    if (this.excluded.size < excludedCountMax) this.excluded.add(path);
  }
}

function readList(directory: string): DirectoryList {
  const path = directory === '' ? '/' : directory;
  try {
    // Before the list, so that a change between the two shows at the next look.
    const { ino, mtimeNs } = statSync(path, { bigint: true });
    const isRacy = Date.now() - Number(mtimeNs / 1_000_000n) < racyMs;
    const entries = readdirSync(path, { withFileTypes: true });
    return { entries, problem: undefined, inode: ino, changedNs: mtimeNs, isRacy };
  } catch (thrown) {
    const error = thrown as NodeJS.ErrnoException;
    // What is not there, or no longer, is not a problem but an answer.
    const isThere = error.code !== 'ENOENT' && error.code !== 'ENOTDIR';
    const problem = isThere ? error : undefined;
    return { entries: [], problem, inode: 0n, changedNs: 0n, isRacy: isThere };
  }
}

function hasChanged(directory: string, list: DirectoryList): boolean {
  try {
    const { ino, mtimeNs } = statSync(directory === '' ? '/' : directory, { bigint: true });
    return ino !== list.inode || mtimeNs !== list.changedNs;
  } catch {
    return list.inode !== 0n;
  }
}

/** The order of code units, the same on every machine. */
function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

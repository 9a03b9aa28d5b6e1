import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { type FileStatus, toFileStatus } from './file-status.js';
import type { Glob, GlobSegment } from './glob.js';

/** How many files are looked at together: enough to keep Node's four disk threads busy. */
const statCountMax = 16;

export interface FoundFile {
  /** Absolute. */
  readonly path: string;
  readonly status: FileStatus;
}

/** What a path could not be looked at for. */
interface DiscoveryProblem {
  readonly path: string;
  readonly error: NodeJS.ErrnoException;
}

export interface DiscoveryResult {
  /** In the order of their paths, each file once: of several names for one the first counts. */
  readonly files: readonly FoundFile[];
  /** Every path that leads to one of them. */
  readonly paths: readonly string[];
  /** When there are any, files may be missing above that are still there. */
  readonly problems: readonly DiscoveryProblem[];
}

/**
 * Looks for the regular files that match globs and no exclude. Links to files count as files. Of
 * the directories that a pattern finds, those that an exclude matches are not entered.
 */
export class FileDiscovery {
  readonly #globs: readonly Glob[];
  readonly #isExcluded: (path: string) => boolean;

  constructor(globs: readonly Glob[], isExcluded: (path: string) => boolean) {
    this.#globs = globs;
    this.#isExcluded = isExcluded;
  }

  async find(): Promise<DiscoveryResult> {
    const walk = new Walk(this.#isExcluded);
    for (const glob of this.#globs) await walk.visit('', glob.segments, 0);
    const paths = [...walk.paths].sort(compareText);
    const files = new Map<string, FoundFile>();
    const filePaths: string[] = [];
    for (let start = 0; start < paths.length; start += statCountMax) {
      const some = paths.slice(start, start + statCountMax);
      const statuses = await Promise.all(some.map((path) => readStatus(path, walk.problems)));
      for (const [index, status] of statuses.entries()) {
        if (status === undefined) continue;
        const path = some[index] as string;
        filePaths.push(path);
        if (!files.has(status.key)) files.set(status.key, { path, status });
      }
    }
    return { files: [...files.values()], paths: filePaths, problems: walk.problems };
  }
}

/** One walk through the directories that globs lead to. */
class Walk {
  readonly paths = new Set<string>();
  readonly problems: DiscoveryProblem[] = [];
  readonly #isExcluded: (path: string) => boolean;
  /** What is in a directory; globs often meet the same one. */
  readonly #lists = new Map<string, Promise<Dirent[]>>();

  constructor(isExcluded: (path: string) => boolean) {
    this.#isExcluded = isExcluded;
  }

  /** Follows the segments from the given one on; `directory` is without a slash at its end. */
  async visit(directory: string, segments: readonly GlobSegment[], index: number): Promise<void> {
    const segment = segments[index];
    const isLast = index === segments.length - 1;
    if (segment === undefined) return;
    if (segment.kind === 'name') {
      const path = `${directory}/${segment.name}`;
      if (isLast) this.#addPath(path);
      else await this.visit(path, segments, index + 1);
      return;
    }
    // `**` stands for no directory as well as for each one below, in which it goes on.
    if (segment.kind === 'any_directories' && !isLast) {
      await this.visit(directory, segments, index + 1);
    }
    for (const entry of await this.#list(directory)) {
      const path = `${directory}/${entry.name}`;
      if (segment.kind === 'pattern') {
        if (!segment.pattern.test(entry.name)) continue;
        if (isLast) this.#addFile(path, entry);
        else if (!entry.isFile()) await this.#enter(path, segments, index + 1);
      } else if (!entry.name.startsWith('.')) {
        // Links to directories are not followed here: they may lead round in a circle.
        if (entry.isDirectory()) await this.#enter(path, segments, index);
        else if (isLast) this.#addFile(path, entry);
      }
    }
  }

  async #enter(directory: string, segments: readonly GlobSegment[], index: number): Promise<void> {
    if (!this.#isExcluded(directory)) await this.visit(directory, segments, index);
  }

  #addFile(path: string, entry: Dirent): void {
    if (entry.isFile() || entry.isSymbolicLink()) this.#addPath(path);
  }

  #addPath(path: string): void {
    if (!this.#isExcluded(path)) this.paths.add(path);
  }

  #list(directory: string): Promise<Dirent[]> {
    const list = this.#lists.get(directory) ?? this.#readDirectory(directory);
    this.#lists.set(directory, list);
    return list;
  }

  async #readDirectory(directory: string): Promise<Dirent[]> {
    try {
      return await readdir(directory === '' ? '/' : directory, { withFileTypes: true });
    } catch (thrown) {
      this.problems.push(...toProblem(directory, thrown));
      return [];
    }
  }
}

async function readStatus(
  path: string,
  problems: DiscoveryProblem[],
): Promise<FileStatus | undefined> {
  try {
    const stats = await stat(path, { bigint: true });
    return stats.isFile() ? toFileStatus(stats) : undefined;
  } catch (thrown) {
    problems.push(...toProblem(path, thrown));
    return undefined;
  }
}

/** What is not there, or no longer, is not a problem but an answer. */
function toProblem(path: string, thrown: unknown): DiscoveryProblem[] {
  const error = thrown as NodeJS.ErrnoException;
  return error.code === 'ENOENT' || error.code === 'ENOTDIR' ? [] : [{ path, error }];
}

/** The order of code units, the same on every machine. */
function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

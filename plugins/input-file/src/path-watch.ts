import { dirname } from 'node:path';
import type { PluginLog } from '@chukcha/plugin-api';
import { DirectoryWatches } from './directory-watches.js';
import type { FileSet } from './file-set.js';
import type { FoundPaths, PathFinder } from './path-finder.js';

/** How long after a hint that files moved the directories are listed: a rotation moves several at once. */
const moveDelayMs = 20;

/** A list of many files takes long: it is made again only after this many times as long. */
const listRestFactor = 5;

/** How many files whose directory is watched are looked at per second in addition: 0.2 % of a core. */
const checkedPerSecond = 200;

export interface PathWatchOptions {
  readonly finder: PathFinder;
  readonly files: FileSet;
  readonly log: PluginLog;
  readonly pollIntervalMs: number;
  /** False where every change is to be found by polling. */
  readonly isWatching: boolean;
  readonly onHint: () => void;
}

/**
 * Keeps a set of files in step with what is in the directories. Hints tell what to look at now. Without them all
 * paths are looked at once per interval; with them those that no hint would come for, and a bounded number of
 * the others in turn, because hints get lost.
 */
export class PathWatch {
  readonly #options: PathWatchOptions;
  readonly #watches: DirectoryWatches;
  readonly #hinted = new Set<string>();
  #found: FoundPaths;
  #order: string[] = [];
  #always: string[] = [];
  #isArranged = false;
  #next = 0;
  #pollAtMs = 0;
  #listAtMs = Number.POSITIVE_INFINITY;
  #listNotBeforeMs = 0;

  constructor(options: PathWatchOptions, found: FoundPaths) {
    this.#options = options;
    this.#found = found;
    const { finder, log, onHint } = options;
    this.#watches = new DirectoryWatches({
      log,
      entryCountOf: (directory) => finder.entryCountOf(directory),
      onEntry: (directory, name, isMove) => {
        const path = `${directory}/${name}`;
        if (this.#found.paths.has(path)) this.#hinted.add(path);
        else if (!isMove) return;
        if (isMove) this.#listSoon(directory);
        onHint();
      },
      onDirectory: (directory) => {
        finder.invalidate(directory);
        this.#pollAtMs = 0;
        onHint();
      },
      onFailure: () => {
        // Its files are looked at in every interval from now on, and at once.
        this.#isArranged = false;
        this.#pollAtMs = 0;
        onHint();
      },
    });
  }

  /** Starts watching. What changed since the paths were found is seen at the first poll. */
  start(): void {
    if (this.#options.isWatching) this.#watches.update(this.#found.directories);
    this.#arrange();
    // What changed before the watches stood was not told.
    for (const path of this.#found.paths) this.#hinted.add(path);
  }

  /** Does what is due. */
  async step(): Promise<void> {
    const { files } = this.#options;
    if (this.#hinted.size > 0) {
      const hinted = [...this.#hinted];
      this.#hinted.clear();
      await files.look(hinted);
    }
    const nowMs = performance.now();
    const isPollDue = nowMs >= this.#pollAtMs;
    if (isPollDue || nowMs >= this.#listAtMs) await this.#list();
    if (isPollDue) await this.#poll();
  }

  /** When something is due, on the clock of `performance.now`. */
  get dueAtMs(): number {
    return this.#hinted.size > 0 ? 0 : Math.min(this.#pollAtMs, this.#listAtMs);
  }

  get found(): FoundPaths {
    return this.#found;
  }

  close(): void {
    this.#watches.close();
  }

  #listSoon(directory: string): void {
    this.#options.finder.invalidate(directory);
    const atMs = Math.max(performance.now() + moveDelayMs, this.#listNotBeforeMs);
    this.#listAtMs = Math.min(this.#listAtMs, atMs);
  }

  async #list(): Promise<void> {
    const { finder, files, isWatching } = this.#options;
    const startMs = performance.now();
    this.#listAtMs = Number.POSITIVE_INFINITY;
    const before = this.#found;
    const found = finder.find(isWatching);
    this.#found = found;
    if (found !== before) {
      files.noteProblems(found.problems);
      const came = [...found.paths].filter((path) => !before.paths.has(path));
      const gone = [...before.paths].filter(
        (path) => !found.paths.has(path) && !isBelow(path, found),
      );
      // A watch on a directory that was put in place of another one is deaf: it is made anew.
      if (isWatching) this.#watches.update(found.directories);
      await files.update(came, gone);
      this.#arrange();
    }
    const endMs = performance.now();
    this.#listNotBeforeMs = endMs + (endMs - startMs) * listRestFactor;
  }

  async #poll(): Promise<void> {
    const { files, pollIntervalMs } = this.#options;
    // Before the look, so that a hint that comes meanwhile makes another one due.
    this.#pollAtMs = performance.now() + pollIntervalMs;
    if (this.#watches.isRetryDue) {
      this.#watches.update(this.#found.directories);
      this.#isArranged = false;
    }
    if (!this.#isArranged) this.#arrange();
    const count = Math.min(
      this.#order.length,
      Math.max(32, Math.ceil((checkedPerSecond * pollIntervalMs) / 1000)),
    );
    const some = Array.from(
      { length: count },
      (_, index) => this.#order[(this.#next + index) % this.#order.length] as string,
    );
    this.#next = this.#order.length === 0 ? 0 : (this.#next + count) % this.#order.length;
    await files.look(this.#always);
    await files.look(some);
    await files.lookAtUnseen();
  }

  #arrange(): void {
    this.#isArranged = true;
    const isHinted = (path: string): boolean =>
      this.#watches.has(dirname(path)) && !this.#found.links.has(path);
    const { paths } = this.#found;
    this.#order = [...paths].filter(isHinted);
    this.#always =
      this.#order.length === paths.size ? [] : [...paths].filter((path) => !isHinted(path));
  }
}

/** A directory that cannot be listed for a moment does not mean that its files are gone. */
function isBelow(path: string, { problems }: FoundPaths): boolean {
  return problems.some((problem) => path.startsWith(`${problem.path}/`));
}

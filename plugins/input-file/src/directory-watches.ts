import { type FSWatcher, watch } from 'node:fs';
import type { PluginLog } from '@chukcha/plugin-api';
import { type FSWatcher as ChokidarWatcher, watch as watchByChokidar } from 'chokidar';

/** How long after a failure no more watches are tried, in milliseconds: twice as long each time, up to the second number. */
const retryAfterMs = 1_000;
const retryAfterMsMax = 60_000;

/**
 * chokidar reads a directory and looks at every file in it after each change, once a second at most: for a directory with
 * more entries than this the system is asked directly, which tells of the same changes and reads nothing. 1,000 files
 * cost about 1 % of a core while one of them is written to; 20,000 cost a fifth.
 */
const chokidarEntryCountMax = 1_000;

export interface DirectoryWatchesOptions {
  readonly log: PluginLog;
  /** How many entries a directory has. */
  readonly entryCountOf: (directory: string) => number;
  /** The file of this name in the directory may have changed, come or gone. */
  readonly onEntry: (directory: string, name: string, isMove: boolean) => void;
  /** Anything in the directory may have changed. */
  readonly onDirectory: (directory: string) => void;
  /** A directory is not watched any more. */
  readonly onFailure: () => void;
}

/**
 * Tells soon when files change, so that the polls can be far apart: one watch for each directory, whatever number
 * of files is in it. Hints come late, twice, or not at all (a full queue, no watches left, a network file
 * system): whoever gets one looks for himself. They come from chokidar, as the system gives them to it: its own events
 * leave out changes that follow each other within 50 ms.
 */
export class DirectoryWatches {
  readonly #options: DirectoryWatchesOptions;
  /** Of directories that are too large for chokidar. */
  readonly #large = new Map<string, FSWatcher>();
  /** Directories that chokidar watches. */
  readonly #small = new Set<string>();
  #chokidar: ChokidarWatcher | undefined;
  #isFailing = false;
  #retryAfterMs = retryAfterMs;
  #retryAtMs = 0;

  constructor(options: DirectoryWatchesOptions) {
    this.#options = options;
  }

  /** Watches these directories and no others. */
  update(directories: ReadonlySet<string>): void {
    for (const directory of [...this.#large.keys(), ...this.#small]) {
      if (!directories.has(directory)) this.#remove(directory);
    }
    if (performance.now() < this.#retryAtMs) return;
    const missing = [...directories].filter((directory) => !this.has(directory));
    for (const directory of this.#isFailing ? this.#try(missing) : missing) this.#add(directory);
  }

  /** Whether watches that failed are to be tried again, by `update`. */
  get isRetryDue(): boolean {
    return this.#isFailing && performance.now() >= this.#retryAtMs;
  }

  /** Whether changes in the directory are told. */
  has(directory: string): boolean {
    return this.#large.has(directory) || this.#small.has(directory);
  }

  close(): void {
    for (const directory of this.#large.keys()) this.#remove(directory);
    this.#small.clear();
    // Its watches end at once; what it resolves with says nothing.
    void this.#chokidar?.close();
    this.#chokidar = undefined;
  }

  /** Those of the directories that the system can watch together now. When these are all, the failure is over. */
  #try(directories: readonly string[]): string[] {
    const tried: FSWatcher[] = [];
    const watched: string[] = [];
    try {
      for (const directory of directories) {
        try {
          tried.push(watch(pathOf(directory), { persistent: false }));
          watched.push(directory);
        } catch (error) {
          if (isAbsence(error as NodeJS.ErrnoException)) continue;
          this.#fail(directory, error as NodeJS.ErrnoException);
          return watched;
        }
      }
      this.#isFailing = false;
      this.#retryAfterMs = retryAfterMs;
      this.#options.log.info('The system reports changes of files again.');
      return watched;
    } finally {
      for (const watcher of tried) watcher.close();
    }
  }

  #add(directory: string): void {
    if (this.#options.entryCountOf(directory) > chokidarEntryCountMax) {
      this.#addLarge(directory);
      return;
    }
    this.#small.add(directory);
    this.#opened().add(pathOf(directory));
  }

  #remove(directory: string): void {
    this.#large.get(directory)?.close();
    this.#large.delete(directory);
    if (this.#small.delete(directory)) this.#chokidar?.unwatch(pathOf(directory));
  }

  #opened(): ChokidarWatcher {
    if (this.#chokidar !== undefined) return this.#chokidar;
    const watcher = watchByChokidar([], {
      // A network file system may not answer, but the process must be able to end.
      persistent: false,
      depth: 0,
      // The directories alone: a watch for each file would tell the same once more.
      ignored: (path) => !this.#small.has(directoryOf(path)),
    });
    watcher.on('raw', (type, name, details) => {
      const { watchedPath = '' } = (details ?? {}) as { readonly watchedPath?: string };
      const directory = directoryOf(watchedPath);
      if (this.#small.has(directory)) this.#tell(directory, type, name);
    });
    // What changed before the watch stood was not told.
    watcher.on('addDir', (path) => this.#options.onDirectory(directoryOf(path)));
    watcher.on('unlinkDir', (path) => {
      this.#small.delete(directoryOf(path));
      this.#options.onDirectory(directoryOf(path));
    });
    watcher.on('error', (error) => {
      const failed = error as NodeJS.ErrnoException;
      const directory = directoryOf(failed.path ?? '');
      this.#remove(directory);
      this.#fail(directory, failed);
    });
    this.#chokidar = watcher;
    return watcher;
  }

  #addLarge(directory: string): void {
    try {
      const watcher = watch(pathOf(directory), { persistent: false });
      this.#large.set(directory, watcher);
      watcher.on('change', (type, name) => this.#tell(directory, type, name?.toString()));
      watcher.on('error', (error) => {
        this.#remove(directory);
        this.#fail(directory, error);
      });
    } catch (error) {
      this.#fail(directory, error as NodeJS.ErrnoException);
    }
  }

  #tell(directory: string, type: string, name: string | null | undefined): void {
    const { onEntry, onDirectory } = this.#options;
    if (name === null || name === undefined || name === '') onDirectory(directory);
    else onEntry(directory, name, type === 'rename');
  }

  #fail(directory: string, error: NodeJS.ErrnoException): void {
    // A directory that is not there is watched once it is.
    if (isAbsence(error)) return;
    this.#options.onFailure();
    const nowMs = performance.now();
    // Of many directories that fail together the first one counts.
    if (nowMs >= this.#retryAtMs) {
      this.#retryAtMs = nowMs + this.#retryAfterMs;
      this.#retryAfterMs = Math.min(this.#retryAfterMs * 2, retryAfterMsMax);
    }
    if (this.#isFailing) return;
    this.#isFailing = true;
    warnOfFailure(this.#options.log, directory, error);
  }
}

function warnOfFailure(log: PluginLog, directory: string, error: NodeJS.ErrnoException): void {
  const fields = { directory, error: error.message };
  if (error.code === 'ENOSPC') {
    log.warn(
      'No inotify watches are left: changes of files are found by polling. Raise the limit, for example with ' +
        '"sysctl fs.inotify.max_user_watches=1048576"; the next try to watch comes by itself, within a minute.',
      fields,
    );
  } else if (error.code === 'EMFILE') {
    log.warn(
      'No inotify instances are left, or this process has too many open files: changes of files are found by polling. Raise the ' +
        'limit, for example with "sysctl fs.inotify.max_user_instances=1024"; the next try to watch comes by itself, within a minute.',
      fields,
    );
  } else {
    log.warn(
      'The system does not report all changes of files; those it does not report are found by polling. The next try to watch ' +
        'comes by itself, within a minute.',
      fields,
    );
  }
}

function isAbsence({ code }: NodeJS.ErrnoException): boolean {
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** Directories are kept without a slash at their end, so that of the root is empty. */
function pathOf(directory: string): string {
  return directory === '' ? '/' : directory;
}

function directoryOf(path: string): string {
  return path.replace(/\/+$/, '');
}

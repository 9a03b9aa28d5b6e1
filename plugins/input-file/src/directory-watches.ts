import { type FSWatcher, watch } from 'node:fs';
import type { PluginLog } from '@chukcha/plugin-api';

/** How long after a failure no more watches are tried, in milliseconds. */
const retryAfterMs = 60_000;

export interface DirectoryWatchesOptions {
  readonly log: PluginLog;
  /** The file of this name in the directory may have changed, come or gone. */
  readonly onEntry: (directory: string, name: string, isMove: boolean) => void;
  /** Anything in the directory may have changed. */
  readonly onDirectory: (directory: string) => void;
}

/**
 * Tells soon when files change, so that the polls can be far apart: one watch for each directory, whatever number
 * of files is in it. Hints come late, twice, or not at all (a full queue, no watches left, a network file
 * system): whoever gets one looks for himself.
 */
export class DirectoryWatches {
  readonly #options: DirectoryWatchesOptions;
  readonly #watchers = new Map<string, FSWatcher>();
  #hasLogged = false;
  #retryAtMs = 0;

  constructor(options: DirectoryWatchesOptions) {
    this.#options = options;
  }

  /** Watches these directories and no others. */
  update(directories: ReadonlySet<string>): void {
    for (const [directory, watcher] of this.#watchers) {
      if (directories.has(directory)) continue;
      watcher.close();
      this.#watchers.delete(directory);
    }
    for (const directory of directories) {
      if (!this.#watchers.has(directory) && performance.now() >= this.#retryAtMs)
        this.#add(directory);
    }
  }

  /** Whether changes in the directory are told. */
  has(directory: string): boolean {
    return this.#watchers.has(directory);
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #add(directory: string): void {
    const { onEntry, onDirectory } = this.#options;
    try {
      // A network file system may not answer, but the process must be able to end.
      const watcher = watch(directory === '' ? '/' : directory, { persistent: false });
      this.#watchers.set(directory, watcher);
      watcher.on('change', (type, name) => {
        if (name === null) onDirectory(directory);
        else onEntry(directory, name.toString(), type === 'rename');
      });
      watcher.on('error', (error) => this.#fail(directory, error));
    } catch (error) {
      this.#fail(directory, error as NodeJS.ErrnoException);
    }
  }

  #fail(directory: string, error: NodeJS.ErrnoException): void {
    this.#watchers.get(directory)?.close();
    this.#watchers.delete(directory);
    // A directory that is not there is watched once it is.
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return;
    this.#retryAtMs = performance.now() + retryAfterMs;
    if (this.#hasLogged) return;
    this.#hasLogged = true;
    this.#options.log.warn(
      'The system does not report all changes of files; those it does not report are found by polling.',
      { directory, error: error.message },
    );
  }
}

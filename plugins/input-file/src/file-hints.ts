import type { PluginLog } from '@chukcha/plugin-api';
import { watch } from 'chokidar';
import type { Glob } from './glob.js';

/**
 * After how much quiet a path is looked at again. chokidar reports no change that comes less than 50 ms
 * after another one, so the last of several is often not reported.
 */
const recheckDelayMs = 100;

export interface FileHintsOptions {
  readonly globs: readonly Glob[];
  readonly log: PluginLog;
  /** The file at the path may have changed. */
  readonly onChange: (path: string) => void;
  /** Files may have come, gone, or changed their names. */
  readonly onMove: () => void;
}

/**
 * Tells soon when files change, so that the polls can be far apart. Hints come late, twice, or not at all
 * (a full queue, no watches left, a network file system): whoever gets one looks for himself.
 */
export class FileHints {
  readonly #close: () => Promise<void>;
  readonly #paths = new Set<string>();
  #recheck: NodeJS.Timeout | undefined;

  constructor(options: FileHintsOptions) {
    const { globs, log, onChange, onMove } = options;
    const watcher = watch(baseDirectories(globs), {
      ignoreInitial: true,
      // Deletions are told at once, and not held back to see whether the file comes again.
      atomic: false,
      depth: depthOf(globs),
      ignored: (path, stats) =>
        stats?.isFile() === true && !globs.some((glob) => glob.matches(path)),
    });
    watcher.on('change', (path) => {
      onChange(path);
      this.#checkAgain(path, onChange);
    });
    for (const event of ['add', 'unlink', 'addDir', 'unlinkDir'] as const)
      watcher.on(event, onMove);
    let isBroken = false;
    watcher.on('error', (error) => {
      if (isBroken) return;
      isBroken = true;
      log.warn(
        'The system does not report all changes of files; they are found by polling alone.',
        {
          error: (error as Error).message,
        },
      );
    });
    this.#close = () => watcher.close();
  }

  async close(): Promise<void> {
    clearTimeout(this.#recheck);
    await this.#close();
  }

  #checkAgain(path: string, onChange: (path: string) => void): void {
    this.#paths.add(path);
    clearTimeout(this.#recheck);
    this.#recheck = setTimeout(() => {
      const paths = [...this.#paths];
      this.#paths.clear();
      for (const each of paths) onChange(each);
    }, recheckDelayMs);
  }
}

function baseDirectories(globs: readonly Glob[]): string[] {
  return [...new Set(globs.map(baseDirectory))];
}

/** Of a literal the directory: a watch on the file itself would not see another one take its place. */
function baseDirectory(glob: Glob): string {
  const path = glob.toPath();
  if (!glob.isLiteral) return path;
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

/** How many directories deep matches can be; with `**` there is no limit. */
function depthOf(globs: readonly Glob[]): number {
  let depth = 0;
  for (const { segments } of globs) {
    const first = segments.findIndex((segment) => segment.kind !== 'name');
    const patterns = first === -1 ? [] : segments.slice(first);
    if (patterns.some((segment) => segment.kind === 'any_directories')) {
      return Number.POSITIVE_INFINITY;
    }
    depth = Math.max(depth, patterns.length - 1);
  }
  return depth;
}

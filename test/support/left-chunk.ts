import { readdir, readFile, writeFile } from 'node:fs/promises';
import type { Test } from 'tap';
import type { Store } from '../../src/storage/store.js';
import { FakeClock } from './fake-clock.js';
import type { FaultDisk } from './fault-disk.js';
import { RecordingLogger } from './recording-logger.js';
import { testDirectory } from './test-directory.js';
import { append, chunkPath, openStore } from './test-store.js';

/** The chunk that is left. */
export const leftChunk = 'node1-chunk000000000';

/** Ten bytes each, so that batch `n` lies at `10 * n`. */
export function batch(index: number): string {
  return `batch ${String(index).padStart(3, '0')}\n`;
}

/** Several of them. */
export function batches(from: number, before: number): string {
  return Array.from({ length: before - from }, (_, index) => batch(from + index)).join('');
}

/** The data directory that an earlier start left, and the files of its chunk. */
export interface Left {
  readonly directory: string;
  readonly path: string;
  readonly indexPath: string;
}

/** Leaves a chunk of six batches as a kill does, or as a stop does. */
export async function leave(t: Test, how: 'killed' | 'stopped'): Promise<Left> {
  const directory = testDirectory(t);
  const store = await openStore({ directory });
  const category = await store.category('logs');
  for (let index = 0; index < 6; index += 1) await append(category, batch(index));
  if (how === 'stopped') await store.close();
  const indexPath = `${directory}/.chukcha/logs/chunks/${leftChunk}.batches`;
  return { directory, path: chunkPath(directory, 'logs', leftChunk), indexPath };
}

/** What a start makes of it. */
export interface Found {
  readonly store: Store;
  readonly log: RecordingLogger;
  /** The content of each chunk that readers are shown, by name. */
  readonly shown: Readonly<Record<string, string>>;
}

/** Starts again and reads what readers are shown. The store is closed when the test ends, or before. */
export async function startAgain(t: Test, { directory }: Left, disk?: FaultDisk): Promise<Found> {
  const log = new RecordingLogger();
  const store = await openStore({ directory, log, clock: new FakeClock(), ...(disk && { disk }) });
  const category = await store.category('logs');
  const shown: Record<string, string> = {};
  for (const { name, size } of category.view.list('default')) {
    const content = await readFile(chunkPath(directory, 'logs', name), 'latin1');
    shown[name] = content.slice(0, size);
  }
  t.teardown(() => store.close());
  return { store, log, shown };
}

/** Replaces text of a file by text of the same length. */
export async function damage(path: string, from: string, to: string): Promise<void> {
  const content = await readFile(path, 'latin1');
  if (!content.includes(from) || from.length !== to.length)
    throw new Error(`no ${from} in ${path}`);
  await writeFile(path, content.replace(from, to), 'latin1');
}

/** The names of what was moved aside, sorted. */
export function quarantined({ directory }: Left): Promise<string[]> {
  return readdir(`${directory}/.quarantine/logs`).then(
    (names) => names.sort(),
    () => [],
  );
}

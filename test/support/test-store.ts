import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../src/common/clock.js';
import type { Category } from '../../src/storage/category.js';
import type { Appended } from '../../src/storage/category-writer.js';
import type { Disk } from '../../src/storage/disk.js';
import { nodeDisk } from '../../src/storage/node-disk.js';
import { Store } from '../../src/storage/store.js';
import { FakeClock } from './fake-clock.js';
import { RecordingLogger } from './recording-logger.js';
import { SeededRandom } from './seeded-random.js';

export interface TestStoreOptions {
  readonly directory: string;
  readonly nodeName?: string;
  readonly chunkBytesMax?: number;
  readonly flushIntervalMs?: number;
  readonly disk?: Disk;
  readonly clock?: Clock;
  readonly log?: RecordingLogger;
}

let startCount = 0;

/**
 * Opens a store as a start of the node does. On its fake clock nothing is flushed in the background, so a
 * store that a test just lets go of is what a killed process leaves.
 */
export async function openStore(options: TestStoreOptions): Promise<Store> {
  startCount += 1;
  return Store.open(
    {
      dataDirectory: options.directory,
      nodeName: options.nodeName ?? 'node1',
      chunkBytesMax: options.chunkBytesMax ?? 1024 * 1024,
      flushIntervalMs: options.flushIntervalMs ?? 1_000,
    },
    {
      disk: options.disk ?? nodeDisk,
      clock: options.clock ?? new FakeClock(),
      log: options.log ?? new RecordingLogger(),
      random: new SeededRandom(startCount),
    },
  );
}

export function append(category: Category, text: string | Buffer, sync = false): Promise<Appended> {
  const bytes = Buffer.from(text);
  return category.append([bytes], bytes.length, sync);
}

export function chunkPath(directory: string, category: string, chunk: string): string {
  return join(directory, category, chunk);
}

export function readChunk(directory: string, category: string, chunk: string): Promise<Buffer> {
  return readFile(chunkPath(directory, category, chunk));
}

/** The names of the chunk files that are there, sorted. */
export async function chunkFiles(directory: string, category: string): Promise<string[]> {
  return (await readdir(join(directory, category))).sort();
}

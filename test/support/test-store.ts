import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../src/common/clock.js';
import type { ProducerStamp } from '../../src/protocol/http-api.js';
import { rotateIntervalMsDefault } from '../../src/protocol/limits.js';
import type { Appended } from '../../src/storage/batch.js';
import type { Category } from '../../src/storage/category.js';
import type { Disk } from '../../src/storage/disk.js';
import type { DiskReserve } from '../../src/storage/disk-guard.js';
import { nodeDisk } from '../../src/storage/node-disk.js';
import type { RetentionLimits } from '../../src/storage/retention.js';
import { Store } from '../../src/storage/store.js';
import { FakeClock } from './fake-clock.js';
import { RecordingLogger } from './recording-logger.js';
import { SeededRandom } from './seeded-random.js';

export interface TestStoreOptions {
  readonly directory: string;
  readonly nodeName?: string;
  readonly chunkBytesMax?: number;
  readonly flushIntervalMs?: number;
  readonly rotateIntervalMs?: number;
  readonly diskReserve?: DiskReserve;
  readonly retention?: RetentionLimits;
  readonly categoryCountMax?: number;
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
      rotateIntervalMs: options.rotateIntervalMs ?? rotateIntervalMsDefault,
      flushIntervalMs: options.flushIntervalMs ?? 1_000,
      diskReserve: options.diskReserve ?? 0,
      retentionOf: () => options.retention,
      scrubIntervalMs: 0,
      ...(options.categoryCountMax !== undefined && { categoryCountMax: options.categoryCountMax }),
    },
    {
      disk: options.disk ?? nodeDisk,
      clock: options.clock ?? new FakeClock(),
      log: options.log ?? new RecordingLogger(),
      random: new SeededRandom(startCount),
    },
  );
}

/** A batch that is in a chunk that is still there. */
export interface Placed extends Appended {
  readonly chunk: string;
  readonly offset: number;
}

export function append(
  category: Category,
  text: string | Buffer,
  sync = false,
  stamp?: ProducerStamp,
): Promise<Placed> {
  return appendPieces(category, [Buffer.from(text)], sync, stamp);
}

export async function appendPieces(
  category: Category,
  pieces: readonly Buffer[],
  sync = false,
  stamp?: ProducerStamp,
): Promise<Placed> {
  const byteCount = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return (await category.append({ pieces, byteCount, sync, stamp })) as Placed;
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

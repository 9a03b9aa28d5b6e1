import { basename, dirname } from 'node:path';
import { crc32 } from '../common/crc32.js';
import type { Batch } from './batch.js';
import type { BatchRecord } from './batch-index.js';
import { type Disk, type DiskFile, hasSystemCode } from './disk.js';
import { type ChunkFiles, endOf, readIndex } from './recovery.js';

/** What could be saved of a damaged chunk. */
export interface SalvageReport {
  readonly savedBatches: number;
  readonly savedBytes: number;
  readonly damagedBytes: number;
  /** Where in the chunk they are, as `first-last, ...`, for who looks at it; no more than the first few. */
  readonly damaged: string;
  /** Where the chunk is now, as it was found. */
  readonly movedTo: string;
}

/** Where the intact batches of a damaged chunk go. */
export interface SalvageTarget {
  append(batch: Batch): Promise<unknown>;
  /** Makes all that was appended durable. */
  sync(): Promise<void>;
}

/** More would make the line of the log unreadable. */
const shownRangeCountMax = 16;

/**
 * Saves what can be saved of a damaged chunk: its intact batches are appended again, and when they are durable
 * the chunk is moved aside as it is, with its index; nothing is deleted. A crash in between leaves the chunk to
 * the next start, and some messages twice.
 */
export async function salvageChunk(
  disk: Disk,
  files: ChunkFiles,
  quarantineDirectory: string,
  target: SalvageTarget,
): Promise<SalvageReport> {
  const file = await disk.openFile(files.path, 'read');
  const saved: BatchRecord[] = [];
  let size: number;
  try {
    const index = await readIndex(disk, files.indexPath);
    const records = index?.records ?? [];
    size = await file.size();
    for (const record of [...records, ...(index?.behindDamage ?? [])]) {
      if (endOf([record]) > size) continue;
      const bytes = await readBatch(file, record);
      if (crc32(bytes) !== record.crc) continue;
      const { byteCount, stamp } = record;
      await target.append({ pieces: [bytes], byteCount, sync: false, stamp });
      saved.push(record);
    }
    size = Math.max(size, endOf(records));
  } finally {
    await file.close();
  }
  await target.sync();
  await moveAside(disk, files, quarantineDirectory);
  const gaps = gapsBetween(saved, size);
  const shown = gaps.slice(0, shownRangeCountMax).map(([first, end]) => `${first}-${end - 1}`);
  return {
    savedBatches: saved.length,
    savedBytes: saved.reduce((sum, { byteCount }) => sum + byteCount, 0),
    damagedBytes: gaps.reduce((sum, [first, end]) => sum + end - first, 0),
    damaged: shown.join(', '),
    movedTo: `${quarantineDirectory}/${basename(files.path)}`,
  };
}

/**
 * The chunk goes first, and durably: one without its index would be taken by the next start as it is, and an
 * index without a chunk means nothing.
 */
export async function moveAside(disk: Disk, files: ChunkFiles, directory: string): Promise<void> {
  await disk.makeDirectory(directory);
  for (const path of [files.path, files.indexPath]) {
    await disk.rename(path, `${directory}/${basename(path)}`).catch((error: unknown) => {
      // A chunk may have no index.
      if (path !== files.indexPath || !hasSystemCode(error, 'ENOENT')) throw error;
    });
    await disk.syncDirectory(directory);
    await disk.syncDirectory(dirname(path));
  }
}

/** The bytes of a batch. Throws when the file ends before. */
export async function readBatch(
  file: Pick<DiskFile, 'read'>,
  { offset, byteCount }: BatchRecord,
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(byteCount);
  for (let filled = 0; filled < byteCount; ) {
    const taken = await file.read(bytes.subarray(filled), offset + filled);
    if (taken === 0) throw new Error(`the file ended at ${offset + filled} while it was read`);
    filled += taken;
  }
  return bytes;
}

/** What lies between the batches, and between the last one and `size`. */
function gapsBetween(saved: readonly BatchRecord[], size: number): [first: number, end: number][] {
  const gaps: [number, number][] = [];
  let end = 0;
  for (const record of saved.toSorted((left, right) => left.offset - right.offset)) {
    if (record.offset > end) gaps.push([end, record.offset]);
    end = Math.max(end, endOf([record]));
  }
  if (size > end) gaps.push([end, size]);
  return gaps;
}

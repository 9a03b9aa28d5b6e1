import { basename, dirname } from 'node:path';
import type { Batch } from './batch.js';
import { findDamaged } from './chunk-check.js';
import { type Disk, type DiskFile, hasSystemCode } from './disk.js';
import { type ChunkFiles, endOf, readIndex } from './recovery.js';

/** What could be saved of a damaged chunk. */
export interface SalvageReport {
  readonly savedBytes: number;
  readonly damagedBytes: number;
  /** Where the chunk is now, as it was found. */
  readonly movedTo: string;
}

/**
 * Saves what can be saved of a damaged chunk: its intact batches are appended again, as the caller does it,
 * and then the chunk is moved aside as it is, with its index; nothing is deleted. A crash in between leaves
 * the chunk to the next start, and some messages twice.
 *
 * @param append resolves when the batch is durable
 */
export async function salvageChunk(
  disk: Disk,
  files: ChunkFiles,
  quarantineDirectory: string,
  append: (batch: Batch) => Promise<unknown>,
): Promise<SalvageReport> {
  const file = await disk.openFile(files.path, 'read');
  let savedBytes = 0;
  let size: number;
  try {
    size = await file.size();
    const records = (await readIndex(disk, files.indexPath))?.records ?? [];
    const damaged = new Set(await findDamaged(file, records));
    for (const { offset, byteCount, stamp } of records.filter((record) => !damaged.has(record))) {
      const bytes = await readRange(file, offset, byteCount);
      await append({ pieces: [bytes], byteCount, sync: true, stamp });
      savedBytes += byteCount;
    }
    size = Math.max(size, endOf(records));
  } finally {
    await file.close();
  }
  await moveAside(disk, files, quarantineDirectory);
  const movedTo = `${quarantineDirectory}/${basename(files.path)}`;
  return { savedBytes, damagedBytes: size - savedBytes, movedTo };
}

async function moveAside(disk: Disk, files: ChunkFiles, directory: string): Promise<void> {
  await disk.makeDirectory(directory);
  for (const path of [files.indexPath, files.path]) {
    await disk.rename(path, `${directory}/${basename(path)}`).catch((error: unknown) => {
      // A chunk may have no index; and what a crash left here has been moved in part.
      if (path !== files.indexPath || !hasSystemCode(error, 'ENOENT')) throw error;
    });
  }
  for (const path of [directory, dirname(files.path), dirname(files.indexPath)]) {
    await disk.syncDirectory(path);
  }
}

async function readRange(file: DiskFile, offset: number, byteCount: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(byteCount);
  for (let filled = 0; filled < byteCount; ) {
    const taken = await file.read(bytes.subarray(filled), offset + filled);
    if (taken === 0) throw new Error(`the file ended at ${offset + filled} while it was read`);
    filled += taken;
  }
  return bytes;
}

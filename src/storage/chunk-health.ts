import { replaceFile } from './atomic-file.js';
import { formatIndex, type SealRecord } from './batch-index.js';
import { crcOfFile, findDamaged, type Pace } from './chunk-check.js';
import { type Disk, type DiskFile, hasSystemCode } from './disk.js';
import { type ChunkFiles, readIndex, readSeal } from './recovery.js';

/**
 * What a check of a sealed chunk found:
 *
 * - `intact`: every batch is what was written;
 * - `missing`: there is no such file;
 * - `index damaged`: the chunk is what was sealed, but its index does not list the batches any more;
 * - `damaged`: some bytes are not what was written, or are missing;
 * - `unknown`: nothing says what it should be.
 */
export type ChunkHealth =
  | { readonly kind: 'intact' | 'missing' | 'unknown' }
  | { readonly kind: 'index damaged'; readonly seal: SealRecord }
  | { readonly kind: 'damaged'; readonly damagedBytes: number };

/** Compares a sealed chunk with its index. */
export async function checkSealedChunk(
  disk: Disk,
  files: ChunkFiles,
  pace?: Pace,
): Promise<ChunkHealth> {
  let file: DiskFile;
  try {
    file = await disk.openFile(files.path, 'read');
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) return { kind: 'missing' };
    throw error;
  }
  try {
    const index = await readIndex(disk, files.indexPath);
    const seal = await readSeal(disk, files.indexPath);
    if (seal !== undefined && index?.seal === undefined) {
      const crc = await crcOfFile(file, seal.size, pace);
      return crc === seal.crc
        ? { kind: 'index damaged', seal }
        : { kind: 'damaged', damagedBytes: seal.size };
    }
    if (index === undefined || index.records.length === 0) return { kind: 'unknown' };
    const damaged = await findDamaged(file, index.records, pace);
    if (damaged.length === 0) return { kind: 'intact' };
    const damagedBytes = damaged.reduce((sum, record) => sum + record.byteCount, 0);
    return { kind: 'damaged', damagedBytes };
  } finally {
    await file.close();
  }
}

/** Makes a new index for a chunk that is what was sealed: all of it is one batch there. */
export async function remakeIndex(disk: Disk, files: ChunkFiles, seal: SealRecord): Promise<void> {
  const records = [{ offset: 0, byteCount: seal.size, crc: seal.crc }];
  await replaceFile(disk, files.indexPath, formatIndex(records, seal));
}

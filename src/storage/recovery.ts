import type { Logger } from '../common/logger.js';
import { replaceFile, writeAll } from './atomic-file.js';
import {
  type BatchIndex,
  type BatchRecord,
  crcOfRecords,
  formatIndex,
  formatSeal,
  parseIndex,
  parseSealAtEnd,
  type SealRecord,
  sealLineBytesMax,
} from './batch-index.js';
import { crcOfFile, findDamaged } from './chunk-check.js';
import { type Disk, type DiskFile, hasSystemCode } from './disk.js';

const NEWLINE = 0x0a;

/** How much of a file's end is looked at in one read while the last newline is searched. */
const scanBytes = 64 * 1024;

/** The files of a chunk, and what to say about it. */
export interface ChunkFiles {
  readonly path: string;
  readonly indexPath: string;
  readonly category: string;
  readonly chunk: string;
}

/**
 * What a start found of a chunk that an earlier start left:
 *
 * - `sealed`: its index says that it is whole and durable;
 * - `cut`: it was open, and has the batches of the records, durable now; an empty list is an empty chunk;
 * - `damaged`: a batch in front of an intact one is not what was written, bytes of a sealed chunk are missing, or
 *   the index is damaged, so that nothing says which of the bytes behind belong to answered batches.
 */
export type FoundChunk =
  | { readonly kind: 'sealed'; readonly seal: SealRecord }
  | { readonly kind: 'cut'; readonly records: readonly BatchRecord[] }
  | { readonly kind: 'damaged' };

/**
 * Finds out how much of a chunk can be trusted, and cuts off the rest.
 *
 * A chunk that was sealed and durable, and has the size that its seal says, is taken at its index's word. Of one
 * that was open when its writer died, every batch is compared with its checksum: what follows the last line of
 * the index belongs to no answered batch, and what does not match its checksum was taken by a power failure
 * before it was durable. Both are cut off and reported. A chunk without an index keeps its whole lines.
 */
export async function recoverChunk(
  disk: Disk,
  log: Logger,
  files: ChunkFiles,
): Promise<FoundChunk> {
  const seal = await readSeal(disk, files.indexPath);
  const file = await disk.openFile(files.path, 'write');
  try {
    const sizeFound = await file.size();
    if (seal?.size === sizeFound) return { kind: 'sealed', seal };
    const index = await readIndex(disk, files.indexPath);
    if (index === undefined) return await adopt(disk, log, files, file, sizeFound);
    // A seal that does not fit the chunk is believed only when all of the index agrees with it.
    if (index.seal !== undefined) return checkSize(log, files, index.seal, sizeFound);
    const damaged = await findDamaged(file, index.records);
    const size = damaged[0]?.offset ?? endOf(index.records);
    const records = index.records.filter((record) => record.offset < size);
    const isTail = damaged.length === index.records.length - records.length;
    if (!isTail || (index.isDamaged && size < sizeFound)) return { kind: 'damaged' };
    report(log, files, { sizeFound, size, recordedSize: endOf(index.records) });
    if (size < sizeFound) await file.truncate(size);
    await file.sync();
    await cutIndex(disk, files.indexPath, records);
    return { kind: 'cut', records };
  } finally {
    await file.close();
  }
}

/** Ends the index of a chunk that was cut with the record that it is whole and durable. */
export async function sealRecovered(
  disk: Disk,
  indexPath: string,
  seal: SealRecord,
): Promise<void> {
  const file = await disk.openFile(indexPath, 'write');
  try {
    await writeAll(file, Buffer.from(formatSeal(seal), 'latin1'), await file.size(), indexPath);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The seal of a chunk that has these batches. */
export function sealOf(records: readonly BatchRecord[], sealedAtMs: number): SealRecord {
  return { size: endOf(records), crc: crcOfRecords(records), sealedAtMs };
}

/** Where the last batch ends. */
export function endOf(records: readonly BatchRecord[]): number {
  const last = records.at(-1);
  return last === undefined ? 0 : last.offset + last.byteCount;
}

/** The index of a chunk; `undefined` when there is none. */
export async function readIndex(disk: Disk, indexPath: string): Promise<BatchIndex | undefined> {
  try {
    return parseIndex(await disk.readFile(indexPath));
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** The seal at the end of an index, read without the rest. */
export async function readSeal(disk: Disk, indexPath: string): Promise<SealRecord | undefined> {
  let file: DiskFile;
  try {
    file = await disk.openFile(indexPath, 'read');
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    const size = await file.size();
    const tail = Buffer.alloc(Math.min(size, sealLineBytesMax));
    const byteCount = await file.read(tail, size - tail.length);
    return parseSealAtEnd(tail.subarray(0, byteCount));
  } finally {
    await file.close();
  }
}

/** Whatever made the chunk lost its index, or never had one: its whole lines are taken as one batch. */
async function adopt(
  disk: Disk,
  log: Logger,
  files: ChunkFiles,
  file: DiskFile,
  sizeFound: number,
): Promise<FoundChunk> {
  const size = await findLastLineEnd(file, sizeFound);
  report(log, files, { sizeFound, size, recordedSize: size });
  if (size < sizeFound) await file.truncate(size);
  await file.sync();
  if (size === 0) return { kind: 'cut', records: [] };
  const records = [{ offset: 0, byteCount: size, crc: (await crcOfFile(file, size)) ?? 0 }];
  await replaceFile(disk, files.indexPath, formatIndex(records)).catch((error: unknown) => {
    // Without room for the index the chunk is as good; the next start makes it again.
    if (!hasSystemCode(error, 'ENOSPC', 'EDQUOT')) throw error;
  });
  return { kind: 'cut', records };
}

function checkSize(
  log: Logger,
  { category, chunk }: ChunkFiles,
  seal: SealRecord,
  sizeFound: number,
): FoundChunk {
  const { size } = seal;
  if (sizeFound < size) return { kind: 'damaged' };
  log.warn('Nobody will read what somebody else has added to a sealed chunk.', {
    category,
    chunk,
    size,
    addedBytes: sizeFound - size,
  });
  return { kind: 'sealed', seal };
}

function report(
  log: Logger,
  { category, chunk }: ChunkFiles,
  found: { readonly sizeFound: number; readonly size: number; readonly recordedSize: number },
): void {
  const { sizeFound, size, recordedSize } = found;
  const unansweredBytes = Math.max(0, sizeFound - recordedSize);
  const fields = { category, chunk, size };
  if (unansweredBytes > 0) {
    log.warn('Cut off the end of a write that was not answered.', {
      ...fields,
      cutBytes: unansweredBytes,
    });
  }
  if (recordedSize > size) {
    log.error('Cut off batches that the disk does not have whole: they were not durable yet.', {
      ...fields,
      cutBytes: recordedSize - size,
    });
  }
}

/** Cuts the index behind the lines of these records, which are its first ones, and makes it durable. */
async function cutIndex(
  disk: Disk,
  indexPath: string,
  records: readonly BatchRecord[],
): Promise<void> {
  const file = await disk.openFile(indexPath, 'write');
  try {
    const size = formatIndex(records).length;
    if (size < (await file.size())) await file.truncate(size);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The offset behind the last newline before `end`; 0 when there is none. */
async function findLastLineEnd(file: DiskFile, end: number): Promise<number> {
  // The last byte alone decides for nearly every chunk.
  let windowBytes = 1;
  for (let windowEnd = end; windowEnd > 0; ) {
    const windowStart = Math.max(0, windowEnd - windowBytes);
    const window = Buffer.allocUnsafe(windowEnd - windowStart);
    const byteCount = await file.read(window, windowStart);
    const found = window.subarray(0, byteCount).lastIndexOf(NEWLINE);
    if (found !== -1) return windowStart + found + 1;
    windowEnd = windowStart;
    windowBytes = scanBytes;
  }
  return 0;
}

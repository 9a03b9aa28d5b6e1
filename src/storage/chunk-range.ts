import { messageBytesMax } from '../protocol/limits.js';
import type { DiskFile } from './disk.js';

/** What a range is looked for in. */
type ReadableFile = Pick<DiskFile, 'read'>;

const NEWLINE = 0x0a;

/** Most lines are shorter than this, so the first look back nearly always finds the end of one. */
const firstScanBytes = 4 * 1024;
const scanBytes = 64 * 1024;

/**
 * Where a read of at most `byteCountMax` bytes from `offset` ends, so that it has whole messages only.
 * It has at least one when there is one, even if that is larger than `byteCountMax`.
 *
 * @param size the size of the chunk; a line ends there
 */
export async function findRangeEnd(
  file: ReadableFile,
  size: number,
  offset: number,
  byteCountMax: number,
): Promise<number> {
  const limit = offset + byteCountMax;
  if (limit >= size) return size;
  const lastEnd = await findLineEndBefore(file, offset, limit);
  return lastEnd ?? findLineEndAfter(file, limit, size);
}

async function findLineEndBefore(
  file: ReadableFile,
  from: number,
  before: number,
): Promise<number | undefined> {
  let blockBytes = firstScanBytes;
  for (let blockEnd = before; blockEnd > from; ) {
    const blockStart = Math.max(from, blockEnd - blockBytes);
    const found = (await readBlock(file, blockStart, blockEnd)).lastIndexOf(NEWLINE);
    if (found !== -1) return blockStart + found + 1;
    blockEnd = blockStart;
    blockBytes = scanBytes;
  }
  return undefined;
}

async function findLineEndAfter(file: ReadableFile, from: number, size: number): Promise<number> {
  // The message that spans `from` began before it, so it ends within one message's length.
  const end = Math.min(size, from + messageBytesMax);
  for (let blockStart = from; blockStart < end; blockStart += scanBytes) {
    const found = (
      await readBlock(file, blockStart, Math.min(end, blockStart + scanBytes))
    ).indexOf(NEWLINE);
    if (found !== -1) return blockStart + found + 1;
  }
  return size;
}

async function readBlock(file: ReadableFile, from: number, before: number): Promise<Buffer> {
  const block = Buffer.allocUnsafe(before - from);
  const byteCount = await file.read(block, from);
  return block.subarray(0, byteCount);
}

import type { Disk, DiskFile } from './disk.js';

const NEWLINE = 0x0a;

/** How much of a file's end is looked at in one read while the last newline is searched. */
const scanBytes = 64 * 1024;

export interface RecoveredTail {
  readonly size: number;
  /** Bytes behind the last newline that were cut off: the torn end of a write that was never answered. */
  readonly cutBytes: number;
}

/**
 * Cuts a chunk that may have been open when its writer died behind its last newline. Unless that is known to
 * be so, what is left is made durable: the process that wrote it may have ended before it could.
 */
export async function recoverTail(
  disk: Disk,
  path: string,
  isDurable: boolean,
): Promise<RecoveredTail> {
  const file = await disk.openFile(path, 'write');
  try {
    const sizeFound = await file.size();
    const size = await findLastLineEnd(file, sizeFound);
    if (size < sizeFound) await file.truncate(size);
    if (size < sizeFound || !isDurable) await file.sync();
    return { size, cutBytes: sizeFound - size };
  } finally {
    await file.close();
  }
}

/** The offset behind the last newline before `end`; 0 when there is none. */
async function findLastLineEnd(file: DiskFile, end: number): Promise<number> {
  // The last byte alone decides for nearly every chunk.
  let blockBytes = 1;
  for (let blockEnd = end; blockEnd > 0; ) {
    const blockStart = Math.max(0, blockEnd - blockBytes);
    const block = Buffer.allocUnsafe(blockEnd - blockStart);
    const byteCount = await file.read(block, blockStart);
    const found = block.subarray(0, byteCount).lastIndexOf(NEWLINE);
    if (found !== -1) return blockStart + found + 1;
    blockEnd = blockStart;
    blockBytes = scanBytes;
  }
  return 0;
}

import { dirname } from 'node:path';
import { type Disk, type DiskFile, hasSystemCode } from './disk.js';

/**
 * Replaces a small file so that after a crash at any point it has either the old or the new content,
 * and the new one for sure once this has resolved.
 */
export async function replaceFile(disk: Disk, path: string, content: string): Promise<void> {
  const temporary = `${path}.new`;
  await removeIfThere(disk, temporary);
  const file = await disk.createFile(temporary);
  try {
    await writeAll(file, Buffer.from(content), 0, temporary);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, path);
  await disk.syncDirectory(dirname(path));
}

/** Writes all bytes at a position. */
export async function writeAll(
  file: DiskFile,
  bytes: Buffer,
  position: number,
  path: string,
): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const byteCount = await file.write([bytes.subarray(written)], position + written);
    if (byteCount === 0) throw new Error(`The disk took no more bytes of ${path}`);
    written += byteCount;
  }
}

export async function removeIfThere(disk: Disk, path: string): Promise<void> {
  try {
    await disk.removeFile(path);
  } catch (error) {
    if (!hasSystemCode(error, 'ENOENT')) throw error;
  }
}

import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a directory, and those above it that are missing; one that is there is as good. Node's own `recursive` never ends
 * where a file system says `ENOENT` in a directory that is there, as the one of /proc does (Node.js 20), and tells a
 * read-only disk, or a quota that is used up, as `ENOENT`. Throws what the system says.
 *
 * @param made is told each directory that was made
 */
export async function makeDirectory(
  path: string,
  made: (path: string) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  try {
    await makeOne(path, made);
  } catch (error) {
    if (!hasCode(error, 'ENOENT') || dirname(path) === path) throw error;
    await makeDirectory(dirname(path), made);
    // Only once: that one is there now.
    await makeOne(path, made);
  }
}

async function makeOne(path: string, made: (path: string) => Promise<void>): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (hasCode(error, 'EEXIST') && (await stat(path)).isDirectory()) return;
    throw error;
  }
  await made(path);
}

function hasCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code;
}

import { readFile, realpath, statfs } from 'node:fs/promises';

/** The disk of a directory. */
export interface DiskFacts {
  /** Its file system, as `ext4 on /dev/vda1`; `unknown file system` where the system does not say. */
  readonly fileSystem: string;
  readonly freeBytes: number;
}

/** Throws what the system says of a directory that is not there. */
export async function readDiskFacts(directory: string): Promise<DiskFacts> {
  const [path, { bavail, bsize }] = await Promise.all([realpath(directory), statfs(directory)]);
  const mounts = await readFile('/proc/self/mounts', 'utf8').catch(() => '');
  return { fileSystem: fileSystemOf(path, mounts), freeBytes: bavail * bsize };
}

/** The mount with the longest path that the directory is in; of several at one path, the last one covers the others. */
function fileSystemOf(path: string, mounts: string): string {
  let found = { mountPoint: '', description: 'unknown file system' };
  for (const line of mounts.split('\n')) {
    const [device = '', mountPoint = '', kind = ''] = line.split(' ');
    const isAround = mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`);
    if (mountPoint === '' || !isAround || mountPoint.length < found.mountPoint.length) continue;
    found = { mountPoint, description: `${kind} on ${device}` };
  }
  return found.description;
}

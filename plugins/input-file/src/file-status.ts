import type { BigIntStats } from 'node:fs';

/** A regular file as a look at its path or descriptor shows it. */
export interface FileStatus {
  /** `dev:ino`: the same for all names of a file, and over a rename. Reused after the file is gone. */
  readonly key: string;
  /** When the inode was made, in nanoseconds as text; left out where the file system does not tell. */
  readonly born?: string;
  /** In bytes. */
  readonly size: number;
  readonly modifiedNs: bigint;
  /** True when no name leads to the file any more. */
  readonly isDeleted: boolean;
}

/** Whether two looks showed the same inode in the same life of it, as far as is told. */
export function isSameInode(left: FileStatus, right: FileStatus): boolean {
  const isBornThen =
    left.born === undefined || right.born === undefined || left.born === right.born;
  return left.key === right.key && isBornThen;
}

/**
 * Whether this system tells times of birth, which is seen as soon as it does. One that cannot gives the time of the last
 * change instead (libuv without `statx`); a file system that has none gives 0.
 */
let areBirthsTold = false;

/** Reads a status taken with `bigint: true`: numbers above 2^53 occur as inodes and would lose bits. */
export function toFileStatus(stats: BigIntStats): FileStatus {
  areBirthsTold ||= stats.birthtimeNs !== 0n && stats.birthtimeNs !== stats.ctimeNs;
  const isBornKnown = areBirthsTold && stats.birthtimeNs !== 0n;
  return {
    key: `${stats.dev}:${stats.ino}`,
    ...(isBornKnown ? { born: `${stats.birthtimeNs}` } : {}),
    size: Number(stats.size),
    modifiedNs: stats.mtimeNs,
    isDeleted: stats.nlink === 0n,
  };
}

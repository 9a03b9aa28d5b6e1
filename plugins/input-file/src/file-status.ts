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

/** Reads a status taken with `bigint: true`: numbers above 2^53 occur as inodes and would lose bits. */
export function toFileStatus(stats: BigIntStats): FileStatus {
  // Without a time of birth, systems give 0 or the time of the last change.
  const isBornKnown = stats.birthtimeNs !== 0n && stats.birthtimeNs !== stats.ctimeNs;
  return {
    key: `${stats.dev}:${stats.ino}`,
    ...(isBornKnown ? { born: `${stats.birthtimeNs}` } : {}),
    size: Number(stats.size),
    modifiedNs: stats.mtimeNs,
    isDeleted: stats.nlink === 0n,
  };
}

import { statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { FileFigures } from './file-figures.js';
import { type FileStatus, isSameInode, toFileStatus } from './file-status.js';
import type { FollowedFile } from './followed-file.js';
import { OpenFiles } from './open-files.js';
import { namesBeforeRotation, rotationStem } from './rotated-names.js';

/** How many files whose names a rotation may have made of one are compared with a new one. */
const relativeCountMax = 16;

/** A followed file, and how it stands to its paths. */
export interface Member {
  readonly file: FollowedFile;
  readonly paths: Set<string>;
  /** What had the path before, or has the rest of the old contents, until that has been read to its end. */
  predecessor: Member | undefined;
  /** Since when no path leads to the file, on the clock of `performance.now`. */
  unseenSinceMs: number | undefined;
  /** The file that it is a copy of, or may become one of, while it is not read. */
  original: Member | undefined;
  /** How many bytes of it were seen to be a copy. */
  copiedBytes: number;
  /** True when another file goes on with what it had. */
  isSucceeded: boolean;
  /** Of the path that it had first: the directory, and the name without numbers. */
  readonly stem: string;
}

/** The followed files by what they are found by, and which of them wait for what. */
export class MemberMap {
  readonly byKey = new Map<string, Member>();
  readonly byPath = new Map<string, Member>();
  /** No path leads to them. */
  readonly unseen = new Set<Member>();
  /** They have to be looked at before they are read. */
  readonly undecided = new Set<Member>();
  /** They were not read when that was looked at last: what waits and what is new. */
  readonly unassigned = new Set<Member>();
  /** What led to a file that is gone, to be looked at again. */
  readonly stalePaths = new Set<string>();
  /** They may have something to read. */
  readonly ready = new Set<Member>();
  readonly openFiles: OpenFiles;
  readonly #figures: FileFigures;
  /** By the directory and the name without numbers. */
  readonly #byStem = new Map<string, Set<Member>>();

  constructor(figures: FileFigures) {
    this.#figures = figures;
    this.openFiles = new OpenFiles(figures.openFiles);
  }

  /**
   * Whether a member is followed still. The key alone does not tell: a file that no path led to for a moment is let go
   * of, and comes in again as another member, and so does another file with its inode.
   */
  has(member: Member): boolean {
    return this.byKey.get(member.file.key) === member;
  }

  wake(member: Member): void {
    member.file.hasMore = true;
    this.ready.add(member);
  }

  /** Has a member read after another one, unless that waits for it already: the two would wait for ever. */
  readAfter(member: Member, predecessor: Member): void {
    for (let each: Member | undefined = predecessor; each !== undefined; each = each.predecessor) {
      if (each === member) return;
    }
    member.predecessor = predecessor;
  }

  joinPath(member: Member, path: string): void {
    member.paths.add(path);
    member.unseenSinceMs = undefined;
    this.unseen.delete(member);
    this.openFiles.unpin(member.file);
    this.byPath.set(path, member);
    if (!member.paths.has(member.file.path)) member.file.path = path;
  }

  leavePath(path: string): void {
    const member = this.byPath.get(path);
    if (member === undefined) return;
    this.byPath.delete(path);
    member.paths.delete(path);
    const [other] = member.paths;
    if (other !== undefined) {
      if (member.file.path === path) member.file.path = other;
      return;
    }
    member.unseenSinceMs ??= performance.now();
    this.unseen.add(member);
    this.openFiles.pin(member.file);
    // No look at a path shows any more whether it grows.
    this.wake(member);
    for (const other of this.unassigned) {
      if (other.original === member) this.undecided.add(other);
    }
  }

  /** Takes in a file under the names that lead to it. */
  add(file: FollowedFile): Member {
    const member: Member = {
      file,
      paths: new Set(),
      predecessor: undefined,
      unseenSinceMs: undefined,
      original: undefined,
      copiedBytes: 0,
      isSucceeded: false,
      stem: stemOf(file.path),
    };
    this.byKey.set(file.key, member);
    this.#figures.files.set(this.byKey.size);
    const relatives = this.#byStem.get(member.stem) ?? new Set();
    this.#byStem.set(member.stem, relatives.add(member));
    return member;
  }

  remove(member: Member): void {
    if (this.has(member)) this.byKey.delete(member.file.key);
    this.#figures.files.set(this.byKey.size);
    this.#byStem.get(member.stem)?.delete(member);
    if (this.#byStem.get(member.stem)?.size === 0) this.#byStem.delete(member.stem);
    this.ready.delete(member);
    this.undecided.delete(member);
    this.unseen.delete(member);
    for (const path of member.paths) {
      if (this.byPath.get(path) === member) this.byPath.delete(path);
    }
    this.unassigned.delete(member);
    for (const other of this.unassigned) {
      if (other.original !== member) continue;
      other.original = undefined;
      if (other.file.generation === undefined) this.undecided.add(other);
    }
  }

  /** The members that a file may be a copy of. */
  *originals(member: Member, isRunning: boolean): Generator<Member> {
    const { path } = member.file;
    const [directory, name] = [dirname(path), basename(path)];
    const originals = new Set<Member | undefined>(
      namesBeforeRotation(name).map((before) => this.byPath.get(join(directory, before))),
    );
    const relatives = [...(this.#byStem.get(stemOf(path)) ?? [])];
    for (const relative of relatives.slice(-relativeCountMax)) originals.add(relative);
    for (const original of originals) {
      if (original !== member && original?.file.generation !== undefined) yield original;
    }
    if (!isRunning || member.file.status.size === 0) return;
    for (const other of this.byKey.values()) {
      const isElsewhere =
        basename(other.file.path) === name && dirname(other.file.path) !== directory;
      if (isElsewhere && other.file.generation !== undefined) yield other;
    }
  }
}

/**
 * Whether the inode of a member is another file's by now: it was born since, or no path led to it and it was written, and it
 * was not open. One that was found in its directory, read, and closed has no path either until that is listed.
 */
export function isOtherInode({ file, paths }: Member, status: FileStatus): boolean {
  if (file.opened !== undefined) return false;
  if (!isSameInode(file.status, status)) return true;
  return paths.size === 0 && isWritten(file.status, status);
}

/**
 * As {@link isOtherInode}, but asks the system where the time of birth does not tell, which it does not for a file that was
 * written in one go: what was written since, and not at any path of the member, is another file.
 */
export function isOtherFile(member: Member, status: FileStatus): boolean {
  if (isOtherInode(member, status)) return true;
  const { file, paths } = member;
  if (file.opened !== undefined || !isWritten(file.status, status)) return false;
  return ![...paths].some((path) => mayLeadTo(path, status.key));
}

function isWritten(before: FileStatus, now: FileStatus): boolean {
  return before.size !== now.size || before.modifiedNs !== now.modifiedNs;
}

function mayLeadTo(path: string, key: string): boolean {
  try {
    return toFileStatus(statSync(path, { bigint: true })).key === key;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

function stemOf(path: string): string {
  return join(dirname(path), rotationStem(basename(path)));
}

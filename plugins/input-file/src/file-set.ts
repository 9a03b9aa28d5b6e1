import { stat } from 'node:fs/promises';
import type { ReadFrom } from './checkpoint.js';
import type { DiscoveryResult, FoundFile } from './file-discovery.js';
import { toFileStatus } from './file-status.js';
import { FollowedFile, type FollowedFileOptions } from './followed-file.js';

/** A followed file, and how it stands to its path. */
interface Member {
  readonly file: FollowedFile;
  /** The file that had the path before, until it has been read to its end. */
  predecessor: FollowedFile | undefined;
  /** Since when no path leads to the file, on the clock of `performance.now`. */
  unseenSinceMs: number | undefined;
}

/**
 * The files that are followed. A file comes in when a path leads to it, and leaves when for some time
 * none did and nothing was written to it: a program that was told to rotate may take a while to notice.
 */
export class FileSet {
  readonly #options: FollowedFileOptions;
  readonly #leaveAfterMs: number;
  readonly #members = new Map<string, Member>();
  #byPath = new Map<string, Member>();
  /** Paths with a problem that was logged, so that each poll does not log it again. */
  #failedPaths = new Set<string>();

  constructor(options: FollowedFileOptions, leaveAfterMs: number) {
    this.#options = options;
    this.#leaveAfterMs = leaveAfterMs;
  }

  /** Brings the set in step with what was found. `readFrom` is for files that were never read. */
  async update({ files, problems }: DiscoveryResult, readFrom: ReadFrom): Promise<void> {
    const before = this.#byPath;
    const seen = new Set<Member>();
    const failedPaths = new Set<string>();
    this.#byPath = new Map();
    for (const { path, error } of problems) this.#logFailure(path, error, failedPaths);
    for (const found of files) {
      const member = await this.#updateFile(found, readFrom, failedPaths);
      if (member === undefined) continue;
      seen.add(member);
      this.#byPath.set(found.path, member);
      const previous = before.get(found.path);
      const isReplaced = previous !== undefined && previous !== member;
      if (isReplaced && member.predecessor === undefined && !this.#waitsFor(previous, member)) {
        member.predecessor = previous.file;
        previous.file.hasMore = true;
      }
    }
    this.#failedPaths = failedPaths;
    this.#markUnseen(
      seen,
      problems.map(({ path }) => path),
    );
  }

  /** The files that may have something to read, in the order of their paths at the time they came. */
  *ready(): Generator<FollowedFile> {
    for (const member of this.#members.values()) {
      if (member.predecessor?.hasMore === false) member.predecessor = undefined;
      if (member.file.hasMore && member.predecessor === undefined) yield member.file;
    }
  }

  /** Notes that the file at a path may have changed. */
  notice(path: string): void {
    const member = this.#byPath.get(path);
    if (member !== undefined) member.file.hasMore = true;
  }

  /** Whether another file has taken the path since the last update. */
  async isReplaced(path: string): Promise<boolean> {
    const member = this.#byPath.get(path);
    if (member === undefined) return false;
    try {
      return toFileStatus(await stat(path, { bigint: true })).key !== member.file.key;
    } catch {
      // Gone, or not to be looked at: the next update finds out.
      return true;
    }
  }

  /** Notes that something was read of a file: who writes to it has not noticed its rotation yet. */
  noteRead(file: FollowedFile): void {
    const member = this.#members.get(file.key);
    if (member?.unseenSinceMs !== undefined) member.unseenSinceMs = performance.now();
    this.#failedPaths.delete(file.path);
  }

  /** Notes that a file could not be read; it is tried again at the next update. */
  noteFailure(file: FollowedFile, error: NodeJS.ErrnoException): void {
    this.#logFailure(file.path, error, this.#failedPaths);
    file.hasMore = false;
  }

  /** True when nothing more is expected of a file: its last line will not be finished. */
  isLeaving(file: FollowedFile): boolean {
    const since = this.#members.get(file.key)?.unseenSinceMs;
    return since !== undefined && performance.now() - since >= this.#leaveAfterMs;
  }

  /** Lets go of a file that is leaving and was read to its end. */
  async remove(file: FollowedFile): Promise<void> {
    this.#members.delete(file.key);
    this.#options.log.debug('A file is gone and was read to its end.', { file: file.path });
    await file.finish();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#members.values()].map(({ file }) => file.close()));
    this.#members.clear();
    this.#byPath.clear();
  }

  async #updateFile(
    { path, status }: FoundFile,
    readFrom: ReadFrom,
    failedPaths: Set<string>,
  ): Promise<Member | undefined> {
    const known = this.#members.get(status.key);
    if (known !== undefined) {
      known.file.observe(path, status);
      known.unseenSinceMs = undefined;
      if (this.#failedPaths.has(path)) {
        failedPaths.add(path);
        known.file.hasMore = true;
      }
      return known;
    }
    try {
      const isKnown = (key: string): boolean => this.#members.has(key);
      const file = await FollowedFile.open(path, readFrom, this.#options, isKnown);
      if (file === undefined) return undefined;
      const member = { file, predecessor: undefined, unseenSinceMs: undefined };
      this.#members.set(file.key, member);
      return member;
    } catch (error) {
      this.#logFailure(path, error as NodeJS.ErrnoException, failedPaths);
      return undefined;
    }
  }

  /** Whether a member is read only after another one; two files that swapped names must not wait for each other. */
  #waitsFor(member: Member, other: Member): boolean {
    for (let next: Member | undefined = member; next?.predecessor !== undefined; ) {
      if (next.predecessor === other.file) return true;
      next = this.#members.get(next.predecessor.key);
    }
    return false;
  }

  #markUnseen(seen: ReadonlySet<Member>, problemPaths: readonly string[]): void {
    for (const member of this.#members.values()) {
      if (seen.has(member)) continue;
      // A directory that cannot be listed for a moment does not mean that its files are gone.
      const { path } = member.file;
      if (problemPaths.some((problem) => path === problem || path.startsWith(`${problem}/`)))
        continue;
      member.unseenSinceMs ??= performance.now();
      // No look at a path shows any more whether it grows.
      member.file.hasMore = true;
    }
  }

  #logFailure(path: string, error: NodeJS.ErrnoException, failedPaths: Set<string>): void {
    const isKnown = this.#failedPaths.has(path);
    failedPaths.add(path);
    // What is gone between two looks is no failure.
    if (isKnown || error.code === 'ENOENT') return;
    this.#options.log.error('A file could not be read; it is tried again.', {
      file: path,
      error: error.message,
    });
  }
}

import { statSync } from 'node:fs';
import type { ReadFrom } from './checkpoint.js';
import { type FileStatus, toFileStatus } from './file-status.js';
import { FollowedFile, type FollowedFileOptions } from './followed-file.js';
import { isOtherInode, type Member, MemberMap } from './member-map.js';
import type { OpenFiles } from './open-files.js';
import type { PathProblem } from './path-finder.js';
import { Succession } from './succession.js';

/** How many files are opened together at the start: enough to keep Node's four disk threads busy. */
const openingCountMax = 16;

/**
 * The files that are followed. A file comes in when a path leads to it, and leaves when for some time
 * none did and nothing was written to it: a program that was told to rotate may take a while to notice.
 */
export class FileSet {
  /** What went wrong at paths, so that each look does not log it again. */
  readonly problems = new Map<string, NodeJS.ErrnoException>();
  readonly #options: FollowedFileOptions;
  readonly #leaveAfterMs: number;
  readonly #map: MemberMap;
  readonly #succession: Succession;

  constructor(options: FollowedFileOptions, leaveAfterMs: number) {
    this.#options = options;
    this.#leaveAfterMs = leaveAfterMs;
    this.#map = new MemberMap(options.figures);
    this.#succession = new Succession(options, this.#map);
  }

  get members(): ReadonlyMap<string, Member> {
    return this.#map.byKey;
  }

  get byPath(): ReadonlyMap<string, Member> {
    return this.#map.byPath;
  }

  get openFiles(): OpenFiles {
    return this.#map.openFiles;
  }

  /** Takes in the files that are there at the start. */
  async start(paths: Iterable<string>, readFrom: ReadFrom): Promise<void> {
    const { identification } = this.#succession;
    await identification.load();
    const added: Member[] = [];
    for (const path of paths) added.push(...this.#lookAt(path));
    const unknown = new Set<Member>();
    await this.#forEach(added, async (member) => {
      const verdict = await identification.resume(member.file);
      if (verdict === 'truncated' || verdict === 'replaced')
        this.#succession.logRestart(member.file, verdict);
      if (verdict !== 'same') unknown.add(member);
    });
    identification.releaseSaved();
    for (const member of added) {
      if (!unknown.has(member)) continue;
      const isKnown = identification.isKnown(member.file);
      await this.#attempt(member, () =>
        this.#succession.identify(member, isKnown ? 'beginning' : readFrom, false),
      );
    }
    for (const generation of identification.orphans.values()) {
      if (generation.lostMs !== undefined) continue;
      if (!(await this.#succession.search(generation))) await identification.setLost(generation);
    }
  }

  /** Takes in and out what a walk found: paths that came and paths that are gone. */
  async update(came: Iterable<string>, gone: Iterable<string>): Promise<void> {
    for (const path of gone) this.#leavePath(path);
    for (const path of came) this.#lookAt(path);
    await this.settle();
  }

  /** Looks at paths; what is at them may have changed. */
  async look(paths: Iterable<string>): Promise<void> {
    for (const path of paths) this.#lookAt(path);
    await this.settle();
  }

  /** Decides about files that are not read yet. */
  async settle(): Promise<void> {
    for (const path of this.#map.stalePaths) {
      this.#map.stalePaths.delete(path);
      this.#lookAt(path);
    }
    for (const member of [...this.#map.undecided]) {
      this.#map.undecided.delete(member);
      this.#lookAtOriginals(member);
      await this.#attempt(member, () => this.#succession.identify(member, 'beginning', true));
    }
  }

  /** Says how far reading is behind what is there; never rejects. It changes nothing else. */
  async countUnread(): Promise<void> {
    const { waitingFiles, unreadBytes, failingPaths } = this.#options.figures;
    let waitingCount = 0;
    let byteCount = 0;
    // Of many thousand files hardly any is asked, and waiting for each of them would cost more than all else that is done.
    const members = [...this.members.values()].filter(({ file }) => file.mayLag);
    for (const { file } of members) {
      const lagBytes = await file.lagBytes();
      if (lagBytes > 0) waitingCount += 1;
      byteCount += lagBytes;
    }
    waitingFiles.set(waitingCount);
    unreadBytes.set(byteCount);
    failingPaths.set(this.problems.size);
  }

  /** Looks at the files that no path leads to. */
  async lookAtUnseen(): Promise<void> {
    for (const member of this.#map.unseen) {
      const { file } = member;
      const status = await file.opened?.plain?.status().catch(() => undefined);
      if (status !== undefined) file.observe(status);
      if (file.hasMore || this.isLeaving(member) || file.opened === undefined)
        this.#map.wake(member);
    }
  }

  /** The files that may have something to read. */
  *ready(): Generator<Member> {
    const nowMs = performance.now();
    for (const member of this.#map.ready) {
      if (!member.file.hasMore && member.file.flushAtMs > nowMs && !this.isLeaving(member)) {
        if (member.file.flushAtMs === Number.POSITIVE_INFINITY) this.#map.ready.delete(member);
        continue;
      }
      const { predecessor } = member;
      if (predecessor !== undefined && this.#isDone(predecessor)) member.predecessor = undefined;
      if (member.predecessor === undefined) yield member;
    }
  }

  /** Whether a file may have something to read now. */
  get hasReady(): boolean {
    return !this.ready().next().done;
  }

  /** When a file that waits for its time is next, on the clock of `performance.now`. */
  nextFlushAtMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { file } of this.#map.ready) next = Math.min(next, file.flushAtMs);
    return next;
  }

  /** Notes that something was read of a file: who writes to it has not noticed its rotation yet. */
  noteRead(member: Member): void {
    if (member.unseenSinceMs !== undefined) member.unseenSinceMs = performance.now();
    this.problems.delete(member.file.path);
    this.#map.ready.add(member);
  }

  /** Whether a file is followed still. */
  has(member: Member): boolean {
    return this.#map.has(member);
  }

  /** True when nothing more is expected of a file: its last line will not be finished. */
  isLeaving({ unseenSinceMs }: Member): boolean {
    return unseenSinceMs !== undefined && performance.now() - unseenSinceMs >= this.#leaveAfterMs;
  }

  /** As {@link Succession.restart}. */
  restart(member: Member, reason: 'truncated' | 'replaced'): Promise<void> {
    return this.#succession.restart(member, reason);
  }

  /** A file could not be opened by its path: it has another one, or it is gone. */
  async relocate(member: Member): Promise<void> {
    await this.#succession.relocate(member);
    await this.settle();
  }

  /** Lets go of a file that is leaving and was read to its end. */
  async leave(member: Member): Promise<void> {
    const { file } = member;
    this.#options.log.debug('A file is gone and was read to its end.', { file: file.path });
    const status = await file.opened?.plain?.status();
    this.#map.remove(member);
    await file.close();
    if (file.generation === undefined) return;
    if (await this.#succession.placeInCopy(file.generation)) return;
    if (status?.isDeleted !== false || member.isSucceeded) await file.generation.forget();
    else await this.#succession.identification.setLost(file.generation);
  }

  /** Notes that a path could not be looked at, or a file not be read; it is tried again. */
  noteFailure(path: string, error: NodeJS.ErrnoException): void {
    const isKnown = this.problems.has(path);
    this.problems.set(path, error);
    // What is gone between two looks is no failure.
    if (isKnown || error.code === 'ENOENT') return;
    if (error.code === 'ERR_GZIP_INCOMPLETE') {
      this.#options.log.info('A packed file is not whole; it is read on when it has grown.', {
        file: path,
      });
    } else if (error.code === 'ERR_GZIP_DAMAGED') {
      this.#options.log.error('A packed file is damaged; what is behind the damage is not read.', {
        file: path,
        error: error.message,
      });
    } else {
      this.#options.log.error('A file could not be read; it is tried again.', {
        file: path,
        error: error.message,
      });
    }
  }

  /** Notes which directories could not be listed: their files are not taken for gone. */
  noteProblems(problems: readonly PathProblem[]): void {
    for (const { path, error } of problems) this.noteFailure(path, error);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#map.byKey.values()].map(({ file }) => file.close()));
    this.#map.byKey.clear();
    this.#map.byPath.clear();
    this.#map.ready.clear();
  }

  /** Looks at a path now; returns the member that came by it. */
  #lookAt(path: string): Member[] {
    let status: FileStatus;
    try {
      const stats = statSync(path, { bigint: true });
      if (!stats.isFile()) return [];
      status = toFileStatus(stats);
    } catch (thrown) {
      const error = thrown as NodeJS.ErrnoException;
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') this.#leavePath(path);
      else this.noteFailure(path, error);
      return [];
    }
    const known = this.#map.byKey.get(status.key);
    const isOther = known !== undefined && isOtherInode(known, status);
    if (isOther) this.#succession.release(known);
    // Not the one that was let go of a moment ago: it has no file any more.
    const before = this.#map.byPath.get(path);
    if (known !== undefined && !isOther) {
      if (before !== known) {
        if (before !== undefined) this.#leavePath(path);
        this.#map.joinPath(known, path);
      }
      known.file.observe(status);
      const isWaiting = known.file.generation === undefined && known.original === undefined;
      const isToBeNoticed = known.file.hasMore || isWaiting || this.#isToBeTriedAgain(path);
      if (isToBeNoticed) this.#noticeChange(known);
      return [];
    }
    const file = new FollowedFile(path, status, this.#options);
    const member = this.#map.add(file);
    if (before !== undefined) {
      this.#leavePath(path);
      this.#map.readAfter(member, before);
      this.#map.wake(before);
    }
    this.#map.joinPath(member, path);
    this.#map.undecided.add(member);
    this.#map.unassigned.add(member);
    return [member];
  }

  /** What a new file is depends on whether those that it may go on with are where they were, which no hint may have told yet. */
  #lookAtOriginals(member: Member): void {
    if (member.file.generation !== undefined) return;
    for (const original of [...this.#map.originals(member, false)]) {
      for (const path of [...original.paths]) this.#lookAt(path);
    }
  }

  /** A packed file that cannot be unpacked is tried again only when it has changed. */
  #isToBeTriedAgain(path: string): boolean {
    const problem = this.problems.get(path);
    return problem !== undefined && problem.code?.startsWith('ERR_GZIP') !== true;
  }

  #noticeChange(member: Member): void {
    if (member.file.generation === undefined) this.#map.undecided.add(member);
    else this.#map.ready.add(member);
    if (member.file.failure !== undefined) member.file.hasMore = true;
  }

  #isDone(member: Member): boolean {
    return !this.#map.has(member) || (!member.file.hasMore && !this.#map.undecided.has(member));
  }

  async #forEach(
    members: readonly Member[],
    run: (member: Member) => Promise<void>,
  ): Promise<void> {
    for (let start = 0; start < members.length; start += openingCountMax) {
      const some = members.slice(start, start + openingCountMax);
      await Promise.all(some.map((member) => this.#attempt(member, () => run(member))));
      await this.#map.openFiles.trim();
    }
  }

  async #attempt(member: Member, run: () => Promise<void>): Promise<void> {
    try {
      await run();
      member.file.failure = undefined;
      if (member.file.generation !== undefined) this.#map.unassigned.delete(member);
    } catch (error) {
      // The next look at its path tries again.
      this.noteFailure(member.file.path, error as NodeJS.ErrnoException);
      member.file.failure = error as NodeJS.ErrnoException;
    }
    this.#map.openFiles.touch(member.file);
    await this.#map.openFiles.trim();
  }

  #leavePath(path: string): void {
    this.problems.delete(path);
    this.#map.leavePath(path);
  }
}

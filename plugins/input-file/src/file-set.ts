import { statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { ReadFrom } from './checkpoint.js';
import { type FileStatus, toFileStatus } from './file-status.js';
import { FollowedFile, type FollowedFileOptions } from './followed-file.js';
import type { Generation } from './generation.js';
import { Identification } from './identification.js';
import { OpenFiles } from './open-files.js';
import type { PathProblem } from './path-finder.js';
import { areRotationsOfOne, namesBeforeRotation, rotationStem } from './rotated-names.js';

/** How many files are opened together at the start: enough to keep Node's four disk threads busy. */
const openingCountMax = 16;

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
  /** Of the path that it had first: the directory, and the name without numbers. */
  stem: string;
}

/**
 * The files that are followed. A file comes in when a path leads to it, and leaves when for some time
 * none did and nothing was written to it: a program that was told to rotate may take a while to notice.
 */
export class FileSet {
  readonly identification: Identification;
  readonly members = new Map<string, Member>();
  readonly byPath = new Map<string, Member>();
  /** What went wrong at paths, so that each look does not log it again. */
  readonly problems = new Map<string, NodeJS.ErrnoException>();
  readonly openFiles: OpenFiles;
  readonly #options: FollowedFileOptions;
  readonly #leaveAfterMs: number;
  readonly #ready = new Set<Member>();
  /** Members that are not read, and are to be looked at again. */
  readonly #undecided = new Set<Member>();
  readonly #unseen = new Set<Member>();
  /** Members that were not read when that was looked at last: what waits and what is new. */
  readonly #unassigned = new Set<Member>();
  /** By the directory and the name without numbers. */
  readonly #byStem = new Map<string, Set<Member>>();

  constructor(options: FollowedFileOptions, leaveAfterMs: number) {
    this.#options = options;
    this.#leaveAfterMs = leaveAfterMs;
    this.identification = new Identification(options);
    this.openFiles = new OpenFiles(options.figures.openFiles);
  }

  /** Takes in the files that are there at the start. */
  async start(paths: Iterable<string>, readFrom: ReadFrom): Promise<void> {
    const { identification } = this;
    await identification.load();
    const added: Member[] = [];
    for (const path of paths) added.push(...this.#lookAt(path));
    const unknown = new Set<Member>();
    await this.#forEach(added, async (member) => {
      const verdict = await identification.resume(member.file);
      if (verdict === 'truncated' || verdict === 'replaced') this.#logRestart(member.file, verdict);
      if (verdict !== 'same') unknown.add(member);
    });
    identification.releaseSaved();
    for (const member of added) {
      if (!unknown.has(member)) continue;
      const isKnown = identification.isKnown(member.file);
      await this.#attempt(member, () =>
        this.#identify(member, isKnown ? 'beginning' : readFrom, false),
      );
    }
    for (const generation of identification.orphans.values()) {
      if (generation.lostMs !== undefined) continue;
      if (!(await this.#search(generation))) await identification.setLost(generation);
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
    for (const member of [...this.#undecided]) {
      this.#undecided.delete(member);
      await this.#attempt(member, () => this.#identify(member, 'beginning', true));
    }
  }

  /** Looks at the files that no path leads to. */
  async lookAtUnseen(): Promise<void> {
    for (const member of this.#unseen) {
      const { file } = member;
      const status = await file.opened?.plain?.status().catch(() => undefined);
      if (status !== undefined) file.observe(status);
      if (file.hasMore || this.isLeaving(member) || file.opened === undefined) this.wake(member);
    }
  }

  /** The files that may have something to read. */
  *ready(): Generator<Member> {
    const nowMs = performance.now();
    for (const member of this.#ready) {
      if (!member.file.hasMore && member.file.flushAtMs > nowMs && !this.isLeaving(member)) {
        if (member.file.flushAtMs === Number.POSITIVE_INFINITY) this.#ready.delete(member);
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
    for (const { file } of this.#ready) next = Math.min(next, file.flushAtMs);
    return next;
  }

  wake(member: Member): void {
    member.file.hasMore = true;
    this.#ready.add(member);
  }

  /** Notes that something was read of a file: who writes to it has not noticed its rotation yet. */
  noteRead(member: Member): void {
    if (member.unseenSinceMs !== undefined) member.unseenSinceMs = performance.now();
    this.problems.delete(member.file.path);
    this.#ready.add(member);
  }

  /** True when nothing more is expected of a file: its last line will not be finished. */
  isLeaving({ unseenSinceMs }: Member): boolean {
    return unseenSinceMs !== undefined && performance.now() - unseenSinceMs >= this.#leaveAfterMs;
  }

  /** The contents of a file were replaced in place: they are a new generation, and what was not read of the old one may be in a copy. */
  async restart(member: Member, reason: 'truncated' | 'replaced'): Promise<void> {
    const { file } = member;
    const old = file.generation as Generation;
    const unreadBytes = file.unreadBytes;
    file.restartCount += 1;
    this.#options.figures.truncations.add();
    this.#logRestart(file, reason);
    // At once: the checkpoint of the old contents could fit the new ones once they have grown.
    old.lostMs = Date.now();
    await old.save();
    file.generation = undefined;
    await this.identification.begin(file, 'beginning');
    const copy = await this.#place(old);
    if (copy !== undefined && copy !== member) member.predecessor = copy;
    else if (unreadBytes > 0) this.#logLost(file, unreadBytes);
    this.wake(member);
  }

  /** A file could not be opened by its path: it has another one, or it is gone. */
  async relocate(member: Member): Promise<void> {
    const { file } = member;
    const old = file.generation;
    this.#remove(member);
    await file.close();
    if (old === undefined) return;
    const place = await this.#place(old);
    if (place === undefined) {
      const unreadBytes = file.status.size - old.readOffset;
      if (unreadBytes > 0) this.#logLost(file, unreadBytes);
    }
    for (const path of member.paths) this.#lookAt(path);
    await this.settle();
  }

  /** Lets go of a file that is leaving and was read to its end. */
  async leave(member: Member): Promise<void> {
    const { file } = member;
    this.#options.log.debug('A file is gone and was read to its end.', { file: file.path });
    const status = await file.opened?.plain?.status();
    this.#remove(member);
    await file.close();
    if (file.generation === undefined) return;
    if (await this.#placeInCopy(file.generation)) return;
    if (status?.isDeleted !== false) await file.generation.forget();
    else await this.identification.setLost(file.generation);
  }

  /** Notes that a path could not be looked at, or a file not be read; it is tried again. */
  noteFailure(path: string, error: NodeJS.ErrnoException): void {
    const isKnown = this.problems.has(path);
    this.problems.set(path, error);
    // What is gone between two looks is no failure.
    if (isKnown || error.code === 'ENOENT') return;
    if (error.code === 'ERR_GZIP_INCOMPLETE') {
      const sentence = 'A packed file is not whole; it is read on when it has grown.';
      this.#options.log.info(sentence, { file: path });
    } else if (error.code === 'ERR_GZIP_DAMAGED') {
      const sentence = 'A packed file is damaged; what is behind the damage is not read.';
      this.#options.log.error(sentence, { file: path, error: error.message });
    } else {
      const sentence = 'A file could not be read; it is tried again.';
      this.#options.log.error(sentence, { file: path, error: error.message });
    }
  }

  /** Notes which directories could not be listed: their files are not taken for gone. */
  noteProblems(problems: readonly PathProblem[]): void {
    for (const { path, error } of problems) this.noteFailure(path, error);
  }

  async close(): Promise<void> {
    await Promise.all([...this.members.values()].map(({ file }) => file.close()));
    this.members.clear();
    this.byPath.clear();
    this.#ready.clear();
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
    const before = this.byPath.get(path);
    const known = this.members.get(status.key);
    if (known !== undefined && isOtherInode(known, status)) this.#release(known);
    else if (known !== undefined) {
      if (before !== known) {
        if (before !== undefined) this.#leavePath(path);
        this.#joinPath(known, path);
      }
      known.file.observe(status);
      if (known.file.hasMore || this.#isToBeTriedAgain(path)) this.#noticeChange(known);
      return [];
    }
    const file = new FollowedFile(path, status, this.#options);
    const member: Member = {
      file,
      paths: new Set(),
      predecessor: undefined,
      unseenSinceMs: undefined,
      original: undefined,
      copiedBytes: 0,
      stem: '',
    };
    if (before !== undefined) {
      this.#leavePath(path);
      member.predecessor = before;
      this.wake(before);
    }
    this.#add(member);
    this.#joinPath(member, path);
    this.#undecided.add(member);
    this.#unassigned.add(member);
    return [member];
  }

  /** A packed file that cannot be unpacked is tried again only when it has changed. */
  #isToBeTriedAgain(path: string): boolean {
    const problem = this.problems.get(path);
    return problem !== undefined && problem.code?.startsWith('ERR_GZIP') !== true;
  }

  #noticeChange(member: Member): void {
    if (member.file.generation === undefined) this.#undecided.add(member);
    else this.#ready.add(member);
    if (member.file.failure !== undefined) member.file.hasMore = true;
  }

  #joinPath(member: Member, path: string): void {
    member.paths.add(path);
    member.unseenSinceMs = undefined;
    this.#unseen.delete(member);
    this.openFiles.unpin(member.file);
    this.byPath.set(path, member);
    if (!member.paths.has(member.file.path)) member.file.path = path;
  }

  #leavePath(path: string): void {
    const member = this.byPath.get(path);
    if (member === undefined) return;
    this.byPath.delete(path);
    this.problems.delete(path);
    member.paths.delete(path);
    const [other] = member.paths;
    if (other !== undefined) {
      if (member.file.path === path) member.file.path = other;
      return;
    }
    member.unseenSinceMs ??= performance.now();
    this.#unseen.add(member);
    this.openFiles.pin(member.file);
    // No look at a path shows any more whether it grows.
    this.wake(member);
    for (const other of this.#unassigned) {
      if (other.original === member) this.#undecided.add(other);
    }
  }

  #add(member: Member): void {
    const { file } = member;
    this.members.set(file.key, member);
    this.#options.figures.files.set(this.members.size);
    member.stem = stemOf(file.path);
    const relatives = this.#byStem.get(member.stem) ?? new Set();
    this.#byStem.set(member.stem, relatives.add(member));
  }

  /** An inode that no path led to, and that was not open, is another file's by now. */
  #release(member: Member): void {
    const { generation } = member.file;
    this.#remove(member);
    if (generation !== undefined) this.identification.orphans.add(generation);
  }

  #remove(member: Member): void {
    this.members.delete(member.file.key);
    this.#options.figures.files.set(this.members.size);
    this.#byStem.get(member.stem)?.delete(member);
    if (this.#byStem.get(member.stem)?.size === 0) this.#byStem.delete(member.stem);
    this.#ready.delete(member);
    this.#undecided.delete(member);
    this.#unseen.delete(member);
    for (const path of member.paths) this.byPath.delete(path);
    this.#unassigned.delete(member);
    for (const other of this.#unassigned) {
      if (other.original !== member) continue;
      other.original = undefined;
      if (other.file.generation === undefined) this.#undecided.add(other);
    }
  }

  /** Finds the generation of a file that has none. */
  async #identify(member: Member, readFrom: ReadFrom, isRunning: boolean): Promise<void> {
    const { file } = member;
    if (file.generation !== undefined || !this.members.has(file.key)) return;
    if (await this.identification.adopt(file)) {
      this.#ready.add(member);
      return;
    }
    for (const unseen of this.#unseen) {
      if (await this.#takeOver(member, unseen)) return;
    }
    for (const original of this.#originals(member, isRunning)) {
      // An empty file beside one of which it may become a copy belongs to nobody yet.
      const mayBecomeCopy = file.status.size === 0 && original.file.status.size > 0;
      // Its contents may be others by now, and this file the copy of those before.
      await this.#refresh(original);
      if (file.generation !== undefined) return;
      member.copiedBytes = mayBecomeCopy ? 0 : await this.#copiedBytes(file, original.file);
      if (!mayBecomeCopy && member.copiedBytes === 0) continue;
      member.original = original;
      file.hasMore = false;
      return;
    }
    member.original = undefined;
    await this.identification.begin(file, readFrom);
    this.#ready.add(member);
  }

  /**
   * A file that has all of one that no path leads to any more goes on with its generation: it was moved, packed, or
   * written anew with more in it. What a program may still write to the old one is a generation of its own.
   */
  async #takeOver(member: Member, unseen: Member): Promise<boolean> {
    const { file } = member;
    const isRelated = areRotationsOfOne(basename(file.path), basename(unseen.file.path));
    if (unseen === member || !isRelated) return false;
    await this.#refresh(unseen);
    if (file.generation !== undefined) return true;
    const { generation } = unseen.file;
    if (generation === undefined) return false;
    const size = await this.identification.sizeWithin(file, unseen.file);
    if (size === undefined) return false;
    file.assign(generation);
    await generation.save();
    await this.identification.beginAt(unseen.file, size);
    member.original = undefined;
    if (member.predecessor === unseen) member.predecessor = undefined;
    this.wake(member);
    return true;
  }

  /** The members that a file may be a copy of. */
  *#originals(member: Member, isRunning: boolean): Generator<Member> {
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
    for (const other of this.members.values()) {
      const isElsewhere =
        basename(other.file.path) === name && dirname(other.file.path) !== directory;
      if (isElsewhere && other.file.generation !== undefined) yield other;
    }
  }

  /** Finds out whether the contents of a file were replaced since they were read. */
  async #refresh(member: Member): Promise<void> {
    try {
      const change = await this.identification.changeOf(member.file);
      if (change !== undefined) await this.restart(member, change);
    } catch {
      // Its own turn of reading finds out, and says so.
    } finally {
      this.openFiles.touch(member.file);
    }
  }

  async #copiedBytes(file: FollowedFile, original: FollowedFile): Promise<number> {
    try {
      return await this.identification.copiedBytes(file, original);
    } catch {
      // Whichever cannot be read, what follows finds out and says so.
      return 0;
    } finally {
      this.openFiles.touch(original);
    }
  }

  /** Looks for a file that has the contents of a generation that lost its own; forgets it when there is none. */
  async #place(generation: Generation): Promise<Member | undefined> {
    const copy = (await this.#placeInCopy(generation)) ?? (await this.#search(generation));
    if (copy === undefined) await generation.forget();
    return copy;
  }

  /** As `place`, among the members that are not read. */
  async #placeInCopy(generation: Generation): Promise<Member | undefined> {
    for (const member of [...this.#unassigned]) {
      const { file } = member;
      const isRelated = areRotationsOfOne(basename(file.path), basename(generation.path));
      if (file.generation !== undefined || !isRelated) continue;
      const continues = await this.identification.continues(generation, file).catch(() => false);
      if (continues) {
        member.original = undefined;
        file.assign(generation);
        await generation.save();
        this.#ready.add(member);
        return member;
      }
      // More was read of the original than the copy has: what it has was read.
      if (member.copiedBytes > 0 && member.copiedBytes < generation.readOffset) {
        await this.identification.beginAt(file, member.copiedBytes);
        this.#ready.add(member);
      } else this.#undecided.add(member);
      member.original = undefined;
    }
    return undefined;
  }

  async #search(generation: Generation): Promise<Member | undefined> {
    const isKnown = (key: string): boolean => this.members.has(key);
    const file = await this.identification.search(generation, isKnown);
    if (file === undefined) return undefined;
    const member: Member = {
      file,
      paths: new Set(),
      predecessor: undefined,
      unseenSinceMs: performance.now(),
      original: undefined,
      copiedBytes: 0,
      stem: '',
    };
    this.#add(member);
    this.#unseen.add(member);
    this.openFiles.pin(file);
    this.openFiles.touch(file);
    this.wake(member);
    return member;
  }

  #isDone(member: Member): boolean {
    return (
      !this.members.has(member.file.key) || (!member.file.hasMore && !this.#undecided.has(member))
    );
  }

  async #forEach(
    members: readonly Member[],
    run: (member: Member) => Promise<void>,
  ): Promise<void> {
    for (let start = 0; start < members.length; start += openingCountMax) {
      const some = members.slice(start, start + openingCountMax);
      await Promise.all(some.map((member) => this.#attempt(member, () => run(member))));
      await this.openFiles.trim();
    }
  }

  async #attempt(member: Member, run: () => Promise<void>): Promise<void> {
    try {
      await run();
      member.file.failure = undefined;
      if (member.file.generation !== undefined) this.#unassigned.delete(member);
    } catch (error) {
      // The next look at its path tries again.
      this.noteFailure(member.file.path, error as NodeJS.ErrnoException);
      member.file.failure = error as NodeJS.ErrnoException;
    }
    this.openFiles.touch(member.file);
    await this.openFiles.trim();
  }

  #logRestart(file: FollowedFile, reason: 'truncated' | 'replaced'): void {
    this.#options.log.warn(
      reason === 'truncated'
        ? 'A file is shorter than what was read of it; reading it from its beginning.'
        : 'A file has other contents than what was read of it; reading it from its beginning.',
      { file: file.path },
    );
  }

  #logLost(file: FollowedFile, byteCount: number): void {
    this.#options.figures.lostBytes.add(byteCount);
    this.#options.log.error(
      'Bytes of a file were gone before they were read, and no copy was found.',
      {
        file: file.path,
        bytes: byteCount,
      },
    );
  }
}

function isOtherInode({ file, paths }: Member, status: FileStatus): boolean {
  const isReborn = file.status.born !== undefined && file.status.born !== status.born;
  return file.opened === undefined && (paths.size === 0 || (isReborn && status.born !== undefined));
}

function stemOf(path: string): string {
  return join(dirname(path), rotationStem(basename(path)));
}

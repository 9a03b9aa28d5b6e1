import { basename } from 'node:path';
import type { ReadFrom } from './checkpoint.js';
import type { FileStatus } from './file-status.js';
import type { FollowedFile, FollowedFileOptions } from './followed-file.js';
import type { Generation } from './generation.js';
import { Identification } from './identification.js';
import { isOtherFile, type Member, type MemberMap } from './member-map.js';
import { areRotationsOfOne } from './rotated-names.js';

/**
 * Decides which of the followed files goes on with which generation, when files come, and when the contents of one
 * are replaced or gone.
 */
export class Succession {
  readonly identification: Identification;
  readonly #options: FollowedFileOptions;
  readonly #map: MemberMap;

  constructor(options: FollowedFileOptions, map: MemberMap) {
    this.#options = options;
    this.#map = map;
    this.identification = new Identification(options);
  }

  /** Finds the generation of a file that has none. */
  async identify(member: Member, readFrom: ReadFrom, isRunning: boolean): Promise<void> {
    const { file } = member;
    if (file.generation !== undefined || !this.#map.has(member)) return;
    await this.identification.open(file);
    // What no path leads to is not looked at otherwise, and may not be empty any more.
    const status = await file.opened?.plain?.status();
    if (status !== undefined) file.observe(status);
    if (await this.identification.adopt(file)) {
      this.#map.ready.add(member);
      return;
    }
    for (const unseen of this.#map.unseen) {
      if (await this.#takeOver(member, unseen)) return;
    }
    for (const original of this.#map.originals(member, isRunning)) {
      // An empty file beside one of which it may become a copy belongs to nobody yet.
      const mayBecomeCopy = file.status.size === 0 && original.file.status.size > 0;
      // Its contents may be others by now, and this file the copy of those before.
      await this.#refresh(original);
      if (file.generation !== undefined) return;
      if (!this.#map.has(original)) continue;
      member.copiedBytes = mayBecomeCopy ? 0 : await this.#copiedBytes(file, original.file);
      if (!mayBecomeCopy && member.copiedBytes === 0) continue;
      member.original = original;
      file.hasMore = false;
      return;
    }
    member.original = undefined;
    await this.identification.begin(file, readFrom);
    this.#map.ready.add(member);
  }

  /** The contents of a file were replaced in place: they are a new generation, and what was not read of the old one may be in a copy. */
  async restart(member: Member, reason: 'truncated' | 'replaced'): Promise<void> {
    const { file } = member;
    const old = file.generation as Generation;
    const unreadBytes = file.unreadBytes;
    file.restartCount += 1;
    this.#options.figures.truncations.add();
    this.logRestart(file, reason);
    // At once: the checkpoint of the old contents could fit the new ones once they have grown.
    await old.detach();
    file.generation = undefined;
    await this.identification.begin(file, 'beginning');
    const copy = await this.place(old);
    if (copy !== undefined) this.#map.readAfter(member, copy);
    else if (unreadBytes > 0) this.logLost(file, unreadBytes);
    this.#map.wake(member);
  }

  /** Looks for a file that has the contents of a generation that lost its own; forgets it when there is none. */
  async place(generation: Generation): Promise<Member | undefined> {
    const copy = (await this.placeInCopy(generation)) ?? (await this.search(generation));
    if (copy === undefined) await generation.forget();
    return copy;
  }

  /** As `place`, among the members that are not read. */
  async placeInCopy(generation: Generation): Promise<Member | undefined> {
    for (const member of [...this.#map.unassigned]) {
      const { file } = member;
      const isRelated = areRotationsOfOne(basename(file.path), basename(generation.path));
      if (file.generation !== undefined || !isRelated) continue;
      const continues = await this.#continues(generation, file);
      if (continues) {
        member.original = undefined;
        file.assign(generation);
        await generation.save();
        this.#map.ready.add(member);
        return member;
      }
      // More was read of the original than the copy has: what it has was read.
      if (member.copiedBytes > 0 && member.copiedBytes < generation.readOffset) {
        await (await this.identification.beginAt(file, member.copiedBytes)).save();
        this.#map.ready.add(member);
      } else this.#map.undecided.add(member);
      member.original = undefined;
    }
    return undefined;
  }

  async #continues(generation: Generation, file: FollowedFile): Promise<boolean> {
    try {
      await this.identification.open(file);
      return await this.identification.continues(generation, file);
    } catch {
      // One that is gone or cannot be read has nothing; if a path leads to it, that is logged there.
      return false;
    } finally {
      this.#map.openFiles.touch(file);
    }
  }

  async search(generation: Generation): Promise<Member | undefined> {
    // A copy often gets the inode of the file that the rotation deleted, of which nobody has seen yet that it is gone.
    const isKnown = (status: FileStatus): boolean => {
      const member = this.#map.byKey.get(status.key);
      return member !== undefined && !isOtherFile(member, status);
    };
    const file = await this.identification.search(generation, isKnown);
    if (file === undefined) return undefined;
    const deleted = this.#map.byKey.get(file.key);
    if (deleted !== undefined) this.release(deleted);
    const member = this.#map.add(file);
    member.unseenSinceMs = performance.now();
    this.#map.unseen.add(member);
    this.#map.openFiles.pin(file);
    this.#map.openFiles.touch(file);
    this.#map.wake(member);
    return member;
  }

  /** Lets go of a member whose inode is another file's by now. */
  release(member: Member): void {
    const { generation } = member.file;
    this.#map.remove(member);
    if (generation !== undefined) this.identification.orphans.add(generation);
  }

  /**
   * A file that has all of one that no path leads to any more goes on with its generation: it was moved, packed, or
   * written anew with more in it. What a program may still write to the old one is a generation of its own.
   */
  async #takeOver(member: Member, unseen: Member): Promise<boolean> {
    const { file } = member;
    const isRelated = areRotationsOfOne(basename(file.path), basename(unseen.file.path));
    if (unseen === member || unseen.isSucceeded || !isRelated) return false;
    await this.#refresh(unseen);
    if (file.generation !== undefined) return true;
    if (!this.#map.has(unseen)) return false;
    await this.identification.open(file);
    // One that cannot be opened any more has nothing to compare.
    const size = await this.identification.sizeWithin(file, unseen.file).catch(() => undefined);
    if (size === undefined) return false;
    const { generation } = unseen.file;
    if (generation !== undefined) {
      file.assign(generation);
      await generation.save();
    }
    // Not saved before something is read of it: it would be taken for the one that goes on.
    await this.identification.beginAt(unseen.file, size);
    unseen.isSucceeded = true;
    unseen.original = undefined;
    this.#map.unassigned.delete(unseen);
    // Nothing was read of it: the file that has it all begins by itself.
    if (generation === undefined) return false;
    member.original = undefined;
    if (member.predecessor === unseen) member.predecessor = undefined;
    this.#map.wake(member);
    return true;
  }

  /**
   * A file could not be opened by its path: it has another one, or it is gone. What of it was not read yet goes on where the
   * contents are; the paths that led to it are looked at again.
   */
  async relocate(member: Member): Promise<void> {
    const { file } = member;
    this.#map.remove(member);
    await file.close();
    for (const path of member.paths) this.#map.stalePaths.add(path);
    const old = file.generation;
    if (old === undefined || (await this.place(old)) !== undefined) return;
    const unreadBytes = file.status.size - old.readOffset;
    if (unreadBytes > 0) this.logLost(file, unreadBytes);
  }

  /** Finds out whether the contents of a file were replaced since they were read, or are gone with it. */
  async #refresh(member: Member): Promise<void> {
    try {
      await this.identification.open(member.file);
      const change = await this.identification.changeOf(member.file);
      if (change !== undefined) await this.restart(member, change);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') await this.relocate(member);
      // Of what else is wrong its own turn of reading finds out, and says so.
    } finally {
      this.#map.openFiles.touch(member.file);
    }
  }

  async #copiedBytes(file: FollowedFile, original: FollowedFile): Promise<number> {
    await this.identification.open(file);
    try {
      return await this.identification.copiedBytes(file, original);
    } catch {
      // The original cannot be read: its own turn of reading finds out, and says so.
      return 0;
    } finally {
      this.#map.openFiles.touch(original);
    }
  }

  logRestart(file: FollowedFile, reason: 'truncated' | 'replaced'): void {
    this.#options.log.warn(
      reason === 'truncated'
        ? 'A file is shorter than what was read of it; reading it from its beginning.'
        : 'A file has other contents than what was read of it; reading it from its beginning.',
      { file: file.path },
    );
  }

  logLost(file: FollowedFile, byteCount: number): void {
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

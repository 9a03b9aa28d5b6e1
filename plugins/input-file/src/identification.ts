import { basename } from 'node:path';
import type { ReadFrom } from './checkpoint.js';
import { type DirectoryEntry, searchDirectory } from './directory-search.js';
import { type FileStatus, isSameInode } from './file-status.js';
import { FollowedFile, type FollowedFileOptions } from './followed-file.js';
import { createFraming } from './framing-options.js';
import { Generation } from './generation.js';
import { decideIdentity } from './identity.js';
import { findLineStart } from './line-start.js';
import type { OpenedFile } from './opened-file.js';
import { OrphanIndex } from './orphan-index.js';
import { areRotationsOfOne } from './rotated-names.js';

/** How long a checkpoint is kept whose file cannot be found: a disk may be away over a long week-end. */
const lostKeptMs = 7 * 24 * 3_600_000;

/** How often a file is opened anew that gets another name between two tries. */
const openCountMax = 5;

/** From how many bytes in common on a file of any name counts as another one moved. */
const unrelatedEvidenceBytes = 256;

/** How much of the end of a copy is compared with the original, in bytes. */
const comparedBytes = 4096;

/** Finds out which generation the contents of a file belong to, and which file has those of a generation. */
export class Identification {
  /** Generations whose contents no file has, as far as is known. */
  readonly orphans = new OrphanIndex();
  readonly #options: FollowedFileOptions;
  /** Of an earlier run, by `dev:ino`, until a file with that was looked at. */
  readonly #saved = new Map<string, Generation>();

  readonly #knownKeys = new Set<string>();

  constructor(options: FollowedFileOptions) {
    this.#options = options;
  }

  /** Reads the checkpoints; those that were lost for too long are removed. */
  async load(): Promise<void> {
    const { book, log } = this.#options;
    for (const checkpoint of await book.load()) {
      const generation = Generation.resume(checkpoint, book, log);
      const { lostMs } = checkpoint;
      if (lostMs !== undefined && Date.now() - lostMs > lostKeptMs)
        await book.remove(generation.id);
      else if (lostMs !== undefined || generation.key === '') this.orphans.add(generation);
      else {
        const other = this.#saved.get(generation.key);
        if (other !== undefined) this.orphans.add(other);
        this.#saved.set(generation.key, generation);
      }
    }
  }

  /** Those of an earlier run whose inode no file has that was looked at become orphans. */
  releaseSaved(): void {
    for (const generation of this.#saved.values()) this.orphans.add(generation);
    this.#saved.clear();
  }

  /** Gives a file the generation of an earlier run, when it has its inode. Tells what it is to it. */
  async resume(file: FollowedFile): Promise<'same' | 'truncated' | 'replaced' | 'unknown'> {
    const saved = this.#saved.get(file.key);
    if (saved === undefined) return 'unknown';
    const look = await (await file.open()).lookFor(saved.evidence('accepted'));
    const verdict = decideIdentity(saved.evidence('accepted'), look);
    this.#saved.delete(file.key);
    this.#knownKeys.add(file.key);
    if (saved.head.bytes === 0 && saved.readOffset === 0) {
      // Nothing was seen of it, which proves nothing: the inode may be of another file by now.
      await this.#options.book.remove(saved.id);
      return 'unknown';
    }
    if (verdict === 'same') file.assign(saved);
    else {
      await saved.detach();
      this.orphans.add(saved);
    }
    return verdict === 'continued' || verdict === 'other' ? 'unknown' : verdict;
  }

  /** Whether a file has an inode that an earlier run knew. */
  isKnown(file: FollowedFile): boolean {
    return this.#knownKeys.has(file.key);
  }

  /** Gives a file the orphan whose contents it has; tells whether there is one. */
  async adopt(file: FollowedFile): Promise<boolean> {
    const opened = await file.open();
    for (const orphan of this.orphans.withHead(opened.readHead())) {
      if (!isLikely(orphan, file.path) || !(await this.#continues(orphan, opened))) continue;
      this.orphans.delete(orphan);
      file.assign(orphan);
      await orphan.save();
      return true;
    }
    return false;
  }

  /** Gives a file of its own a new generation. Of UTF-16, `end` is the beginning of a line too. */
  async begin(file: FollowedFile, readFrom: ReadFrom): Promise<void> {
    const { book, log, framing, batchBytesMax } = this.#options;
    const opened = await file.open();
    let offset = 0;
    if (readFrom === 'end' && opened.plain !== undefined) {
      const { sourceBytesMax } = createFraming(framing, batchBytesMax, opened.readHead());
      const unitBytes = framing.encoding.startsWith('utf-16') ? 2 : 1;
      // A line that is being written is read whole, once it is finished.
      const { size } = opened.status;
      offset = await findLineStart(opened.source, size, sourceBytesMax, unitBytes);
    }
    const head = opened.readHead();
    const generation = Generation.begin(
      { path: file.path, status: file.status, head },
      offset,
      book,
      log,
    );
    file.assign(generation);
    // From now on the file is known: a kill before the first ack must not make it start elsewhere.
    await generation.save();
  }

  /** What a file has before an offset was read elsewhere: it is read on from there. */
  async beginAt(file: FollowedFile, offset: number): Promise<Generation> {
    const { book, log } = this.#options;
    const head = (await file.open()).readHead();
    const { path, status } = file;
    const generation = Generation.begin({ path, status, head }, offset, book, log);
    file.assign(generation);
    return generation;
  }

  /**
   * How many bytes a file has, when another one begins with all of them: a copy that was made before a truncation, or
   * that is being made; else 0.
   */
  async copiedBytes(file: FollowedFile, original: FollowedFile): Promise<number> {
    const [copy, source] = [await file.open(), await original.open()];
    const [head, sourceHead] = [copy.readHead(), source.readHead()];
    if (head.length === 0 || head.length > sourceHead.length) return 0;
    if (!head.equals(sourceHead.subarray(0, head.length))) return 0;
    if (copy.plain === undefined || source.plain === undefined) return head.length;
    const { size } = await copy.plain.status();
    if (size > (await source.plain.status()).size) return 0;
    const from = Math.max(0, size - comparedBytes);
    const end = copy.plain.readAgain(size - from, from);
    return end.equals(source.plain.readAgain(size - from, from)) ? size : 0;
  }

  /**
   * Opens a file where it is by now: a rotation may have given it another name since it was found. Rejects with the
   * code `ENOENT` when its directory has it under no name.
   */
  async open(file: FollowedFile): Promise<void> {
    for (let count = 0; ; count += 1) {
      try {
        await file.open();
        return;
      } catch (error) {
        const isMoved = (error as NodeJS.ErrnoException).code === 'ENOENT';
        const path = isMoved && count < openCountMax ? await findPath(file) : undefined;
        if (path === undefined) throw error;
        file.path = path;
      }
    }
  }

  /** Whether a file has other contents than those of its generation, and which. */
  async changeOf(file: FollowedFile): Promise<'truncated' | 'replaced' | undefined> {
    const evidence = file.generation?.evidence('read');
    const opened = await file.open();
    if (evidence === undefined || opened.plain === undefined) return undefined;
    const verdict = decideIdentity(evidence, await opened.lookFor(evidence));
    return verdict === 'truncated' || verdict === 'replaced' ? verdict : undefined;
  }

  /** How many bytes another file has, when a file begins with all of them; else `undefined`. */
  async sizeWithin(file: FollowedFile, original: FollowedFile): Promise<number | undefined> {
    const [whole, part] = [await file.open(), await original.open()];
    if (part.plain === undefined) return undefined;
    const { size } = await part.plain.status();
    const head = part.readHead();
    if (size === 0 || !head.equals(whole.readHead().subarray(0, head.length))) return undefined;
    const from = Math.max(0, size - comparedBytes);
    const end = Buffer.alloc(size - from);
    const byteCount = await whole.source.read(end, from);
    const isThere = byteCount === end.length && end.equals(part.plain.readAgain(end.length, from));
    return isThere ? size : undefined;
  }

  /** Whether a file has the contents of a generation, as far as they were read. */
  async continues(generation: Generation, file: FollowedFile): Promise<boolean> {
    return this.#continues(generation, await file.open());
  }

  /**
   * Looks for the contents of a generation in the directory of its file: by its inode, when it got another name,
   * else by the contents among names that come of a rotation. Gives the file the generation.
   */
  async search(
    generation: Generation,
    isKnown: (status: FileStatus) => boolean,
  ): Promise<FollowedFile | undefined> {
    return searchDirectory(generation.path, async (entries) => {
      for (const { path, status } of rankCandidates(generation, entries)) {
        if (isKnown(status)) continue;
        const file = new FollowedFile(path, status, this.#options);
        try {
          if (await this.#continues(generation, await file.open())) {
            this.orphans.delete(generation);
            file.assign(generation);
            await generation.save();
            return file;
          }
        } catch {
          // One that cannot be read is none; if a glob matches it too, that is logged there.
        }
        await file.close();
      }
      return undefined;
    });
  }

  /** No file has the contents: the checkpoint waits for one. */
  async setLost(generation: Generation): Promise<void> {
    generation.lostMs = Date.now();
    this.orphans.add(generation);
    await generation.save();
  }

  async #continues(generation: Generation, opened: OpenedFile): Promise<boolean> {
    const evidence = generation.evidence('read');
    const verdict = decideIdentity(evidence, await opened.lookFor(evidence));
    return verdict === 'continued' || verdict === 'same';
  }
}

/** The files that may have the contents of a generation, the likeliest first. */
function rankCandidates(
  generation: Generation,
  entries: readonly DirectoryEntry[],
): DirectoryEntry[] {
  const isSame = ({ status }: DirectoryEntry): boolean => status.key === generation.key;
  const isYounger = ({ status }: DirectoryEntry): boolean =>
    Number(status.modifiedNs / 1_000_000n) >= generation.modifiedMs - 1000;
  const rest = entries.filter((entry) => !isSame(entry) && entry.isRelated && isYounger(entry));
  rest.sort((left, right) => (left.status.modifiedNs < right.status.modifiedNs ? 1 : -1));
  return [...entries.filter(isSame), ...rest];
}

/** The path that a file has in its directory by now. */
function findPath({ path, status }: FollowedFile): Promise<string | undefined> {
  return searchDirectory(
    path,
    async (entries) => entries.find((entry) => isSameInode(entry.status, status))?.path,
  );
}

/**
 * A few bytes in common can be chance: many programs begin each log with the same line. They are proof only for a
 * copy or a rotated file beside the place where the generation was a moment ago.
 */
function isLikely(orphan: Generation, path: string): boolean {
  if (orphan.evidence('read').offset >= unrelatedEvidenceBytes) return true;
  if (orphan.lostMs !== undefined || orphan.path === path) return false;
  return areRotationsOfOne(basename(orphan.path), basename(path));
}

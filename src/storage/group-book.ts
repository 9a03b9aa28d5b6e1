import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import type { ChunkName } from '../protocol/names.js';
import { AckSet, type AckSetRecord } from './ack-set.js';
import { replaceFile } from './atomic-file.js';
import type { Ballast } from './ballast.js';
import type { Disk } from './disk.js';
import { hasSystemCode } from './disk.js';
import { writeError } from './disk-error.js';

interface GroupFile {
  readonly version: 1;
  readonly groups: Readonly<Record<string, Readonly<Record<string, AckSetRecord>>>>;
}

/** By group and then by owner. */
type Groups = Map<string, Map<string, AckSet>>;

/**
 * The groups of one category and what each has acknowledged, kept in `groups.json`. Every change is
 * durable before its promise resolves. One acknowledgement comes per chunk and group, so the file is
 * replaced as a whole; it has one small record per group and owner.
 */
export class GroupBook {
  readonly #disk: Disk;
  readonly #ballast: Ballast;
  readonly #path: string;
  #groups: Groups;

  private constructor(disk: Disk, ballast: Ballast, path: string, groups: Groups) {
    this.#disk = disk;
    this.#ballast = ballast;
    this.#path = path;
    this.#groups = groups;
  }

  /** Reads the file; a category without one has no groups. Throws `directory_invalid` for a file that is not one. */
  static async open(disk: Disk, ballast: Ballast, path: string): Promise<GroupBook> {
    return new GroupBook(disk, ballast, path, fromFile(await readGroupFile(disk, path)));
  }

  has(group: string, owner: string, index: number): boolean {
    return this.#groups.get(group)?.get(owner)?.has(index) ?? false;
  }

  /** Tells whether every group that is registered has acknowledged the chunk, and there is at least one. */
  isAckedByAll(owner: string, index: number): boolean {
    if (this.#groups.size === 0) return false;
    for (const group of this.#groups.keys()) if (!this.has(group, owner, index)) return false;
    return true;
  }

  /** The highest index that any group has acknowledged of the owner's chunks; -1 when there is none. */
  highestAcked(owner: string): number {
    let highest = -1;
    for (const owners of this.#groups.values()) {
      highest = Math.max(highest, owners.get(owner)?.highest ?? -1);
    }
    return highest;
  }

  /** The names of the registered groups, sorted. */
  get names(): readonly string[] {
    return [...this.#groups.keys()].sort();
  }

  isRegistered(group: string): boolean {
    return this.#groups.has(group);
  }

  /**
   * Adds a group that is new. From then on chunks wait for its acknowledgement too.
   *
   * @param acked what counts as acknowledged by it from the beginning
   */
  async register(group: string, acked: readonly ChunkName[] = []): Promise<void> {
    const groups = copyOf(this.#groups);
    const owners = new Map<string, AckSet>();
    for (const { owner, index } of acked) {
      const set = owners.get(owner) ?? new AckSet();
      owners.set(owner, set);
      set.add(index);
    }
    groups.set(group, owners);
    await this.#replace(groups);
  }

  /** Forgets the group and what it has acknowledged. */
  async remove(group: string): Promise<void> {
    const groups = copyOf(this.#groups);
    groups.delete(group);
    await this.#replace(groups);
  }

  /**
   * Records an acknowledgement, and registers the group when it is new.
   *
   * @param floor what no unacknowledged chunk of the owner lies below, as {@link AckSet.raiseTo} takes it
   */
  async ack(group: string, owner: string, index: number, floor: number): Promise<void> {
    const groups = copyOf(this.#groups);
    const owners = groups.get(group) ?? new Map<string, AckSet>();
    groups.set(group, owners);
    const set = owners.get(owner) ?? new AckSet();
    owners.set(owner, set);
    set.add(index);
    set.raiseTo(floor);
    await this.#replace(groups);
  }

  /** On disk first: what could not be made durable must not be believed in memory either. */
  async #replace(groups: Groups): Promise<void> {
    try {
      await this.#save(groups);
    } catch (error) {
      throw writeError(error, this.#path, 'nothing was recorded');
    }
    this.#groups = groups;
  }

  /** On a full disk the ballast makes room: what is acknowledged here is what frees more. */
  async #save(groups: Groups): Promise<void> {
    const content = `${JSON.stringify(toFile(groups))}\n`;
    try {
      await replaceFile(this.#disk, this.#path, content);
    } catch (error) {
      if (!hasSystemCode(error, 'ENOSPC', 'EDQUOT') || !(await this.#ballast.release()))
        throw error;
      await replaceFile(this.#disk, this.#path, content);
    }
  }
}

function copyOf(groups: Groups): Groups {
  return fromFile(toFile(groups));
}

/** By way of entries, because any name is a name here, also one that objects have a meaning for. */
function toFile(groups: Groups): GroupFile {
  const records = [...groups].map(([group, owners]) => {
    const sets = [...owners].map(([owner, set]) => [owner, set.toRecord()] as const);
    return [group, Object.fromEntries(sets)] as const;
  });
  return { version: 1, groups: Object.fromEntries(records) };
}

function fromFile(file: GroupFile): Groups {
  const groups = new Map<string, Map<string, AckSet>>();
  for (const [group, owners] of Object.entries(file.groups)) {
    const sets = Object.entries(owners).map(
      ([owner, record]) => [owner, new AckSet(record)] as const,
    );
    groups.set(group, new Map(sets));
  }
  return groups;
}

async function readGroupFile(disk: Disk, path: string): Promise<GroupFile> {
  let text: string;
  try {
    text = (await disk.readFile(path)).toString();
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) return { version: 1, groups: {} };
    throw error;
  }
  try {
    return checkGroupFile(JSON.parse(text));
  } catch (cause) {
    throw new ChukchaError(
      'directory_invalid',
      `${path} is not a group file of version 1 (${errorMessage(cause)}): ` +
        'restore it, or remove it to let every group read the category again.',
      { cause },
    );
  }
}

/** Checks every value: a wrong one would be taken for an acknowledgement, which deletes chunks. */
function checkGroupFile(value: unknown): GroupFile {
  const { version, groups } = asRecord(value, 'the file');
  if (version !== 1) throw new Error(`its version is ${JSON.stringify(version)}`);
  for (const [group, owners] of Object.entries(asRecord(groups, 'groups'))) {
    for (const [owner, set] of Object.entries(asRecord(owners, `group ${group}`))) {
      const { upTo, extra } = asRecord(set, `owner ${owner} of group ${group}`);
      const isSet =
        isIndex(upTo, -1) && Array.isArray(extra) && extra.every((index) => isIndex(index, 0));
      if (!isSet) throw new Error(`owner ${owner} of group ${group} has ${JSON.stringify(set)}`);
    }
  }
  return value as GroupFile;
}

function asRecord(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new Error(`${what} is ${JSON.stringify(value)}`);
}

function isIndex(value: unknown, min: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= min;
}

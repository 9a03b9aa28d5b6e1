import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { AckSet, type AckSetRecord } from './ack-set.js';
import { replaceFile } from './atomic-file.js';
import type { Disk } from './disk.js';
import { hasSystemCode } from './disk.js';

interface GroupFile {
  readonly version: 1;
  readonly groups: Readonly<Record<string, Readonly<Record<string, AckSetRecord>>>>;
}

/**
 * The groups of one category and what each has acknowledged, kept in `groups.json`. Every change is
 * durable before its promise resolves. One acknowledgement comes per chunk and group, so the file is
 * replaced as a whole; it has one small record per group and owner.
 */
export class GroupBook {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #groups: Map<string, Map<string, AckSet>>;

  private constructor(disk: Disk, path: string, groups: Map<string, Map<string, AckSet>>) {
    this.#disk = disk;
    this.#path = path;
    this.#groups = groups;
  }

  /** Reads the file; a category without one has no groups. Throws `directory_invalid` for a file that is not one. */
  static async open(disk: Disk, path: string): Promise<GroupBook> {
    const groups = new Map<string, Map<string, AckSet>>();
    for (const [group, owners] of Object.entries((await readGroupFile(disk, path)).groups)) {
      const sets = Object.entries(owners).map(
        ([owner, record]) => [owner, new AckSet(record)] as const,
      );
      groups.set(group, new Map(sets));
    }
    return new GroupBook(disk, path, groups);
  }

  get groups(): readonly string[] {
    return [...this.#groups.keys()].sort();
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

  /** Adds the group when it is new. From then on chunks wait for its acknowledgement too. */
  async register(group: string): Promise<void> {
    if (this.#groups.has(group)) return;
    this.#groups.set(group, new Map());
    await this.#save();
  }

  /**
   * Records an acknowledgement, and registers the group when it is new.
   *
   * @param floor what no unacknowledged chunk of the owner lies below, as {@link AckSet.raiseTo} takes it
   */
  async ack(group: string, owner: string, index: number, floor: number): Promise<void> {
    const owners = this.#groups.get(group) ?? new Map<string, AckSet>();
    this.#groups.set(group, owners);
    const set = owners.get(owner) ?? new AckSet();
    owners.set(owner, set);
    set.add(index);
    set.raiseTo(floor);
    await this.#save();
  }

  async #save(): Promise<void> {
    const groups: Record<string, Record<string, AckSetRecord>> = {};
    for (const [group, owners] of this.#groups) {
      const records = [...owners].map(([owner, set]) => [owner, set.toRecord()]);
      groups[group] = Object.fromEntries(records);
    }
    const file: GroupFile = { version: 1, groups };
    await replaceFile(this.#disk, this.#path, `${JSON.stringify(file)}\n`);
  }
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
    const file = JSON.parse(text) as GroupFile;
    if (file.version === 1 && typeof file.groups === 'object') return file;
    throw new Error(`it has version ${JSON.stringify(file.version)}`);
  } catch (cause) {
    throw new ChukchaError(
      'directory_invalid',
      `${path} is not a group file of version 1 (${errorMessage(cause)}): ` +
        'restore it, or remove it to let every group read the category again.',
      { cause },
    );
  }
}

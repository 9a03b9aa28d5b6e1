import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { AckSet, type AckSetRecord } from './ack-set.js';
import type { Ballast } from './ballast.js';
import { type Disk, hasSystemCode } from './disk.js';
import { writeError } from './disk-error.js';

type OwnerRecords = Readonly<Record<string, AckSetRecord>>;

interface GroupFile {
  readonly version: 1;
  readonly groups: Readonly<Record<string, OwnerRecords>>;
  /** Missing in files of categories that never expired a chunk. */
  readonly expired?: OwnerRecords;
}

type Owners = Map<string, AckSet>;

interface Acks {
  readonly groups: Map<string, Owners>;
  /** What was given up for all groups, because it was too old or the category too large. */
  readonly expired: Owners;
}

/** Acknowledged chunks of one owner. */
export interface AckedChunks {
  readonly owner: string;
  readonly indexes: readonly number[];
  /** No chunk of the owner below it waits for an acknowledgement any more, as {@link AckSet.raiseTo} takes it. */
  readonly floor: number;
}

/** What one group has acknowledged of one owner's chunks. */
interface GroupAck extends AckedChunks {
  readonly group: string;
}

/**
 * The groups of one category and what each has acknowledged, kept in `groups.json`. Every change is
 * durable before its promise resolves. One acknowledgement comes per chunk and group, so the file is
 * replaced as a whole; it has one small record per group and owner.
 */
export class GroupBook {
  readonly #ballast: Ballast;
  readonly #path: string;
  #acks: Acks;

  private constructor(ballast: Ballast, path: string, acks: Acks) {
    this.#ballast = ballast;
    this.#path = path;
    this.#acks = acks;
  }

  /** Reads the file; a category without one has no groups. Throws `directory_invalid` for a file that is not one. */
  static async open(disk: Disk, ballast: Ballast, path: string): Promise<GroupBook> {
    return new GroupBook(ballast, path, fromFile(await readGroupFile(disk, path)));
  }

  /** Tells whether the group has acknowledged the chunk, or it has expired. */
  has(group: string, owner: string, index: number): boolean {
    if (this.#acks.expired.get(owner)?.has(index)) return true;
    return this.#acks.groups.get(group)?.get(owner)?.has(index) ?? false;
  }

  /** Tells whether every group that is registered has acknowledged the chunk, and there is one, or it has expired. */
  isAckedByAll(owner: string, index: number): boolean {
    const { groups, expired } = this.#acks;
    if (groups.size === 0) return expired.get(owner)?.has(index) ?? false;
    for (const group of groups.keys()) if (!this.has(group, owner, index)) return false;
    return true;
  }

  /** The highest index that any group has acknowledged of the owner's chunks; -1 when there is none. */
  highestAcked(owner: string): number {
    const { groups, expired } = this.#acks;
    const sets = [expired, ...groups.values()].map((owners) => owners.get(owner)?.highest ?? -1);
    return Math.max(...sets);
  }

  /** The names of the registered groups, sorted. */
  get names(): readonly string[] {
    return [...this.#acks.groups.keys()].sort();
  }

  isRegistered(group: string): boolean {
    return this.#acks.groups.has(group);
  }

  /**
   * Adds a group that is new. From then on chunks wait for its acknowledgement too.
   *
   * @param acked what counts as acknowledged by it from the beginning
   */
  async register(group: string, acked: readonly AckedChunks[] = []): Promise<void> {
    const acks = copyOf(this.#acks);
    const owners: Owners = new Map();
    acks.groups.set(group, owners);
    for (const chunks of acked) addTo(owners, chunks);
    await this.#replace(acks);
  }

  /** Forgets the group and what it has acknowledged. */
  async remove(group: string): Promise<void> {
    const acks = copyOf(this.#acks);
    acks.groups.delete(group);
    await this.#replace(acks);
  }

  /** Records acknowledgements, and registers groups that are new. */
  async ack(acked: readonly GroupAck[]): Promise<void> {
    const acks = copyOf(this.#acks);
    for (const ack of acked) {
      const owners: Owners = acks.groups.get(ack.group) ?? new Map();
      acks.groups.set(ack.group, owners);
      addTo(owners, ack);
    }
    await this.#replace(acks);
  }

  /** Records that chunks are given up, whatever the groups have acknowledged. */
  async expire(chunks: AckedChunks): Promise<void> {
    const acks = copyOf(this.#acks);
    addTo(acks.expired, chunks);
    await this.#replace(acks);
  }

  /**
   * On disk first: what could not be made durable must not be believed in memory either. On a full disk the
   * ballast makes room: what is acknowledged here is what frees more.
   */
  async #replace(acks: Acks): Promise<void> {
    try {
      await this.#ballast.replaceFile(this.#path, `${JSON.stringify(toFile(acks))}\n`);
    } catch (error) {
      throw writeError(error, this.#path, 'nothing was recorded');
    }
    this.#acks = acks;
  }
}

function addTo(owners: Owners, { owner, indexes, floor }: AckedChunks): void {
  const set = owners.get(owner) ?? new AckSet();
  owners.set(owner, set);
  for (const index of indexes) set.add(index);
  set.raiseTo(floor);
}

function copyOf(acks: Acks): Acks {
  return fromFile(toFile(acks));
}

/** By way of entries, because any name is a name here, also one that objects have a meaning for. */
function toFile({ groups, expired }: Acks): GroupFile {
  const records = [...groups].map(([group, owners]) => [group, toRecords(owners)] as const);
  return {
    version: 1,
    groups: Object.fromEntries(records),
    ...(expired.size > 0 && { expired: toRecords(expired) }),
  };
}

function toRecords(owners: Owners): OwnerRecords {
  return Object.fromEntries([...owners].map(([owner, set]) => [owner, set.toRecord()] as const));
}

function fromFile({ groups, expired = {} }: GroupFile): Acks {
  const sets = Object.entries(groups).map(
    ([group, owners]) => [group, fromRecords(owners)] as const,
  );
  return { groups: new Map(sets), expired: fromRecords(expired) };
}

function fromRecords(owners: OwnerRecords): Owners {
  return new Map(
    Object.entries(owners).map(([owner, record]) => [owner, new AckSet(record)] as const),
  );
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
  const { version, groups, expired = {} } = asRecord(value, 'the file');
  if (version !== 1) throw new Error(`its version is ${JSON.stringify(version)}`);
  for (const [group, owners] of Object.entries(asRecord(groups, 'groups'))) {
    checkOwners(owners, `group ${group}`);
  }
  checkOwners(expired, 'expired');
  return value as GroupFile;
}

function checkOwners(owners: unknown, what: string): void {
  for (const [owner, set] of Object.entries(asRecord(owners, what))) {
    const { upTo, extra } = asRecord(set, `owner ${owner} of ${what}`);
    const isSet =
      isIndex(upTo, -1) && Array.isArray(extra) && extra.every((index) => isIndex(index, 0));
    if (!isSet) throw new Error(`owner ${owner} of ${what} has ${JSON.stringify(set)}`);
  }
}

function asRecord(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new Error(`${what} is ${JSON.stringify(value)}`);
}

function isIndex(value: unknown, min: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= min;
}

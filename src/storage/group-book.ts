import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import {
  type AckedChunks,
  type AckRecords,
  AckStates,
  asRecord,
  checkAckRecords,
  checkOwners,
  isInteger,
} from './ack-states.js';
import { type AckedSize, AckedSizes } from './acked-sizes.js';
import type { Ballast } from './ballast.js';
import { type Disk, hasSystemCode } from './disk.js';
import { writeError } from './disk-error.js';

/** What one group has acknowledged of one owner's chunks. */
interface GroupAck extends AckedChunks {
  readonly group: string;
}

/** What another node knows. */
export interface ForeignAcks {
  readonly records: AckRecords;
  readonly sizes: readonly AckedSize[];
}

/** The content of `groups.json`. */
interface Book {
  readonly states: AckStates;
  readonly sizes: AckedSizes;
}

export interface GroupBookPorts {
  readonly disk: Disk;
  readonly ballast: Ballast;
}

/**
 * The groups of one category and what each has acknowledged, kept in `groups.json`. Every change is
 * durable before its promise resolves. One acknowledgement comes per chunk and group, so the file is
 * replaced as a whole; it has one small record per group and owner.
 */
export class GroupBook {
  readonly #ballast: Ballast;
  readonly #path: string;
  readonly #hasPeers: boolean;
  #states: AckStates;
  #sizes: AckedSizes;

  private constructor(ballast: Ballast, path: string, hasPeers: boolean, book: Book) {
    this.#ballast = ballast;
    this.#path = path;
    this.#hasPeers = hasPeers;
    this.#states = book.states;
    this.#sizes = book.sizes;
  }

  /**
   * Reads the file; a category without one has no groups. Throws `directory_invalid` for a file that is not one.
   *
   * @param hasPeers whether the sizes of acknowledged chunks are kept, for peers that may have copies, and that a group was
   *   removed, for peers that may not know yet
   */
  static async open(
    { disk, ballast }: GroupBookPorts,
    path: string,
    hasPeers = false,
  ): Promise<GroupBook> {
    return new GroupBook(ballast, path, hasPeers, await readGroupFile(disk, path));
  }

  /** What was acknowledged, to be looked at. */
  get states(): Omit<
    AckStates,
    'register' | 'remove' | 'forget' | 'ack' | 'expire' | 'merge' | 'raise'
  > {
    return this.#states;
  }

  /** The sizes of acknowledged chunks, to be looked at. */
  get sizes(): Omit<AckedSizes, 'add' | 'renew' | 'forgetBefore'> {
    return this.#sizes;
  }

  /**
   * Adds a group that is new, or was removed. From then on chunks wait for its acknowledgement too.
   *
   * @param acked what counts as acknowledged by it from the beginning
   * @param generation the group's, where nodes have agreed on it. @default one more than before
   */
  async register(
    group: string,
    acked: readonly AckedChunks[] = [],
    generation = this.#states.generationOf(group) + 1,
  ): Promise<void> {
    await this.#change((states, sizes) => {
      states.register(group, generation);
      for (const chunks of acked) {
        states.ack(group, chunks);
        this.#keepSizes(sizes, chunks);
      }
    });
  }

  /** Forgets what the group has acknowledged; where there are peers, it remembers that it is not registered any more. */
  async remove(group: string, generation = this.#states.generationOf(group)): Promise<void> {
    await this.#change((states) => {
      if (this.#hasPeers) states.remove(group, generation);
      else states.forget(group);
    });
  }

  /** Records acknowledgements, and registers groups that are new. */
  async ack(acks: readonly GroupAck[]): Promise<void> {
    await this.#change((states, sizes) => {
      for (const ack of acks) {
        states.ack(ack.group, ack);
        this.#keepSizes(sizes, ack);
      }
    });
  }

  /** Records that chunks are given up, whatever the groups have acknowledged. */
  async expire(chunks: AckedChunks): Promise<void> {
    await this.#change((states, sizes) => {
      states.expire(chunks);
      this.#keepSizes(sizes, chunks);
    });
  }

  /**
   * Takes in what another node knows. Tells whether anything of it was new.
   *
   * @param isNeeded whether this node needs the size of a chunk. One that it lacks and does not need it has
   *   forgotten, when all peers had it; it would go round for ever if each took it from the other again
   * @param adjust changes the outcome by what this node alone knows, before it is compared
   */
  async merge(
    { records, sizes: foreignSizes }: ForeignAcks,
    isNeeded: (owner: string, index: number) => boolean,
    adjust: (states: AckStates) => void,
  ): Promise<boolean> {
    const before = JSON.stringify(this.#states.toRecords());
    const states = this.#states.copy();
    states.merge(records);
    adjust(states);
    const newSizes = foreignSizes.filter(
      ([owner, index]) => this.#sizes.find(owner, index) === undefined && isNeeded(owner, index),
    );
    if (newSizes.length === 0 && JSON.stringify(states.toRecords()) === before) return false;
    const sizes = this.#sizes.copy();
    for (const size of newSizes) sizes.add(size);
    await this.#replace({ states, sizes });
    return true;
  }

  /** Forgets the sizes with lower numbers that are not needed here; on disk that waits for the next change. */
  forgetSizesBefore(number: number, isNeeded: (owner: string, index: number) => boolean): void {
    this.#sizes.forgetBefore(number, isNeeded);
  }

  #keepSizes(sizes: AckedSizes, { owner, chunks }: AckedChunks): void {
    if (!this.#hasPeers) return;
    for (const { index, size } of chunks) sizes.renew([owner, index, size]);
  }

  async #change(change: (states: AckStates, sizes: AckedSizes) => void): Promise<void> {
    const book = { states: this.#states.copy(), sizes: this.#sizes.copy() };
    change(book.states, book.sizes);
    await this.#replace(book);
  }

  /**
   * On disk first: what could not be made durable must not be believed in memory either. On a full disk the
   * ballast makes room: what is acknowledged here is what frees more.
   */
  async #replace(book: Book): Promise<void> {
    try {
      await this.#ballast.replaceFile(this.#path, formatBook(book));
    } catch (error) {
      throw writeError(error, this.#path, 'nothing was recorded');
    }
    this.#states = book.states;
    this.#sizes = book.sizes;
  }
}

function formatBook({ states, sizes }: Book): string {
  const kept = sizes.since(0);
  const { groups, expired } = states.toRecords();
  return `${JSON.stringify({ version: 2, groups, expired, ...(kept.length > 0 && { sizes: kept }) })}\n`;
}

async function readGroupFile(disk: Disk, path: string): Promise<Book> {
  let text: string;
  try {
    text = (await disk.readFile(path)).toString();
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) return { states: new AckStates(), sizes: new AckedSizes() };
    throw error;
  }
  try {
    return parseBook(JSON.parse(text));
  } catch (cause) {
    throw new ChukchaError(
      'directory_invalid',
      `${path} is not a group file of version 1 or 2 (${errorMessage(cause)}): ` +
        'restore it, or remove it to let every group read the category again.',
      { cause },
    );
  }
}

function parseBook(value: unknown): Book {
  const { version, groups, expired = {}, sizes = [] } = asRecord(value, 'the file');
  if (version === 1) {
    return { states: new AckStates(fromVersion1(groups, expired)), sizes: new AckedSizes() };
  }
  if (version !== 2) throw new Error(`its version is ${JSON.stringify(version)}`);
  return {
    states: new AckStates(checkAckRecords({ groups, expired })),
    sizes: new AckedSizes(checkSizes(sizes)),
  };
}

/** Version 1 had neither generations nor the memory of removed groups. */
function fromVersion1(groups: unknown, expired: unknown): AckRecords {
  const records = Object.entries(asRecord(groups, 'groups')).map(([group, acked]) => {
    checkOwners(acked, `group ${group}`);
    return [group, { generation: 1, acked }] as const;
  });
  return checkAckRecords({ groups: Object.fromEntries(records), expired });
}

/** Throws an `Error` for what is no list of sizes. */
export function checkSizes(value: unknown): readonly AckedSize[] {
  const isList =
    Array.isArray(value) &&
    value.every(
      (size) =>
        Array.isArray(size) &&
        typeof size[0] === 'string' &&
        isInteger(size[1], 0) &&
        isInteger(size[2], 0),
    );
  if (!isList) throw new Error('its sizes are not a list of owner, index and size');
  return value as AckedSize[];
}

import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import { Mutex } from '../common/mutex.js';
import { ChangeSignal } from '../common/wait.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import type { ChunkState, GroupBacklog, HeldChunks, ListedChunk } from '../protocol/http-api.js';
import {
  type ChunkName,
  checkChunkName,
  formatChunkName,
  parseChunkName,
} from '../protocol/names.js';
import type { Ballast } from './ballast.js';
import type { Appended, Batch, Submission } from './batch.js';
import { CategoryWriter } from './category-writer.js';
import { Chunk } from './chunk.js';
import { ChunkList } from './chunk-list.js';
import { ChunkWriter } from './chunk-writer.js';
import { type Disk, hasSystemCode } from './disk.js';
import { writeError } from './disk-error.js';
import type { Flusher } from './flusher.js';
import { GroupBook } from './group-book.js';
import { IndexAllocator } from './index-allocator.js';
import { recoverTail } from './recovery.js';

export interface CategoryOptions {
  readonly name: string;
  /** The name of this node; new chunks get it as their owner. */
  readonly nodeName: string;
  /** Where the chunks are. */
  readonly directory: string;
  /** Where everything else about the category is. */
  readonly stateDirectory: string;
  readonly chunkBytesMax: number;
  /** Whether the last process made everything durable before it ended. */
  readonly stoppedCleanly: boolean;
}

export interface CategoryPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Logger;
  readonly flusher: Flusher;
  readonly ballast: Ballast;
}

/**
 * One category on this node: the list of its chunks, which lives in memory, the writer of this node's
 * own chunks, and what its groups have acknowledged.
 */
export class Category {
  readonly name: string;
  /** Notified when a chunk appears, is sealed or goes; growth of a chunk is told by the chunk itself. */
  readonly listChanged = new ChangeSignal();
  readonly #options: CategoryOptions;
  readonly #ports: CategoryPorts;
  readonly #chunks: ChunkList;
  readonly #groups: GroupBook;
  readonly #indexes: IndexAllocator;
  readonly #writer: CategoryWriter;
  readonly #ackLane = new Mutex();
  #listVersion = 0;
  /** Every chunk of this node with a lower index is in the list, or gone. */
  #listedBefore: number;
  #directoryExists: boolean;

  private constructor(
    options: CategoryOptions,
    ports: CategoryPorts,
    found: {
      chunks: ChunkList;
      groups: GroupBook;
      indexes: IndexAllocator;
      directoryExists: boolean;
    },
  ) {
    this.name = options.name;
    this.#options = options;
    this.#ports = ports;
    this.#chunks = found.chunks;
    this.#groups = found.groups;
    this.#indexes = found.indexes;
    this.#listedBefore = found.indexes.next;
    this.#directoryExists = found.directoryExists;
    this.#writer = new CategoryWriter({
      clock: ports.clock,
      flusher: ports.flusher,
      chunkBytesMax: options.chunkBytesMax,
      createChunk: () => this.#createChunk(),
      onSealed: () => this.#bumpList(),
      onFailed: (error) =>
        ports.log.error('Stopped taking writes.', { category: this.name, error: error.message }),
    });
  }

  /**
   * Reads what is on disk and mends what a crash left: a torn end is cut off, an empty chunk and one that
   * every group has acknowledged is removed. All chunks that were found are sealed: a chunk is never
   * appended to by a later start of its owner.
   */
  static async open(options: CategoryOptions, ports: CategoryPorts): Promise<Category> {
    const { disk } = ports;
    await disk.makeDirectory(options.stateDirectory);
    const groups = await GroupBook.open(
      disk,
      ports.ballast,
      `${options.stateDirectory}/groups.json`,
    );
    const names = await listChunkFiles(options, ports);
    const chunks = new ChunkList();
    for (const name of names ?? []) {
      const chunk = await recoverChunk(name, groups, options, ports);
      if (chunk !== undefined) chunks.add(chunk);
    }
    const usedIndexes = (names ?? [])
      .filter((name) => name.owner === options.nodeName)
      .map((name) => name.index);
    const usedIndexMax = Math.max(groups.highestAcked(options.nodeName), ...usedIndexes);
    const indexes = await IndexAllocator.open(
      disk,
      `${options.stateDirectory}/next-chunk-index.json`,
      usedIndexMax,
    );
    return new Category(options, ports, {
      chunks,
      groups,
      indexes,
      directoryExists: names !== undefined,
    });
  }

  /** Tells whether the disk has failed, so that nobody knows what of the last writes is durable. */
  get hasFailed(): boolean {
    return this.#writer.hasFailed;
  }

  /** Tells whether anything was ever written to the category on this node. */
  get exists(): boolean {
    return this.#directoryExists;
  }

  /** Counts the changes of the list since this start. */
  get listVersion(): number {
    return this.#listVersion;
  }

  /**
   * Appends a batch. It is answered when the write call has returned, or with `sync` when the bytes and the
   * chunk's name are durable. Fails with `disk_full`, `storage_failed` or `draining`.
   */
  submit(submission: Submission): void {
    this.#writer.submit(submission);
  }

  /** As `submit`, for callers to whom a promise costs nothing. */
  append(batch: Batch): Promise<Appended> {
    return new Promise((stored, failed) => this.submit({ ...batch, stored, failed }));
  }

  chunk(name: string): Chunk | undefined {
    return this.#chunks.get(name);
  }

  /** The nodes that wrote the chunks that are here, sorted. */
  owners(): string[] {
    return this.#chunks.owners();
  }

  /** The newest chunk of an owner. */
  lastChunk(owner: string): Chunk | undefined {
    return this.#chunks.ownedBy(owner).at(-1);
  }

  /** The first chunk of an owner behind an index that the group has not acknowledged. */
  nextChunk(owner: string, index: number, group: string): Chunk | undefined {
    return this.#chunks.firstAfter(
      owner,
      index,
      (chunk) => !this.#groups.has(group, chunk.owner, chunk.index),
    );
  }

  /** What a reader is told about a chunk, also when this node does not hold it: not yet, or no longer. */
  chunkState(name: ChunkName): ChunkState {
    const chunk = this.#chunks.get(formatChunkName(name));
    if (chunk !== undefined) return chunk.state === 'open' ? 'open' : 'sealed';
    return this.#groups.isAckedByAll(name.owner, name.index) ? 'acked' : 'pending';
  }

  /** The chunks that the group has not acknowledged, by owner and then by index. */
  list(group: string): ListedChunk[] {
    return this.#chunks
      .sorted()
      .filter((chunk) => !this.#groups.has(group, chunk.owner, chunk.index))
      .map((chunk) => ({ name: chunk.name, complete: chunk.state === 'sealed', size: chunk.size }));
  }

  /**
   * Makes the group's acknowledgement a condition for removing chunks; durable when it resolves. A group
   * that is registered already stays as it is.
   *
   * @param from `latest` counts everything that is there as acknowledged by it; for that, the open chunk is sealed
   * @returns whether the group is new
   */
  registerGroup(group: string, from: 'earliest' | 'latest' = 'earliest'): Promise<boolean> {
    return this.#ackLane.run(async () => {
      if (this.#groups.isRegistered(group)) return false;
      if (from === 'latest') await this.seal();
      const sealed = this.#chunks.sorted().filter((chunk) => chunk.state === 'sealed');
      await this.#groups.register(group, from === 'latest' ? sealed : []);
      this.#bumpList();
      return true;
    });
  }

  /**
   * Forgets the group, and removes the chunks that only it still held; durable when it resolves.
   *
   * @returns what that freed; `undefined` when there was no such group
   */
  removeGroup(group: string): Promise<HeldChunks | undefined> {
    return this.#ackLane.run(async () => {
      if (!this.#groups.isRegistered(group)) return undefined;
      await this.#groups.remove(group);
      this.#bumpList();
      const freed = this.#chunks
        .sorted()
        .filter((chunk) => this.#groups.isAckedByAll(chunk.owner, chunk.index));
      for (const chunk of freed) await this.#removeChunk(chunk);
      return sumOf(freed);
    });
  }

  /** The registered groups, sorted by name, with what each has still to acknowledge. */
  groups(): GroupBacklog[] {
    return this.#groups.names.map((group) => ({ group, ...sumOf(this.list(group)) }));
  }

  /** What this node holds of the category. */
  held(): HeldChunks {
    return sumOf(this.#chunks.sorted());
  }

  /**
   * Records that the group has processed a sealed chunk up to `size`, and removes the chunk when every
   * group has. The acknowledgement is durable when the promise resolves, and may be repeated.
   *
   * Throws `chunk_not_found`, `chunk_open`, or `ack_size_too_small` when the chunk is longer than `size`.
   */
  ack(chunkName: string, size: number, group: string): Promise<void> {
    return this.#ackLane.run(async () => {
      const name = checkChunkName(chunkName);
      if (this.#groups.has(group, name.owner, name.index)) return;
      const chunk = this.#ackableChunk(chunkName, size);
      await this.#groups.ack(group, name.owner, name.index, this.#unackedFloor(chunk, group));
      this.#bumpList();
      if (this.#groups.isAckedByAll(name.owner, name.index)) await this.#removeChunk(chunk);
    });
  }

  /**
   * Seals this node's open chunk, so that it can be acknowledged.
   *
   * @returns what was sealed; `undefined` when no chunk was open
   */
  seal(): Promise<Chunk | undefined> {
    return this.#writer.seal();
  }

  /** Writes and makes durable what was accepted, seals, and refuses what comes later. */
  async close(): Promise<void> {
    await this.#writer.close();
    await this.#writer.flush();
    await this.#ackLane
      .run(() => this.#indexes.close())
      .catch((error: unknown) => {
        // The reservation stays as it is, which costs a gap between indexes and nothing else.
        this.#ports.log.warn('Reserved chunk indexes could not be given back.', {
          category: this.name,
          error: errorMessage(error),
        });
      });
  }

  #ackableChunk(chunkName: string, size: number): Chunk {
    const chunk = this.#chunks.get(chunkName);
    const fields = { category: this.name, chunk: chunkName };
    if (chunk === undefined) {
      throw new ChukchaError(
        'chunk_not_found',
        `Chunk ${chunkName} of category ${this.name} is not on this node: acknowledge a chunk that /listChunks shows.`,
        { fields },
      );
    }
    if (chunk.state === 'open') {
      throw new ChukchaError(
        'chunk_open',
        `Chunk ${chunkName} may still grow beyond its ${chunk.size} bytes: acknowledge it when /listChunks shows it as complete.`,
        { fields: { ...fields, size: chunk.size } },
      );
    }
    if (size < chunk.size) {
      throw new ChukchaError(
        'ack_size_too_small',
        `Chunk ${chunkName} has ${chunk.size} bytes, but ${size} were acknowledged: read it to its end before acknowledging it.`,
        { fields: { ...fields, size: chunk.size } },
      );
    }
    return chunk;
  }

  /** The lowest index of the owner's chunks that the group still has to acknowledge, once it has `chunk`. */
  #unackedFloor(chunk: Chunk, group: string): number {
    // Only this node knows which of its own indexes were never used; of another's, nothing is assumed.
    if (chunk.owner !== this.#options.nodeName) return 0;
    const waiting = this.#chunks
      .ownedBy(chunk.owner)
      .find((other) => other !== chunk && !this.#groups.has(group, other.owner, other.index));
    return waiting?.index ?? this.#listedBefore;
  }

  async #removeChunk(chunk: Chunk): Promise<void> {
    this.#chunks.remove(chunk);
    chunk.markRemoved();
    this.#bumpList();
    try {
      await this.#ports.disk.removeFile(chunk.path);
      await this.#ports.ballast.restore();
    } catch (error) {
      // As after a crash at this place, the next start finds it acknowledged by all and removes it.
      this.#ports.log.warn(
        'An acknowledged chunk could not be removed; the next start tries again.',
        {
          category: this.name,
          chunk: chunk.name,
          error: errorMessage(error),
        },
      );
    }
  }

  async #createChunk(): Promise<ChunkWriter> {
    const { disk, clock } = this.#ports;
    const { directory, nodeName } = this.#options;
    try {
      if (!this.#directoryExists) {
        await disk.makeDirectory(directory);
        this.#directoryExists = true;
      }
      const index = await this.#indexes.take();
      const chunk = new Chunk({ owner: nodeName, index }, directory, 0, 'open');
      const writer = await ChunkWriter.create(disk, clock, chunk);
      this.#chunks.add(chunk);
      this.#listedBefore = index + 1;
      this.#bumpList();
      return writer;
    } catch (error) {
      throw writeError(error, directory);
    }
  }

  #bumpList(): void {
    this.#listVersion += 1;
    this.listChanged.notify();
  }
}

function sumOf(chunks: readonly { readonly size: number }[]): HeldChunks {
  return { chunks: chunks.length, bytes: chunks.reduce((sum, chunk) => sum + chunk.size, 0) };
}

/** The chunk files of the category's directory; `undefined` when there is no directory. */
async function listChunkFiles(
  options: CategoryOptions,
  { disk, log }: CategoryPorts,
): Promise<ChunkName[] | undefined> {
  const names: ChunkName[] = [];
  try {
    for (const entry of await disk.listDirectory(options.directory)) {
      const name = entry.kind === 'file' ? parseChunkName(entry.name) : undefined;
      if (name !== undefined) names.push(name);
      else log.warn('Ignored what is not a chunk.', { category: options.name, name: entry.name });
    }
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  return names;
}

async function recoverChunk(
  name: ChunkName,
  groups: GroupBook,
  options: CategoryOptions,
  { disk, log }: CategoryPorts,
): Promise<Chunk | undefined> {
  const path = `${options.directory}/${formatChunkName(name)}`;
  if (groups.isAckedByAll(name.owner, name.index)) {
    await disk.removeFile(path);
    return undefined;
  }
  const { size, cutBytes } = await recoverTail(disk, path, options.stoppedCleanly);
  if (cutBytes > 0) {
    log.warn('Cut off the torn end of a write that was not answered.', {
      category: options.name,
      chunk: formatChunkName(name),
      cutBytes,
      size,
    });
  }
  if (size === 0) {
    await disk.removeFile(path);
    return undefined;
  }
  return new Chunk(name, options.directory, size, 'sealed');
}

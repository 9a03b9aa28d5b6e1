import type { LogFields } from '../common/logger.js';
import { ChangeSignal } from '../common/wait.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import type { ChunkState, GroupBacklog, HeldChunks, ListedChunk } from '../protocol/http-api.js';
import { type ChunkName, checkChunkName, formatChunkName } from '../protocol/names.js';
import { removeIfThere } from './atomic-file.js';
import type { Appended, Batch, Submission } from './batch.js';
import { chunkFiles, type OpenedCategory, openCategory } from './category-opening.js';
import type { CategoryOptions, CategoryPorts } from './category-options.js';
import { CategoryWriter } from './category-writer.js';
import { Chunk } from './chunk.js';
import type { Pace } from './chunk-check.js';
import { checkSealedChunk, remakeIndex } from './chunk-health.js';
import type { ChunkList } from './chunk-list.js';
import { ChunkWriter } from './chunk-writer.js';
import { writeError } from './disk-error.js';
import { DuplicateFilter } from './duplicate-filter.js';
import { GroupAcks, sumOf } from './group-acks.js';
import type { GroupBook } from './group-book.js';
import type { IndexAllocator } from './index-allocator.js';
import type { ProducerBook } from './producer-book.js';
import { salvageChunk } from './quarantine.js';
import type { ChunkFiles } from './recovery.js';
import { findExpired, type RetentionLimits } from './retention.js';

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
  readonly #producers: ProducerBook;
  readonly #writer: CategoryWriter;
  readonly #filter: DuplicateFilter;
  readonly #acks: GroupAcks;
  /** Damaged chunks that could not be saved yet: not in the list, and not to be taken for acknowledged. */
  readonly #hidden: ChunkName[] = [];
  #listVersion = 0;
  #expiredBytes = 0;
  /** Every chunk of this node with a lower index is in the list, or gone. */
  #listedBefore: number;
  #directoryExists: boolean;

  private constructor(options: CategoryOptions, ports: CategoryPorts, opened: OpenedCategory) {
    this.name = options.name;
    this.#options = options;
    this.#ports = ports;
    this.#chunks = opened.chunks;
    this.#groups = opened.groups;
    this.#producers = opened.producers;
    this.#indexes = opened.indexes;
    this.#listedBefore = opened.indexes.next;
    this.#directoryExists = opened.directoryExists;
    this.#writer = new CategoryWriter(options, {
      ...ports,
      createChunk: () => this.#createChunk(),
      onStored: (chunk, record) => this.#producers.add(chunk, record),
      onSealed: () => this.#bumpList(),
      onDurable: (chunk) => this.#archiveProducers(chunk),
    });
    this.#filter = new DuplicateFilter(this.#writer, this.#producers);
    this.#acks = new GroupAcks({
      category: options.name,
      nodeName: options.nodeName,
      groups: opened.groups,
      chunks: opened.chunks,
      listedBefore: () => this.#listedBefore,
      hiddenIndexes: () => this.#hiddenIndexes(),
      seal: () => this.seal(),
      syncRemovals: () => this.#makeRemovalsDurable(),
      remove: (chunk) => this.#removeChunk(chunk),
      onChanged: () => this.#bumpList(),
    });
  }

  /** Reads what is on disk, and mends and saves what a crash left. */
  static async open(options: CategoryOptions, ports: CategoryPorts): Promise<Category> {
    const opened = await openCategory(options, ports);
    const category = new Category(options, ports, opened);
    for (const files of opened.damaged) await category.#salvage(files);
    return category;
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
    this.#filter.submit(submission);
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
   * @param from `latest` counts everything that is there as acknowledged by it; for that, the open chunk is
   *   sealed. What every group has acknowledged then is removed: as the first group, it frees all of that
   * @returns what that freed; `undefined` when the group was registered before
   */
  registerGroup(
    group: string,
    from: 'earliest' | 'latest' = 'earliest',
  ): Promise<HeldChunks | undefined> {
    return this.#acks.register(group, from);
  }

  /**
   * Forgets the group, and removes the chunks that only it still held; durable when it resolves.
   *
   * @returns what that freed; `undefined` when there was no such group
   */
  removeGroup(group: string): Promise<HeldChunks | undefined> {
    return this.#acks.removeGroup(group);
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
    return this.#acks.ack(chunkName, size, group);
  }

  /**
   * Seals this node's open chunk, so that it can be acknowledged.
   *
   * @returns what was sealed; `undefined` when no chunk was open
   */
  seal(): Promise<Chunk | undefined> {
    return this.#writer.seal();
  }

  /** Gives up sealed chunks of this node beyond the limits, for all groups; durable when it resolves. */
  expire(limits: RetentionLimits): Promise<void> {
    return this.#acks.exclusively(async () => {
      const { nodeName: owner } = this.#options;
      const nowMs = this.#ports.clock.wallMs();
      const expired = findExpired(this.#chunks.ownedBy(owner), limits, nowMs);
      if (expired.length === 0) return;
      await this.#acks.expire(owner, expired);
      const bytes = expired.reduce((sum, chunk) => sum + chunk.size, 0);
      this.#expiredBytes += bytes;
      this.#ports.log.info('Gave up chunks that were too old, or too much together.', {
        category: this.name,
        chunks: expired.length,
        bytes,
      });
      for (const chunk of expired) await this.#removeChunk(chunk);
    });
  }

  /** The chunks that do not change any more, by owner and then by index. */
  get sealedChunks(): readonly Chunk[] {
    return this.#chunks.sorted().filter((chunk) => chunk.state === 'sealed');
  }

  /**
   * Compares a sealed chunk with its checksums. A damaged one is moved aside, and its intact batches are stored
   * again at the end of the category; one without its file is reported. Rejects when it cannot be read.
   *
   * @param pace called with the bytes of each read; the check goes on when it resolves
   */
  async check(chunk: Chunk, pace: Pace): Promise<void> {
    const { disk, log } = this.#ports;
    const files = chunkFiles(this.#options, chunk.name);
    const fields = { category: this.name, chunk: chunk.name };
    let health = await checkSealedChunk(disk, files, pace);
    // Looked at once more, because what was read may have been damaged on its way from the disk.
    if (health.kind === 'damaged') health = await checkSealedChunk(disk, files, pace);
    await this.#acks.exclusively(async () => {
      if (chunk.state !== 'sealed') return;
      if (health.kind === 'missing') {
        log.error('The file of a chunk is missing: put it back, or acknowledge the chunk.', fields);
      } else if (health.kind === 'index damaged') {
        await remakeIndex(disk, files, health.seal);
        log.warn('The index of a chunk was damaged and was made again.', fields);
      } else if (health.kind === 'damaged') {
        await this.#salvage(files);
        this.#forget(chunk);
      }
    });
  }

  /** Damaged chunks of which the intact batches could not be stored again yet; no reader sees them. */
  get hiddenChunks(): readonly string[] {
    return this.#hidden.map(formatChunkName);
  }

  /** Bytes that were given up since this start because they were too old or too much. */
  get expiredBytes(): number {
    return this.#expiredBytes;
  }

  /** Writes and makes durable what was accepted, seals, and refuses what comes later. */
  async close(): Promise<void> {
    await this.#writer.close();
    await this.#writer.flush();
    await this.#acks
      .exclusively(() => this.#indexes.close())
      .catch((error: unknown) => {
        // The reservation stays as it is, which costs a gap between indexes and nothing else.
        this.#warn('Reserved chunk indexes could not be given back.', error);
      });
  }

  #hiddenIndexes(): number[] {
    const { nodeName } = this.#options;
    return this.#hidden.flatMap(({ owner, index }) => (owner === nodeName ? index : []));
  }

  /**
   * Before the list of groups changes: what is gone must not come back with a power failure when it is not known
   * any more that all who had to had acknowledged it.
   */
  async #makeRemovalsDurable(): Promise<void> {
    if (this.#directoryExists) await this.#ports.disk.syncDirectory(this.#options.home.directory);
  }

  async #removeChunk(chunk: Chunk): Promise<void> {
    this.#forget(chunk);
    try {
      // First what makes room; the index goes when what producers have sent in the chunk is known elsewhere.
      await removeIfThere(this.#ports.disk, chunk.path);
      await this.#producers.archive(chunk.name);
      await removeIfThere(this.#ports.disk, chunk.indexPath);
    } catch (error) {
      // As after a crash at this place, the next start finds it acknowledged by all and removes it.
      this.#warn('An acknowledged chunk could not be removed; the next start tries again.', error, {
        chunk: chunk.name,
      });
    }
    await this.#ports.ballast.restore();
    await this.#ports.guard.noteFreed();
  }

  #forget(chunk: Chunk): void {
    this.#chunks.remove(chunk);
    chunk.markRemoved();
    this.#bumpList();
  }

  /**
   * Saves what is intact of a damaged chunk. One that cannot be saved now is hidden until the next start, which
   * finds it damaged again, or leaves that to its check of all chunks.
   */
  async #salvage(files: ChunkFiles): Promise<void> {
    const { disk, log } = this.#ports;
    const { category, chunk } = files;
    try {
      const report = await salvageChunk(disk, files, this.#options.quarantineDirectory, {
        // Past the filter, which would take every batch with a stamp for a repetition.
        append: (batch) =>
          new Promise((stored, failed) => this.#writer.submit({ ...batch, stored, failed })),
        sync: () => this.#writer.sync(),
      });
      log.error('A damaged chunk was moved aside; its intact batches were stored again.', {
        category,
        chunk,
        ...report,
      });
    } catch (error) {
      this.#hidden.push(checkChunkName(chunk));
      log.error(
        'A damaged chunk could not be saved and is not shown; it is tried again after the next start.',
        {
          category,
          chunk,
          error: errorMessage(error),
        },
      );
    }
  }

  async #createChunk(): Promise<ChunkWriter> {
    const { disk, clock } = this.#ports;
    const { home, nodeName } = this.#options;
    try {
      if (!this.#directoryExists) {
        await disk.makeDirectory(home.directory);
        this.#directoryExists = true;
      }
      const index = await this.#indexes.take();
      const chunk = Chunk.open({ owner: nodeName, index }, home);
      const writer = await ChunkWriter.create(disk, clock, chunk);
      this.#chunks.add(chunk);
      this.#listedBefore = index + 1;
      this.#bumpList();
      return writer;
    } catch (error) {
      throw writeError(error, home.directory);
    }
  }

  /** Whether what the chunk has of producers is durable elsewhere, so that its index may be closed. */
  async #archiveProducers(chunk: string): Promise<boolean> {
    try {
      await this.#producers.archive(chunk);
      return true;
    } catch (error) {
      this.#warn('A chunk stays without its seal; the next start checks it.', error, { chunk });
      return false;
    }
  }

  #warn(sentence: string, error: unknown, fields: LogFields = {}): void {
    this.#ports.log.warn(sentence, {
      category: this.name,
      ...fields,
      error: errorMessage(error),
    });
  }

  #bumpList(): void {
    this.#listVersion += 1;
    this.listChanged.notify();
  }
}

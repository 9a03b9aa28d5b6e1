import type { LogFields } from '../common/logger.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import type { HeldChunks } from '../protocol/http-api.js';
import type { ChunkName } from '../protocol/names.js';
import { removeIfThere } from './atomic-file.js';
import type { Appended, Batch, Submission } from './batch.js';
import type { SealRecord } from './batch-index.js';
import { chunkFiles, type OpenedCategory, openCategory } from './category-opening.js';
import type { CategoryOptions, CategoryPorts } from './category-options.js';
import type { CategoryTraffic } from './category-traffic.js';
import { CategoryView } from './category-view.js';
import { CategoryWriter } from './category-writer.js';
import { Chunk } from './chunk.js';
import type { Pace } from './chunk-check.js';
import {
  ChunkCopies,
  type ReceivedBatches,
  type SealOutcome,
  type TakeOutcome,
} from './chunk-copies.js';
import type { ChunkList } from './chunk-list.js';
import { ChunkWriter } from './chunk-writer.js';
import { DamagedChunks } from './damaged-chunks.js';
import { writeError } from './disk-error.js';
import { DuplicateFilter } from './duplicate-filter.js';
import { GroupAcks } from './group-acks.js';
import type { ForeignAcks, GroupBook } from './group-book.js';
import type { IndexAllocator } from './index-allocator.js';
import type { ProducerBook } from './producer-book.js';
import { findExpired, type RetentionLimits } from './retention.js';

/**
 * One category on this node: the list of its chunks, which lives in memory, the writer of this node's
 * own chunks, the copies of others, and what its groups have acknowledged.
 */
export class Category {
  readonly name: string;
  /** What readers and peers see of it. */
  readonly view: CategoryView;
  /** What went in and out since this start; whoever sends messages to readers adds to `readBytes`. */
  readonly traffic: CategoryTraffic = { writtenBytes: 0, copiedBytes: 0, readBytes: 0 };
  readonly #options: CategoryOptions;
  readonly #ports: CategoryPorts;
  readonly #chunks: ChunkList;
  readonly #groups: GroupBook;
  readonly #indexes: IndexAllocator;
  readonly #producers: ProducerBook;
  readonly #writer: CategoryWriter;
  readonly #copies: ChunkCopies;
  readonly #filter: DuplicateFilter;
  readonly #acks: GroupAcks;
  readonly #damaged: DamagedChunks;
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
    this.view = new CategoryView({
      nodeName: options.nodeName,
      chunks: opened.chunks,
      groups: opened.groups,
      firstMissing: (owner) => ports.listener().firstMissing(options.name, owner),
    });
    const onDurable = (chunk: string): Promise<boolean> => this.#archiveProducers(chunk);
    this.#writer = new CategoryWriter(options, {
      ...ports,
      createChunk: () => this.#createChunk(),
      onStored: (chunk, record) => {
        this.traffic.writtenBytes += record.byteCount;
        this.#producers.add(chunk, record);
      },
      onCommitted: () => ports.listener().ownGrown(this),
      onSealed: (chunk) => {
        this.#ports.log.debug('Sealed a chunk.', {
          category: this.name,
          chunk: chunk.name,
          bytes: chunk.size,
        });
        this.#noteChanged(chunk);
      },
      onDurable,
    });
    this.#filter = new DuplicateFilter(this.#writer, this.#producers);
    this.#acks = new GroupAcks({
      category: options.name,
      nodeName: options.nodeName,
      groups: opened.groups,
      chunks: opened.chunks,
      listedBefore: () => this.#listedBefore,
      knowsOwnIndexes: () => this.#indexes.first === 0,
      hiddenIndexes: () => this.#hiddenIndexes(),
      seal: () => this.seal(),
      syncRemovals: () => this.#makeRemovalsDurable(),
      remove: (chunk) => this.#removeChunk(chunk),
      onChanged: () => {
        this.view.noteChange();
        ports.listener().acksChanged(this);
      },
    });
    // Past the filter, which would take every batch with a stamp for a repetition.
    const append = (batch: Batch): Promise<unknown> =>
      new Promise((stored, failed) => this.#writer.submit({ ...batch, stored, failed }));
    const syncOwn = (): Promise<void> => this.#writer.sync();
    this.#damaged = new DamagedChunks({
      ...ports,
      quarantineDirectory: options.quarantineDirectory,
      append,
      sync: syncOwn,
      exclusively: (task) => this.#acks.exclusively(task),
      forget: (chunk) => this.#forget(chunk),
      isHeldElsewhere: (chunk) => ports.listener().isHeldElsewhere(options.name, chunk),
    });
    this.#copies = new ChunkCopies({
      ...ports,
      category: options.name,
      home: options.home,
      chunks: opened.chunks,
      isAckedByAll: (chunk) => this.view.isAckedByAll(chunk),
      ackedSize: ({ owner, index }) => this.#groups.sizes.find(owner, index),
      makeDirectory: () => this.#makeDirectory(),
      onStored: (chunk, record) => {
        this.traffic.copiedBytes += record.byteCount;
        this.#producers.add(chunk, record);
      },
      onDurable,
      onChanged: (chunk) => this.#noteCopy(chunk),
      onUnwanted: () => void this.#acks.sweep(),
      append,
      syncOwn,
      sealOwn: () => this.seal(),
      quarantine: (chunk, reason) =>
        this.#damaged.quarantine(chunk, chunkFiles(options, chunk.name), reason),
    });
    for (const { chunk, records } of opened.copies) this.#copies.adopt(chunk, records);
  }

  /** Reads what is on disk, and mends and saves what a crash left. */
  static async open(options: CategoryOptions, ports: CategoryPorts): Promise<Category> {
    const opened = await openCategory(options, ports);
    const category = new Category(options, ports, opened);
    for (const files of opened.damaged) await category.#damaged.salvage(files);
    // A copy that is acknowledged may have more than that; it is looked at before it goes.
    if (opened.copies.length > 0) await category.#acks.sweep();
    return category;
  }

  /** Tells whether anything was ever written to the category on this node. */
  get exists(): boolean {
    return this.#directoryExists;
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

  /**
   * Makes the group's acknowledgement a condition for removing chunks; durable when it resolves. A group
   * that is registered already stays as it is.
   *
   * @param from `latest` counts everything that is there as acknowledged by it; for that, the open chunk is
   *   sealed. What every group has acknowledged then is removed: as the first group, it frees all of that
   * @param generation the group's, where nodes have agreed on it
   * @returns what that freed; `undefined` when the group was registered before
   *
   * Throws `too_many_groups` for one more than there may be, unless nodes have agreed on it.
   */
  registerGroup(
    group: string,
    from: 'earliest' | 'latest' = 'earliest',
    generation?: number,
  ): Promise<HeldChunks | undefined> {
    return this.#acks.register(group, from, generation);
  }

  /** As `GroupAcks.checkRoomFor`. */
  checkRoomForGroup(group: string): void {
    this.#acks.checkRoomFor(group);
  }

  /**
   * Forgets the group, and removes the chunks that only it still held; durable when it resolves.
   *
   * @param generation the group's, where nodes have agreed on it
   * @returns what that freed; `undefined` when there was no such group
   */
  removeGroup(group: string, generation?: number): Promise<HeldChunks | undefined> {
    return this.#acks.removeGroup(group, generation);
  }

  /** The groups and what they have acknowledged, to be looked at. */
  get acks(): Pick<GroupBook, 'states' | 'sizes'> {
    return this.#groups;
  }

  /** Takes in what another node knows of groups and acknowledgements; durable when it resolves. */
  mergeAcks(foreign: ForeignAcks): Promise<void> {
    return this.#acks.merge(foreign);
  }

  /**
   * Forgets the sizes of acknowledged chunks, with lower numbers, that every peer knows. Those of chunks that are
   * still here, or that some group has still to acknowledge, say what of a copy may go with it, and stay.
   */
  forgetAckedSizes(beforeNumber: number): void {
    this.#groups.forgetSizesBefore(beforeNumber, (owner, index) =>
      this.#acks.needsSize(owner, index),
    );
  }

  /**
   * Records that the group has processed a sealed chunk up to `size`, and removes the chunk when every
   * group has. The acknowledgement is durable when the promise resolves, and may be repeated.
   *
   * Throws `chunk_not_found`, `chunk_open`, `ack_size_too_small` when the chunk is longer than `size`, or
   * `too_many_groups`.
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

  /** As `ChunkCopies.take`. */
  take(received: ReceivedBatches): Promise<TakeOutcome> {
    return this.#copies.take(received);
  }

  /** As `ChunkCopies.seal`. */
  sealCopy(name: ChunkName, seal: SealRecord): Promise<SealOutcome> {
    return this.#copies.seal(name, seal);
  }

  /** Makes durable what was taken of all chunks that peers send. Throws `storage_failed`. */
  syncCopies(): Promise<void> {
    return this.#copies.syncAll();
  }

  /** The chunks that peers may add to. */
  get copies(): Iterable<Chunk> {
    return this.#copies.open;
  }

  /** The CRC-32 of what is here of a chunk that peers send; `undefined` when it is no such chunk. */
  crcOfCopy(chunkName: string): number | undefined {
    return this.#copies.crcOf(chunkName);
  }

  /** No peer has more of this node's own chunk of an earlier start: makes it what it is now. */
  async endRecovery(chunkName: string): Promise<void> {
    await this.#copies.sealAsItIs(chunkName);
    this.#ports.listener().ownGrown(this);
  }

  /** All that this node wrote before its disk was lost is here again, or acknowledged; durable when it resolves. */
  markWhole(): Promise<void> {
    return this.#acks.exclusively(() => this.#indexes.markWhole());
  }

  /** As `IndexAllocator.first`: above 0 while own chunks may be missing here that peers have. */
  get firstOwnIndex(): number {
    return this.#indexes.first;
  }

  /** The index of this node's next chunk: every one that it has used is below. */
  get nextOwnIndex(): number {
    return this.#indexes.next;
  }

  /** To be called when other chunks are missing than before. */
  noteMissing(): void {
    this.view.noteChange();
  }

  /** Gives up sealed chunks of an owner beyond the limits, for all groups; durable when it resolves. */
  expire(limits: RetentionLimits, owner = this.#options.nodeName): Promise<void> {
    return this.#acks.exclusively(async () => {
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

  /** As `DamagedChunks.check`. */
  check(chunk: Chunk, pace: Pace): Promise<void> {
    return this.#damaged.check(chunk, chunkFiles(this.#options, chunk.name), pace);
  }

  /** Damaged chunks of which the intact batches could not be stored again yet; no reader sees them. */
  get hiddenChunks(): readonly string[] {
    return this.#damaged.hiddenNames;
  }

  /** Bytes that were given up since this start because they were too old or too much. */
  get expiredBytes(): number {
    return this.#expiredBytes;
  }

  /** Writes and makes durable what was accepted, seals, and refuses what comes later. */
  async close(): Promise<void> {
    await this.#copies.close();
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
    return this.#damaged.hidden.flatMap(({ owner, index }) => (owner === nodeName ? index : []));
  }

  /**
   * Before the list of groups changes: what is gone must not come back with a power failure when it is not known
   * any more that all who had to had acknowledged it.
   */
  async #makeRemovalsDurable(): Promise<void> {
    if (this.#directoryExists) await this.#ports.disk.syncDirectory(this.#options.home.directory);
  }

  async #removeChunk(chunk: Chunk): Promise<void> {
    try {
      await this.#copies.retire(chunk);
      this.#forget(chunk);
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
    this.#noteChanged(chunk);
  }

  async #createChunk(): Promise<ChunkWriter> {
    const { disk, clock } = this.#ports;
    const { home, nodeName } = this.#options;
    try {
      await this.#makeDirectory();
      const index = await this.#indexes.take();
      const chunk = Chunk.open({ owner: nodeName, index }, home);
      const writer = await ChunkWriter.create(disk, clock, chunk);
      this.#chunks.add(chunk);
      this.#listedBefore = index + 1;
      this.#noteChanged(chunk);
      return writer;
    } catch (error) {
      throw writeError(error, home.directory);
    }
  }

  async #makeDirectory(): Promise<void> {
    if (this.#directoryExists) return;
    await this.#ports.disk.makeDirectory(this.#options.home.directory);
    this.#directoryExists = true;
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

  #noteCopy(chunk: Chunk): void {
    this.#damaged.forgetHidden(chunk.name);
    this.#noteChanged(chunk);
  }

  #noteChanged(chunk: Chunk): void {
    this.view.noteChange();
    this.#ports.listener().chunkChanged(this, chunk);
  }

  #warn(sentence: string, error: unknown, fields: LogFields = {}): void {
    this.#ports.log.warn(sentence, {
      category: this.name,
      ...fields,
      error: errorMessage(error),
    });
  }
}

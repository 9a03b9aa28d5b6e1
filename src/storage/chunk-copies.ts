import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import { Mutex } from '../common/mutex.js';
import { type ChunkName, formatChunkName } from '../protocol/names.js';
import type { Batch } from './batch.js';
import type { BatchRecord, SealRecord } from './batch-index.js';
import { Chunk, type ChunkHome } from './chunk.js';
import type { ChunkList } from './chunk-list.js';
import { ChunkWriter } from './chunk-writer.js';
import type { DamageCounts } from './damage-counts.js';
import type { Disk } from './disk.js';
import { writeError } from './disk-error.js';
import type { DiskGuard } from './disk-guard.js';
import type { Flusher } from './flusher.js';
import { OpenWriters } from './open-writers.js';
import { readBatch } from './quarantine.js';
import type { RecordedBatches } from './recorded-batches.js';
import { endOf, readIndex } from './recovery.js';

export interface ChunkCopiesPorts {
  readonly category: string;
  readonly home: ChunkHome;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Logger;
  readonly flusher: Flusher;
  readonly guard: DiskGuard;
  readonly damage: DamageCounts;
  readonly chunks: ChunkList;
  readonly isAckedByAll: (name: ChunkName) => boolean;
  /** The size at which the chunk was acknowledged; `undefined` when nobody knows it any more. */
  readonly ackedSize: (name: ChunkName) => number | undefined;
  /** Makes the directory of the category. */
  readonly makeDirectory: () => Promise<void>;
  /** Called for each batch that is in a copy now. */
  readonly onStored: (chunk: string, record: BatchRecord) => void;
  readonly onDurable: (chunk: string) => Promise<boolean>;
  /** Called when a copy appears or is sealed. */
  readonly onChanged: (chunk: Chunk) => void;
  /** Called when a chunk was acknowledged by all while it was being received. */
  readonly onUnwanted: () => void;
  /** Appends to this node's own chunks, whatever was stored before under the same stamp. */
  readonly append: (batch: Batch) => Promise<unknown>;
  /** Makes what was appended durable. */
  readonly syncOwn: () => Promise<void>;
  /** Seals this node's own open chunk. */
  readonly sealOwn: () => Promise<unknown>;
  /** Moves a chunk aside that is not what its owner has written; it is not in the list then. */
  readonly quarantine: (chunk: Chunk, reason: string) => Promise<void>;
}

/** Batches of a chunk as a peer sends them. */
export interface ReceivedBatches extends RecordedBatches {
  readonly chunk: ChunkName;
  /** Where the first one starts in the chunk. */
  readonly offset: number;
}

/**
 * What became of batches that were sent: they are in the copy, which has this size now; or they do not begin where
 * the copy ends, which has this size; or nobody wants them, because the chunk is whole here or acknowledged.
 */
export type TakeOutcome =
  | { readonly kind: 'taken' | 'misplaced'; readonly size: number }
  | { readonly kind: 'unwanted' };

/** Whether a chunk is what it is for good now, lacks bytes still, or is not wanted. */
export type SealOutcome = 'sealed' | 'incomplete' | 'unwanted';

/**
 * The copies of chunks that peers send this node: those of other owners, and those of its own that it wrote before
 * its last start, of which a peer may have more than it. All work on them goes through one lane.
 *
 *     absent --first batches--> open --seal, with all bytes here--> sealed --acknowledged--> removed
 *
 * A copy is always a prefix of what its owner wrote. Bytes that a copy has and the chunk for good has not (its
 * owner lost them in a power failure, and said so by its seal) are appended to this node's own chunks before they
 * are cut off: they may come twice then, but are not lost.
 */
export class ChunkCopies {
  readonly #ports: ChunkCopiesPorts;
  readonly #lane = new Mutex();
  readonly #open: OpenWriters;
  /** By the name of the chunk. */
  readonly #writers = new Map<string, ChunkWriter>();

  constructor(ports: ChunkCopiesPorts) {
    this.#ports = ports;
    this.#open = new OpenWriters({ ...ports, exclusively: (task) => this.#lane.run(task) });
  }

  /** Goes on with what an earlier start has left; the chunk is in the list. */
  adopt(chunk: Chunk, records: readonly BatchRecord[]): void {
    const { disk, clock } = this.#ports;
    this.#writers.set(chunk.name, ChunkWriter.reopen(disk, clock, chunk, records));
  }

  /** The CRC-32 of what an open copy has. */
  crcOf(chunkName: string): number | undefined {
    return this.#writers.get(chunkName)?.crc;
  }

  /**
   * Adds batches to a copy; written when it resolves, durable after `syncAll`. Throws `disk_full`, `storage_failed`, or
   * `invalid_frame` when they are not what their records say; nothing is added then.
   */
  take(received: ReceivedBatches): Promise<TakeOutcome> {
    return this.#lane.run(async () => {
      const { chunk: name, offset, byteCount, records } = received;
      const { chunks, guard, isAckedByAll, onStored, onUnwanted } = this.#ports;
      const chunkName = formatChunkName(name);
      const found = chunks.get(chunkName);
      const isOwnOpen = found?.state === 'open' && !this.#writers.has(chunkName);
      if (isAckedByAll(name) || found?.state === 'sealed' || isOwnOpen) return { kind: 'unwanted' };
      const size = found?.size ?? 0;
      if (offset !== size) return { kind: 'misplaced', size };
      const refusal = guard.refusal();
      if (refusal !== undefined) throw refusal;
      const writer = this.#writers.get(chunkName) ?? (await this.#create(name));
      // What could not be cut off after a failed write is cut off by a sync.
      if (writer.tornTail) await this.#open.sync(writer);
      await writer.take(received);
      this.#open.mark(writer);
      guard.noteWritten(byteCount);
      for (const record of records) onStored(chunkName, record);
      if (isAckedByAll(name)) onUnwanted();
      return { kind: 'taken', size: writer.chunk.size };
    });
  }

  /** Makes durable what was taken. Throws `storage_failed`. */
  syncAll(): Promise<void> {
    return this.#open.syncAll();
  }

  /** The chunks that are not whole, or not known to be. */
  get open(): Iterable<Chunk> {
    return [...this.#writers.values()].map(({ chunk }) => chunk);
  }

  /**
   * Makes a chunk what it is for good, whatever it was here: cuts off what is too much, after appending that
   * elsewhere. A copy that is not what the seal says is moved aside. Throws `disk_full` or `storage_failed`.
   */
  seal(name: ChunkName, seal: SealRecord): Promise<SealOutcome> {
    return this.#lane.run(async () => {
      const { chunks, isAckedByAll, sealOwn } = this.#ports;
      if (isAckedByAll(name)) return 'unwanted';
      const chunk = chunks.get(formatChunkName(name));
      if (chunk === undefined || seal.size === 0) return 'incomplete';
      if (chunk.state === 'open' && !this.#writers.has(chunk.name)) await sealOwn();
      if (chunk.sealRecord?.size === seal.size && chunk.sealRecord.crc === seal.crc)
        return 'sealed';
      const writer = this.#writers.get(chunk.name) ?? (await this.#unseal(chunk));
      if (chunk.size > seal.size) await this.#moveSurplus(writer, seal.size);
      if (chunk.size < seal.size) return 'incomplete';
      if (writer.crc !== seal.crc) {
        this.#ports.damage.divergentChunks += 1;
        await this.#close(writer);
        await this.#ports.quarantine(chunk, 'it is not what its seal says');
        return 'incomplete';
      }
      chunk.seal(seal);
      this.#end(writer);
      return 'sealed';
    });
  }

  /** Makes a chunk that no peer has more of what it is now. */
  sealAsItIs(chunkName: string): Promise<void> {
    return this.#lane.run(async () => {
      const writer = this.#writers.get(chunkName);
      if (writer === undefined) return;
      writer.seal(this.#ports.clock.wallMs());
      this.#end(writer);
    });
  }

  /**
   * Lets go of a chunk that every group has acknowledged, so that its files can be removed. What it has beyond
   * what was acknowledged is appended elsewhere before. Throws `disk_full` or `storage_failed`.
   */
  retire(chunk: Chunk): Promise<void> {
    return this.#lane.run(async () => {
      const writer = this.#writers.get(chunk.name);
      if (writer === undefined) return;
      const ackedSize = this.#ports.ackedSize(chunk);
      if (chunk.size > (ackedSize ?? 0)) await this.#moveSurplus(writer, ackedSize ?? 0);
      await this.#close(writer);
    });
  }

  /** Makes durable what was taken. To be called when nothing is taken any more. */
  async close(): Promise<void> {
    await this.#lane.run(async () => undefined);
    await this.#open.flush();
    await this.#lane.run(async () => {
      for (const writer of this.#writers.values()) await writer.close();
    });
  }

  async #create(name: ChunkName): Promise<ChunkWriter> {
    const { disk, clock, home, chunks, makeDirectory, onChanged } = this.#ports;
    try {
      await makeDirectory();
      const chunk = Chunk.open(name, home);
      const writer = await ChunkWriter.create(disk, clock, chunk);
      this.#writers.set(chunk.name, writer);
      chunks.add(chunk);
      onChanged(chunk);
      return writer;
    } catch (error) {
      throw writeError(error, home.directory);
    }
  }

  /** Makes a sealed chunk one that can grow or shrink again: its owner did not know all of it. */
  async #unseal(chunk: Chunk): Promise<ChunkWriter> {
    const { disk, clock } = this.#ports;
    const records = (await readIndex(disk, chunk.indexPath))?.records ?? [];
    chunk.unseal();
    const writer = ChunkWriter.reopen(disk, clock, chunk, records);
    this.#writers.set(chunk.name, writer);
    // Cuts off the seal behind the records.
    await writer.shrinkTo(records);
    this.#open.mark(writer);
    return writer;
  }

  /** Appends what lies behind `size` to this node's own chunks, and cuts it off when that is durable. */
  async #moveSurplus(writer: ChunkWriter, size: number): Promise<void> {
    const { disk, log, category, damage, append, syncOwn } = this.#ports;
    const { chunk } = writer;
    const records = (await readIndex(disk, chunk.indexPath))?.records ?? [];
    const kept = records.filter((record) => endOf([record]) <= size);
    const surplus = records.slice(kept.length).filter((record) => endOf([record]) <= chunk.size);
    const file = await disk.openFile(chunk.path, 'read');
    try {
      for (const record of surplus) {
        const bytes = await readBatch(file, record);
        const { byteCount, stamp } = record;
        await append({ pieces: [bytes], byteCount, sync: false, stamp });
        damage.salvagedBatches += 1;
        damage.salvagedBytes += byteCount;
      }
    } finally {
      await file.close();
    }
    await syncOwn();
    log.warn('Stored again what a copy has and its owner has lost.', {
      category,
      chunk: chunk.name,
      bytes: chunk.size - endOf(kept),
    });
    await writer.shrinkTo(kept);
    this.#open.mark(writer);
  }

  #end(writer: ChunkWriter): void {
    this.#writers.delete(writer.chunk.name);
    this.#open.mark(writer);
    this.#ports.onChanged(writer.chunk);
  }

  async #close(writer: ChunkWriter): Promise<void> {
    this.#writers.delete(writer.chunk.name);
    this.#open.forget(writer);
    await writer.close();
  }
}

import { dirname } from 'node:path';
import type { Clock } from '../common/clock.js';
import { combineCrc32, crc32OfPieces } from '../common/crc32.js';
import { Mutex } from '../common/mutex.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { AppendFile } from './append-file.js';
import { removeIfThere } from './atomic-file.js';
import type { Batch } from './batch.js';
import {
  type BatchRecord,
  crcOfRecords,
  formatIndex,
  formatRecord,
  formatSeal,
  indexHeader,
} from './batch-index.js';
import type { Chunk } from './chunk.js';
import { type Disk, hasSystemCode } from './disk.js';
import { writeError } from './disk-error.js';
import { checkRecorded, type RecordedBatches } from './recorded-batches.js';

/** Combining two checksums takes as long as computing one over so many bytes (1.5 us here). */
const combineBytesMin = 8 * 1024;

/** After so long without a batch the files are closed: a node may have more categories than descriptors. */
const idleMs = 500;

/**
 * Writes one chunk and the index of its batches until they are sealed and durable. Calls must come one after
 * another; only `sync` may run beside them.
 *
 * The bytes of a batch are written before its line in the index, and a batch counts as stored when both are:
 * what a start finds in a chunk beyond its index belongs to no answered batch.
 */
export class ChunkWriter {
  readonly chunk: Chunk;
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #data: AppendFile;
  readonly #index: AppendFile;
  readonly #syncLane = new Mutex();
  /** Of all bytes of the chunk. */
  #crc: number;
  #isNameSynced = false;
  #isAppending = false;
  #isDirty = false;
  #lastAppendMs = 0;
  #tornTail = false;
  #syncFailure: ChukchaError | undefined;
  #closed = false;

  private constructor(
    disk: Disk,
    clock: Clock,
    chunk: Chunk,
    files: { readonly data: AppendFile; readonly index: AppendFile },
    crc: number,
  ) {
    this.#disk = disk;
    this.#clock = clock;
    this.chunk = chunk;
    this.#data = files.data;
    this.#index = files.index;
    this.#crc = crc;
  }

  /**
   * Creates the chunk's file and its index, which must not exist. The name of the index is durable before there
   * is a chunk: no crash leaves one of which nobody knows the batches.
   */
  static async create(disk: Disk, clock: Clock, chunk: Chunk): Promise<ChunkWriter> {
    const index = await disk.createFile(chunk.indexPath);
    try {
      await disk.syncDirectory(dirname(chunk.indexPath));
      const data = new AppendFile(disk, clock, chunk.path, await disk.createFile(chunk.path));
      const files = { data, index: new AppendFile(disk, clock, chunk.indexPath, index) };
      return new ChunkWriter(disk, clock, chunk, files, 0);
    } catch (error) {
      await index.close();
      // An index without a chunk means nothing, so one that stays does no harm.
      await removeIfThere(disk, chunk.indexPath).catch(() => undefined);
      throw error;
    }
  }

  /** Goes on with a chunk that an earlier start has left with these batches, and nothing behind them. */
  static reopen(
    disk: Disk,
    clock: Clock,
    chunk: Chunk,
    records: readonly BatchRecord[],
  ): ChunkWriter {
    const indexBytes = formatIndex(records).length;
    const files = {
      data: new AppendFile(disk, clock, chunk.path, undefined, chunk.size),
      index: new AppendFile(disk, clock, chunk.indexPath, undefined, indexBytes),
    };
    return new ChunkWriter(disk, clock, chunk, files, crcOfRecords(records));
  }

  /** The CRC-32 of all bytes of the chunk. */
  get crc(): number {
    return this.#crc;
  }

  /** The bytes of the index, which with small batches grows faster than the chunk. */
  get indexByteCount(): number {
    return this.#index.size;
  }

  /** Tells whether the end of a file could not be mended after a failed write, so that nothing may follow. */
  get tornTail(): boolean {
    return this.#tornTail;
  }

  /** Whether everything is durable and the files are closed: for good, or until the next batch. */
  get isAtRest(): boolean {
    const isClosed = !this.#data.isOpen && !this.#index.isOpen;
    return isClosed && !this.#isAppending && (this.#closed || this.chunk.state === 'open');
  }

  /**
   * Appends the batches, all or none, and makes them visible to readers. Returns what the index says of
   * them. Throws `disk_full` when there is no room, `storage_failed` for other errors of the disk.
   */
  append(batches: readonly Batch[]): Promise<readonly BatchRecord[]> {
    const byteCount = batches.reduce((sum, batch) => sum + batch.byteCount, 0);
    return this.#append(batches, byteCount, (pieces) => {
      const { records, crc } = this.#describe(batches, pieces, byteCount);
      return { records, crc, lines: formatLines(records) };
    });
  }

  /** As `append`, of batches that begin where the chunk ends. Throws `invalid_frame` when they are not as recorded. */
  async take(batches: RecordedBatches): Promise<void> {
    const { records, lines, byteCount } = batches;
    await this.#append([batches], byteCount, (pieces) => {
      checkRecorded(records, pieces, this.chunk.size);
      return { records, crc: this.#crcWith(pieces, batches), lines };
    });
  }

  /** Seals the chunk as it is; durable only with `writeSeal`. */
  seal(sealedAtMs: number): void {
    this.chunk.seal({ size: this.chunk.size, crc: this.#crc, sealedAtMs });
  }

  /** Gives up the batches behind these, which are the chunk's first ones; durable with the next `sync`. */
  async shrinkTo(records: readonly BatchRecord[]): Promise<void> {
    const last = records.at(-1);
    const size = last === undefined ? 0 : last.offset + last.byteCount;
    try {
      this.#isDirty = true;
      await this.#data.shrink(size);
      await this.#index.shrink(formatIndex(records).length);
    } catch (error) {
      throw writeError(error, this.chunk.path, 'its end was not cut off');
    }
    this.#crc = crcOfRecords(records);
    this.chunk.shrink(size);
  }

  /**
   * Makes all that was appended before the call durable, and the chunk's name as well. Once it has failed it
   * fails for ever: the kernel reports a lost write once, and the next `fdatasync` would claim success.
   */
  sync(): Promise<void> {
    return this.#syncLane.run(async () => {
      if (this.#syncFailure !== undefined) throw this.#syncFailure;
      if (this.#closed) return;
      try {
        await this.#syncOnce();
      } catch (cause) {
        // Without a free descriptor the directory could not even be opened; nothing was lost by that.
        if (hasSystemCode(cause, 'EMFILE', 'ENFILE')) throw notYetDurable(cause, this.chunk.path);
        this.#syncFailure = syncError(cause, this.chunk.path);
        throw this.#syncFailure;
      }
    });
  }

  /** Whether a sync has failed, so that nobody knows what the disk has. */
  get hasFailed(): boolean {
    return this.#syncFailure !== undefined;
  }

  /**
   * Ends the index of a sealed chunk that is durable with the record of that; an empty one needs none. A disk
   * without room for it is no failure: the next start checks the chunk batch by batch instead. After any other
   * error nobody knows what the disk has, as after a failed `sync`.
   */
  writeSeal(): Promise<void> {
    return this.#syncLane.run(async () => {
      const { size, sealRecord, state } = this.chunk;
      if (this.#closed || sealRecord === undefined || size === 0 || state === 'removed') return;
      try {
        this.#index.advance(await this.#writeLines(formatSeal(sealRecord)));
        await this.#index.sync();
      } catch (error) {
        await this.#cutBack();
        if (hasSystemCode(error, 'ENOSPC', 'EDQUOT') || this.chunk.state !== 'sealed') return;
        // The index of an idle chunk could not be opened; nothing was lost by that, and the next flush tries again.
        if (hasSystemCode(error, 'EMFILE', 'ENFILE')) throw notYetDurable(error, this.#index.path);
        this.#syncFailure = syncError(error, this.#index.path);
        throw this.#syncFailure;
      }
    });
  }

  /** Closes the files when they are durable and were not written to of late; a batch opens them again. */
  closeIfIdle(): Promise<void> {
    return this.#syncLane.run(async () => {
      const isIdle = this.#clock.monotonicMs() - this.#lastAppendMs >= idleMs;
      if (this.#isAppending || this.#isDirty || !isIdle) return;
      await settleAll([this.#data.close(), this.#index.close()]);
    });
  }

  /** Closes the files without making them durable; idempotent. */
  close(): Promise<void> {
    return this.#syncLane.run(async () => {
      if (this.#closed) return;
      this.#closed = true;
      await settleAll([this.#data.close(), this.#index.close()]);
    });
  }

  async #append(
    sources: readonly { readonly pieces: readonly Uint8Array[] }[],
    byteCount: number,
    describe: (pieces: readonly Uint8Array[]) => Described,
  ): Promise<readonly BatchRecord[]> {
    // Before anything else: from now on the files are in use, and are not closed for being idle.
    this.#isAppending = true;
    try {
      const { records, crc, lines } = await this.#data.write(sources, byteCount, describe);
      const isFirst = this.#index.size === 0;
      const lineBytes = await this.#writeLines(isFirst ? indexHeader + lines : lines);
      // Only now: a sync that ran beside the writes has cleared it, and may have missed them.
      this.#isDirty = true;
      this.#data.advance(byteCount);
      this.#index.advance(lineBytes);
      this.#crc = crc;
      this.chunk.grow(byteCount);
      return records;
    } catch (error) {
      // What is cut off must not come back with a power failure either.
      this.#isDirty = true;
      await this.#cutBack();
      throw writeError(error, this.chunk.path);
    } finally {
      this.#isAppending = false;
      this.#lastAppendMs = this.#clock.monotonicMs();
    }
  }

  /** The checksum of the chunk with batches whose own ones are known. */
  #crcWith(pieces: readonly Uint8Array[], { records, byteCount }: RecordedBatches): number {
    if (byteCount < combineBytesMin * records.length) return crc32OfPieces(pieces, this.#crc);
    return records.reduce(
      (crc, record) => combineCrc32(crc, record.crc, record.byteCount),
      this.#crc,
    );
  }

  /** The records of batches that follow what is there, and the checksum of the chunk with them. */
  #describe(
    batches: readonly Batch[],
    written: readonly Uint8Array[],
    writtenByteCount: number,
  ): { records: BatchRecord[]; crc: number } {
    const isSmall = writtenByteCount < combineBytesMin * batches.length;
    let { size: offset } = this.chunk;
    let chunkCrc = isSmall ? crc32OfPieces(written, this.#crc) : this.#crc;
    const records: BatchRecord[] = [];
    for (const { pieces, byteCount, stamp } of batches) {
      const crc = crc32OfPieces(pieces);
      records.push({ offset, byteCount, crc, stamp });
      if (!isSmall) chunkCrc = combineCrc32(chunkCrc, crc, byteCount);
      offset += byteCount;
    }
    return { records, crc: chunkCrc };
  }

  /** Returns the bytes of the lines. */
  async #writeLines(lines: string): Promise<number> {
    const bytes = Buffer.from(lines, 'latin1');
    await this.#index.write([{ pieces: [bytes] }], bytes.length, () => undefined);
    return bytes.length;
  }

  async #syncOnce(): Promise<void> {
    if (this.#tornTail) await this.#truncate();
    if (this.#isDirty) {
      this.#isDirty = false;
      await settleAll([this.#data.sync(), this.#index.sync()]);
    }
    if (this.#isNameSynced) return;
    await this.#syncName();
    this.#isNameSynced = true;
  }

  /**
   * Without a free descriptor the files give up theirs for the directory: they are durable by now, and the next
   * batch opens them again. Else the writers of many categories would hold all there are, and each wait for one.
   */
  async #syncName(): Promise<void> {
    const directory = dirname(this.#data.path);
    try {
      await this.#disk.syncDirectory(directory);
    } catch (error) {
      const isBusy = this.#isAppending || this.#isDirty;
      if (!hasSystemCode(error, 'EMFILE', 'ENFILE') || isBusy) throw error;
      await settleAll([this.#data.close(), this.#index.close()]);
      await this.#disk.syncDirectory(directory);
    }
  }

  async #cutBack(): Promise<void> {
    try {
      await this.#truncate();
    } catch {
      // It is tried again with the next sync; the caller seals the chunk, so that nothing follows.
      this.#tornTail = true;
    }
  }

  async #truncate(): Promise<void> {
    await settleAll([this.#data.cutBack(), this.#index.cutBack()]);
    this.#tornTail = false;
  }
}

/** What is known of bytes that are being written. */
interface Described {
  readonly records: readonly BatchRecord[];
  /** The checksum of the chunk with them. */
  readonly crc: number;
  readonly lines: string;
}

function formatLines(records: readonly BatchRecord[]): string {
  let lines = '';
  for (const record of records) lines += formatRecord(record);
  return lines;
}

/** Waits for all, also when one has failed: nothing may be under way when a file is closed. */
async function settleAll(promises: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(promises);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

function notYetDurable(cause: unknown, path: string): ChukchaError {
  return new ChukchaError(
    'storage_failed',
    `The process has no file descriptor left to make ${path} durable (${errorMessage(cause)}): raise its limit ` +
      '(ulimit -n); the batch was stored, and is made durable as soon as there is one.',
    { cause },
  );
}

function syncError(cause: unknown, path: string): ChukchaError {
  return new ChukchaError(
    'storage_failed',
    `${path} could not be made durable (${errorMessage(cause)}), so what was just written may be lost: ` +
      'the node takes no more writes; look at the disk and start it again.',
    { cause },
  );
}

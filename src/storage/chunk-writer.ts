import { dirname } from 'node:path';
import type { Clock } from '../common/clock.js';
import { combineCrc32, crc32OfPieces } from '../common/crc32.js';
import { Mutex } from '../common/mutex.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { removeIfThere } from './atomic-file.js';
import type { Batch } from './batch.js';
import { type BatchRecord, formatRecord, formatSeal, indexHeader } from './batch-index.js';
import type { Chunk } from './chunk.js';
import { type Disk, type DiskFile, hasSystemCode } from './disk.js';
import { writeError } from './disk-error.js';

/**
 * Up to this size a write into the page cache takes less time (about 20 us) than the way to the thread
 * pool and back, so it is done at once.
 */
const writeNowBytesMax = 64 * 1024;

/** A write at once that took longer met a disk that makes writers wait; then the loop must not wait with it. */
const writeNowSlowMs = 5;
const writeNowPauseMs = 1_000;

/** Combining two checksums takes as long as computing one over so many bytes (1.5 us here). */
const combineBytesMin = 8 * 1024;

/** A file that only grows, with what is known to be whole in it. */
interface GrowingFile {
  readonly file: DiskFile;
  readonly path: string;
  /** What stands behind it is torn and to be cut off. */
  size: number;
}

/**
 * Writes one chunk of this node and the index of its batches, from their creation until they are sealed and
 * durable. Calls must come one after another; only `sync` may run beside them.
 *
 * The bytes of a batch are written before its line in the index, and a batch counts as stored when both are:
 * what a start finds in a chunk beyond its index belongs to no answered batch.
 */
export class ChunkWriter {
  readonly chunk: Chunk;
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #data: GrowingFile;
  readonly #index: GrowingFile;
  readonly #syncLane = new Mutex();
  /** Of all bytes of the chunk. */
  #crc = 0;
  #directoriesSynced = false;
  #writeNowPausedUntilMs = 0;
  #tornTail = false;
  #syncFailure: ChukchaError | undefined;
  #closed = false;

  private constructor(disk: Disk, clock: Clock, chunk: Chunk, data: DiskFile, index: DiskFile) {
    this.#disk = disk;
    this.#clock = clock;
    this.chunk = chunk;
    this.#data = { file: data, path: chunk.path, size: 0 };
    this.#index = { file: index, path: chunk.indexPath, size: 0 };
  }

  /** Creates the chunk's file and its index, which must not exist. */
  static async create(disk: Disk, clock: Clock, chunk: Chunk): Promise<ChunkWriter> {
    const index = await disk.createFile(chunk.indexPath);
    try {
      return new ChunkWriter(disk, clock, chunk, await disk.createFile(chunk.path), index);
    } catch (error) {
      await index.close();
      // An index without a chunk means nothing, so one that stays does no harm.
      await removeIfThere(disk, chunk.indexPath).catch(() => undefined);
      throw error;
    }
  }

  /** The bytes of the index, which with small batches grows faster than the chunk. */
  get indexByteCount(): number {
    return this.#index.size;
  }

  /** Tells whether the end of a file could not be mended after a failed write, so that nothing may follow. */
  get tornTail(): boolean {
    return this.#tornTail;
  }

  /**
   * Appends the batches, all or none, and makes them visible to readers. Returns what the index says of
   * them. Throws `disk_full` when there is no room, `storage_failed` for other errors of the disk.
   */
  async append(batches: readonly Batch[]): Promise<readonly BatchRecord[]> {
    const [only] = batches;
    const pieces =
      batches.length === 1 && only !== undefined
        ? only.pieces
        : batches.flatMap((batch) => batch.pieces);
    const byteCount = batches.reduce((sum, batch) => sum + batch.byteCount, 0);
    try {
      const writing = this.#beginWrite(this.#data, pieces, byteCount);
      // While a large write is on its way, the checksums are computed beside it.
      const { records, crc } = this.#describe(batches);
      await completeWrite(this.#data, pieces, byteCount, await writing);
      const lines = Buffer.from(formatLines(records, this.#index.size === 0), 'latin1');
      const indexing = this.#beginWrite(this.#index, [lines], lines.length);
      await completeWrite(this.#index, [lines], lines.length, await indexing);
      this.#data.size += byteCount;
      this.#index.size += lines.length;
      this.#crc = crc;
      this.chunk.grow(byteCount);
      return records;
    } catch (error) {
      await this.#cutBack();
      throw writeError(error, this.chunk.path);
    }
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
      const { size, sealedAtMs, state } = this.chunk;
      if (this.#closed || sealedAtMs === undefined || size === 0 || state === 'removed') return;
      const line = Buffer.from(formatSeal({ size, crc: this.#crc, sealedAtMs }), 'latin1');
      try {
        const writing = this.#beginWrite(this.#index, [line], line.length);
        await completeWrite(this.#index, [line], line.length, await writing);
        this.#index.size += line.length;
        await this.#index.file.sync();
      } catch (error) {
        await this.#cutBack();
        if (hasSystemCode(error, 'ENOSPC', 'EDQUOT')) return;
        this.#syncFailure = syncError(error, this.#index.path);
        throw this.#syncFailure;
      }
    });
  }

  /** Closes the files without making them durable; idempotent. */
  close(): Promise<void> {
    return this.#syncLane.run(async () => {
      if (this.#closed) return;
      this.#closed = true;
      await Promise.all([this.#data.file.close(), this.#index.file.close()]);
    });
  }

  /** The records of batches that follow what is there, and the checksum of the chunk with them. */
  #describe(batches: readonly Batch[]): { records: BatchRecord[]; crc: number } {
    let { size: offset } = this.chunk;
    let chunkCrc = this.#crc;
    const records: BatchRecord[] = [];
    for (const { pieces, byteCount, stamp } of batches) {
      const crc = crc32OfPieces(pieces);
      records.push({ offset, byteCount, crc, stamp });
      chunkCrc =
        byteCount < combineBytesMin
          ? crc32OfPieces(pieces, chunkCrc)
          : combineCrc32(chunkCrc, crc, byteCount);
      offset += byteCount;
    }
    return { records, crc: chunkCrc };
  }

  /** Writes as much as one call takes, at once when that is quick. */
  #beginWrite(
    { file, size }: GrowingFile,
    pieces: readonly Uint8Array[],
    byteCount: number,
  ): number | Promise<number> {
    const startMs = this.#clock.monotonicMs();
    if (byteCount > writeNowBytesMax || startMs < this.#writeNowPausedUntilMs) {
      return file.write(pieces, size);
    }
    const written = file.writeNow(pieces, size);
    const endMs = this.#clock.monotonicMs();
    if (endMs - startMs > writeNowSlowMs) this.#writeNowPausedUntilMs = endMs + writeNowPauseMs;
    return written;
  }

  async #syncOnce(): Promise<void> {
    if (this.#tornTail) await this.#truncate();
    await settleAll([this.#data.file.sync(), this.#index.file.sync()]);
    if (this.#directoriesSynced) return;
    await settleAll(
      [this.#data, this.#index].map(({ path }) => this.#disk.syncDirectory(dirname(path))),
    );
    this.#directoriesSynced = true;
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
    await settleAll([this.#data, this.#index].map(({ file, size }) => file.truncate(size)));
    this.#tornTail = false;
  }
}

function formatLines(records: readonly BatchRecord[], isFirst: boolean): string {
  let lines = isFirst ? indexHeader : '';
  for (const record of records) lines += formatRecord(record);
  return lines;
}

/** A short write is no error yet; the next call tells why the disk took no more. */
async function completeWrite(
  { file, size }: GrowingFile,
  pieces: readonly Uint8Array[],
  byteCount: number,
  taken: number,
): Promise<void> {
  for (let written = taken; written < byteCount; ) {
    const more = await file.write(dropFirst(pieces, written), size + written);
    if (more === 0) throw new Error(`the disk took ${written} of ${byteCount} bytes`);
    written += more;
  }
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

/** The pieces without their first `byteCount` bytes. */
function dropFirst(pieces: readonly Uint8Array[], byteCount: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = byteCount;
  for (const piece of pieces) {
    if (skip >= piece.length) skip -= piece.length;
    else {
      rest.push(piece.subarray(skip));
      skip = 0;
    }
  }
  return rest;
}

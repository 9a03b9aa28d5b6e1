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

/** After so long without a batch the files are closed: a node may have more categories than descriptors. */
const idleMs = 500;

/** A file that only grows, with what is known to be whole in it. */
class GrowingFile {
  readonly path: string;
  /** What stands behind it is torn and to be cut off. */
  size = 0;
  readonly #disk: Disk;
  #file: DiskFile | undefined;

  constructor(disk: Disk, path: string, file: DiskFile) {
    this.#disk = disk;
    this.path = path;
    this.#file = file;
  }

  get isOpen(): boolean {
    return this.#file !== undefined;
  }

  async opened(): Promise<DiskFile> {
    this.#file ??= await this.#disk.openFile(this.path, 'write');
    return this.#file;
  }

  /** Does nothing to a file that was closed: whatever was written to it is durable. */
  async sync(): Promise<void> {
    await this.#file?.sync();
  }

  async cutBack(): Promise<void> {
    await this.#file?.truncate(this.size);
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
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
  #isNameSynced = false;
  #isAppending = false;
  #isDirty = false;
  #lastAppendMs = 0;
  #writeNowPausedUntilMs = 0;
  #tornTail = false;
  #syncFailure: ChukchaError | undefined;
  #closed = false;

  private constructor(disk: Disk, clock: Clock, chunk: Chunk, data: DiskFile, index: DiskFile) {
    this.#disk = disk;
    this.#clock = clock;
    this.chunk = chunk;
    this.#data = new GrowingFile(disk, chunk.path, data);
    this.#index = new GrowingFile(disk, chunk.indexPath, index);
  }

  /**
   * Creates the chunk's file and its index, which must not exist. The name of the index is durable before there
   * is a chunk: no crash leaves one of which nobody knows the batches.
   */
  static async create(disk: Disk, clock: Clock, chunk: Chunk): Promise<ChunkWriter> {
    const index = await disk.createFile(chunk.indexPath);
    try {
      await disk.syncDirectory(dirname(chunk.indexPath));
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

  /** Whether everything is durable and the files are closed: for good, or until the next batch. */
  get isAtRest(): boolean {
    const isClosed = !this.#data.isOpen && !this.#index.isOpen;
    return isClosed && !this.#isAppending && (this.#closed || this.chunk.state === 'open');
  }

  /**
   * Appends the batches, all or none, and makes them visible to readers. Returns what the index says of
   * them. Throws `disk_full` when there is no room, `storage_failed` for other errors of the disk.
   */
  async append(batches: readonly Batch[]): Promise<readonly BatchRecord[]> {
    // Before anything else: from now on the files are in use, and are not closed for being idle.
    this.#isAppending = true;
    try {
      const data = await this.#data.opened();
      const byteCount = batches.reduce((sum, batch) => sum + batch.byteCount, 0);
      const pieces = this.#writesNow(byteCount) ? joinPieces(batches) : allPieces(batches);
      const writing = this.#beginWrite(data, pieces, this.#data.size, byteCount);
      // While a large write is on its way, the checksums are computed beside it.
      const { records, crc } = this.#describe(batches, pieces, byteCount);
      await completeWrite(data, batches, this.#data.size, byteCount, await writing);
      const lineBytes = await this.#appendLines(formatLines(records, this.#index.size === 0));
      // Only now: a sync that ran beside the writes has cleared it, and may have missed them.
      this.#isDirty = true;
      this.#data.size += byteCount;
      this.#index.size += lineBytes;
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
      try {
        this.#index.size += await this.#appendLines(
          formatSeal({ size, crc: this.#crc, sealedAtMs }),
        );
        await this.#index.sync();
      } catch (error) {
        await this.#cutBack();
        if (hasSystemCode(error, 'ENOSPC', 'EDQUOT')) return;
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
  async #appendLines(lines: string): Promise<number> {
    const index = await this.#index.opened();
    const bytes = Buffer.from(lines, 'latin1');
    const { size } = this.#index;
    const taken = await this.#beginWrite(index, [bytes], size, bytes.length);
    await completeWrite(index, [{ pieces: [bytes] }], size, bytes.length, taken);
    return bytes.length;
  }

  /** Whether a write of this size is made before it returns. */
  #writesNow(byteCount: number): boolean {
    return (
      byteCount <= writeNowBytesMax && this.#clock.monotonicMs() >= this.#writeNowPausedUntilMs
    );
  }

  /** Writes as much as one call takes, at once when that is quick. */
  #beginWrite(
    file: DiskFile,
    pieces: readonly Uint8Array[],
    position: number,
    byteCount: number,
  ): number | Promise<number> {
    if (!this.#writesNow(byteCount)) return file.write(pieces, position);
    const startMs = this.#clock.monotonicMs();
    const written = file.writeNow(pieces, position);
    const endMs = this.#clock.monotonicMs();
    if (endMs - startMs > writeNowSlowMs) this.#writeNowPausedUntilMs = endMs + writeNowPauseMs;
    return written;
  }

  async #syncOnce(): Promise<void> {
    if (this.#tornTail) await this.#truncate();
    if (this.#isDirty) {
      this.#isDirty = false;
      await settleAll([this.#data.sync(), this.#index.sync()]);
    }
    if (this.#isNameSynced) return;
    await this.#disk.syncDirectory(dirname(this.#data.path));
    this.#isNameSynced = true;
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

/** Small batches are put here before they are written at once: one buffer costs the system less than many. */
const joinBuffer = Buffer.allocUnsafeSlow(writeNowBytesMax);

/** The bytes of all batches in one piece, which is good until the next call of any writer. */
function joinPieces(batches: readonly Batch[]): readonly Uint8Array[] {
  if (batches.length === 1) return allPieces(batches);
  let end = 0;
  for (const { pieces } of batches) {
    for (const piece of pieces) {
      joinBuffer.set(piece, end);
      end += piece.length;
    }
  }
  return [joinBuffer.subarray(0, end)];
}

function allPieces(batches: readonly Batch[]): readonly Uint8Array[] {
  const [only] = batches;
  if (batches.length === 1 && only !== undefined) return only.pieces;
  return batches.flatMap((batch) => batch.pieces);
}

function formatLines(records: readonly BatchRecord[], isFirst: boolean): string {
  let lines = isFirst ? indexHeader : '';
  for (const record of records) lines += formatRecord(record);
  return lines;
}

/** A short write is no error yet; the next call tells why the disk took no more. */
async function completeWrite(
  file: DiskFile,
  batches: readonly Pick<Batch, 'pieces'>[],
  position: number,
  byteCount: number,
  taken: number,
): Promise<void> {
  for (let written = taken; written < byteCount; ) {
    const pieces = batches.flatMap((batch) => batch.pieces);
    const more = await file.write(dropFirst(pieces, written), position + written);
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

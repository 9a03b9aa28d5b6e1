import { dirname } from 'node:path';
import type { Clock } from '../common/clock.js';
import { Mutex } from '../common/mutex.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import type { Chunk } from './chunk.js';
import { type Disk, type DiskFile, hasSystemCode } from './disk.js';
import { writeError } from './disk-error.js';
import type { Flushable } from './flusher.js';

/**
 * Up to this size a write into the page cache takes less time (about 20 us) than the way to the thread
 * pool and back, so it is done at once.
 */
const writeNowBytesMax = 64 * 1024;

/** A write at once that took longer met a disk that makes writers wait; then the loop must not wait with it. */
const writeNowSlowMs = 5;
const writeNowPauseMs = 1_000;

/**
 * Writes one chunk of this node, from its creation until it is sealed and durable. Calls must come one
 * after another; only `flush` may run beside them.
 */
export class ChunkWriter implements Flushable {
  readonly chunk: Chunk;
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #file: DiskFile;
  readonly #syncLane = new Mutex();
  #directorySynced = false;
  #writeNowPausedUntilMs = 0;
  #tornTail = false;
  #syncFailure: ChukchaError | undefined;
  #closed = false;

  private constructor(disk: Disk, clock: Clock, chunk: Chunk, file: DiskFile) {
    this.#disk = disk;
    this.#clock = clock;
    this.chunk = chunk;
    this.#file = file;
  }

  /** Creates the chunk's file, which must not exist. */
  static async create(disk: Disk, clock: Clock, chunk: Chunk): Promise<ChunkWriter> {
    return new ChunkWriter(disk, clock, chunk, await disk.createFile(chunk.path));
  }

  /** Tells whether the end of the file could not be mended after a failed write, so that nothing may follow. */
  get tornTail(): boolean {
    return this.#tornTail;
  }

  /**
   * Appends the pieces and makes them visible to readers. When it rejects, readers see nothing of them.
   * Throws `disk_full` when there is no room, `storage_failed` for other errors of the disk.
   */
  async append(pieces: readonly Uint8Array[], byteCount: number): Promise<void> {
    try {
      await this.#writeAll(pieces, byteCount);
    } catch (error) {
      await this.#cutBack();
      const outcome = this.#tornTail
        ? 'a part of it may show after a restart'
        : 'nothing was stored';
      throw writeError(error, this.chunk.path, outcome);
    }
    this.chunk.grow(byteCount);
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

  /** As `sync`; the file of a chunk that was sealed before the call is closed afterwards. */
  async flush(): Promise<void> {
    // One that is sealed meanwhile may have grown before that; its own flush is still to come.
    const isFinal = this.chunk.state !== 'open';
    try {
      await this.sync();
    } catch (error) {
      if (this.hasFailed) await this.close();
      throw error;
    }
    if (isFinal) await this.close();
  }

  /** Closes the file without making it durable; idempotent. */
  close(): Promise<void> {
    return this.#syncLane.run(async () => {
      if (this.#closed) return;
      this.#closed = true;
      await this.#file.close();
    });
  }

  async #writeAll(pieces: readonly Uint8Array[], byteCount: number): Promise<void> {
    let written = await this.#write(pieces, this.chunk.size, byteCount);
    while (written < byteCount) {
      // A short write is no error yet; the next call tells why the disk took no more.
      const rest = dropFirst(pieces, written);
      const taken = await this.#file.write(rest, this.chunk.size + written);
      if (taken === 0) throw new Error(`the disk took ${written} of ${byteCount} bytes`);
      written += taken;
    }
  }

  async #write(
    pieces: readonly Uint8Array[],
    position: number,
    byteCount: number,
  ): Promise<number> {
    const startMs = this.#clock.monotonicMs();
    if (byteCount > writeNowBytesMax || startMs < this.#writeNowPausedUntilMs) {
      return this.#file.write(pieces, position);
    }
    const written = this.#file.writeNow(pieces, position);
    const endMs = this.#clock.monotonicMs();
    if (endMs - startMs > writeNowSlowMs) this.#writeNowPausedUntilMs = endMs + writeNowPauseMs;
    return written;
  }

  async #syncOnce(): Promise<void> {
    if (this.#tornTail) await this.#file.truncate(this.chunk.size);
    await this.#file.sync();
    if (this.#directorySynced) return;
    await this.#disk.syncDirectory(dirname(this.chunk.path));
    this.#directorySynced = true;
  }

  async #cutBack(): Promise<void> {
    try {
      await this.#file.truncate(this.chunk.size);
    } catch {
      // It is tried again with the next sync; the caller seals the chunk, so that nothing follows.
      this.#tornTail = true;
    }
  }
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
      'the category takes no more writes; look at the disk and start the node again.',
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

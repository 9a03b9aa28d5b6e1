import type { Clock } from '../common/clock.js';
import type { Disk, DiskFile } from './disk.js';

/**
 * Up to this size a write into the page cache takes less time (about 20 us) than the way to the thread
 * pool and back, so it is done at once.
 */
const writeNowBytesMax = 64 * 1024;

/** A write at once that took longer met a disk that makes writers wait; then the loop must not wait with it. */
const writeNowSlowMs = 5;
const writeNowPauseMs = 1_000;

/** Some bytes, in pieces. */
interface PieceSource {
  readonly pieces: readonly Uint8Array[];
}

/**
 * A file that only grows, with what is known to be whole in it. It may be closed in between: the next write
 * opens it again.
 */
export class AppendFile {
  readonly path: string;
  readonly #disk: Disk;
  readonly #clock: Clock;
  #file: DiskFile | undefined;
  #size: number;
  #writeNowPausedUntilMs = 0;

  /** @param file the file when it is open already; one of another size than 0 is there, and is opened when needed */
  constructor(disk: Disk, clock: Clock, path: string, file: DiskFile | undefined, size = 0) {
    this.#disk = disk;
    this.#clock = clock;
    this.path = path;
    this.#file = file;
    this.#size = size;
  }

  /** What stands behind it is torn, or not taken in yet. */
  get size(): number {
    return this.#size;
  }

  get isOpen(): boolean {
    return this.#file !== undefined;
  }

  /**
   * Writes the bytes of all sources behind `size`, at once when that is quick. They are a part of the file only
   * when they are taken in (`advance`). Throws what the disk and `meanwhile` throw, with any part of the bytes written.
   *
   * @param meanwhile called with the same bytes while a large write is on its way
   */
  async write<T>(
    sources: readonly PieceSource[],
    byteCount: number,
    meanwhile: (pieces: readonly Uint8Array[]) => T,
  ): Promise<T> {
    this.#file ??= await this.#disk.openFile(this.path, 'write');
    const file = this.#file;
    const startMs = this.#clock.monotonicMs();
    const isNow = byteCount <= writeNowBytesMax && startMs >= this.#writeNowPausedUntilMs;
    const pieces = isNow ? joinPieces(sources) : allPieces(sources);
    const writing = isNow ? file.writeNow(pieces, this.#size) : file.write(pieces, this.#size);
    if (isNow) this.#noteDuration(startMs);
    let result: T;
    try {
      result = meanwhile(pieces);
    } catch (error) {
      // The file must not be cut while a write to it is on its way; what became of that does not matter any more.
      await Promise.resolve(writing).catch(() => undefined);
      throw error;
    }
    let written = await writing;
    while (written < byteCount) {
      // A short write is no error yet; the next call tells why the disk took no more.
      const rest = dropFirst(allPieces(sources), written);
      const more = await file.write(rest, this.#size + written);
      if (more === 0) throw new Error(`the disk took ${written} of ${byteCount} bytes`);
      written += more;
    }
    return result;
  }

  /** Takes in bytes that were written. */
  advance(byteCount: number): void {
    this.#size += byteCount;
  }

  /** Does nothing to a file that was closed: whatever was written to it is durable. */
  async sync(): Promise<void> {
    await this.#file?.sync();
  }

  /** Cuts off what was not taken in. */
  async cutBack(): Promise<void> {
    await this.#file?.truncate(this.#size);
  }

  /** Gives up what was taken in behind `size`. */
  async shrink(size: number): Promise<void> {
    this.#file ??= await this.#disk.openFile(this.path, 'write');
    this.#size = size;
    await this.#file.truncate(size);
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  #noteDuration(startMs: number): void {
    const endMs = this.#clock.monotonicMs();
    if (endMs - startMs > writeNowSlowMs) this.#writeNowPausedUntilMs = endMs + writeNowPauseMs;
  }
}

/** Small batches are put here before they are written at once: one buffer costs the system less than many. */
const joinBuffer = Buffer.allocUnsafeSlow(writeNowBytesMax);

/** All bytes in one piece, which is good until the next call for any file. */
function joinPieces(sources: readonly PieceSource[]): readonly Uint8Array[] {
  if (sources.length === 1) return allPieces(sources);
  let end = 0;
  for (const { pieces } of sources) {
    for (const piece of pieces) {
      joinBuffer.set(piece, end);
      end += piece.length;
    }
  }
  return [joinBuffer.subarray(0, end)];
}

function allPieces(sources: readonly PieceSource[]): readonly Uint8Array[] {
  const [only] = sources;
  if (sources.length === 1 && only !== undefined) return only.pieces;
  return sources.flatMap((source) => source.pieces);
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

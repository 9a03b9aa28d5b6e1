import type { Clock } from '../common/clock.js';
import type { Chunk } from './chunk.js';
import { type Disk, type DiskFile, hasSystemCode } from './disk.js';

/** Readers mostly follow the ends of a few chunks; a process often has no more than 1024 descriptors. */
const openCountMaxDefault = 128;

/**
 * Up to this size a read from the page cache takes less time (30 us) than the way to the thread pool and back
 * (100 us), so it is done at once.
 */
const readNowBytesMax = 256 * 1024;

/** A read at once that took longer had to wait for the disk; then the loop must not wait with it. */
const readNowSlowMs = 1;
const readNowPauseMs = 1_000;

export interface OpenFilesPorts {
  readonly disk: Disk;
  readonly clock: Clock;
}

/**
 * Keeps the files of chunks that are read open between reads. When there are too many, the one that was not
 * used for longest is closed; the file of a removed chunk is closed at once, or after its last read, because
 * its space is not free before.
 */
export class OpenFiles {
  readonly #ports: OpenFilesPorts;
  readonly #countMax: number;
  /** The one that was used last is the last. */
  readonly #files = new Map<Chunk, OpenFile>();
  readonly #closings = new Set<Promise<void>>();
  readonly #pace: ReadPace = { pausedUntilMs: 0 };

  constructor(ports: OpenFilesPorts, countMax = openCountMaxDefault) {
    this.#ports = ports;
    this.#countMax = countMax;
  }

  /**
   * The file of a chunk, which stays open until `release` was called as often as this. Rejects with the
   * error of the system, `ENOENT` when the chunk was removed meanwhile.
   */
  async acquire(chunk: Chunk): Promise<OpenFile> {
    const file = this.#files.get(chunk) ?? new OpenFile(chunk, this.#ports.clock, this.#pace);
    this.#keep(file);
    file.users += 1;
    try {
      file.opening ??= this.#open(chunk.path);
      file.file ??= await file.opening;
    } catch (error) {
      file.users -= 1;
      this.#drop(file);
      throw error;
    }
    return file;
  }

  release(file: OpenFile): void {
    file.users -= 1;
    if (file.users === 0 && this.#files.get(file.chunk) !== file) this.#close(file);
    else this.#evict();
  }

  /** Closes every file, those in use when they are released; resolves when those that were not are closed. */
  async close(): Promise<void> {
    for (const file of [...this.#files.values()]) this.#drop(file);
    await Promise.all(this.#closings);
  }

  #keep(file: OpenFile): void {
    const { chunk } = file;
    this.#files.delete(chunk);
    // One that is gone is read to the end by those who have it, and kept for nobody.
    if (chunk.state === 'removed') return;
    this.#files.set(chunk, file);
    chunk.onRemoved = () => this.#drop(file);
  }

  #evict(): void {
    for (const file of this.#files.values()) {
      if (this.#files.size <= this.#countMax) return;
      if (file.users === 0) this.#drop(file);
    }
  }

  #drop(file: OpenFile): void {
    if (this.#files.get(file.chunk) === file) {
      this.#files.delete(file.chunk);
      file.chunk.onRemoved = undefined;
    }
    if (file.users === 0) this.#close(file);
  }

  #close(file: OpenFile): void {
    // Nothing was written through it, so there is nothing that a failure could lose.
    const closing = (file.file?.close() ?? Promise.resolve()).catch(() => undefined);
    file.file = undefined;
    this.#closings.add(closing);
    void closing.then(() => this.#closings.delete(closing));
  }

  async #open(path: string): Promise<DiskFile> {
    try {
      return await this.#ports.disk.openFile(path, 'read');
    } catch (error) {
      if (!hasSystemCode(error, 'EMFILE', 'ENFILE')) throw error;
      for (const file of [...this.#files.values()]) if (file.users === 0) this.#drop(file);
      await Promise.all(this.#closings);
      return this.#ports.disk.openFile(path, 'read');
    }
  }
}

/** Shared by all files: they lie on one disk. */
interface ReadPace {
  pausedUntilMs: number;
}

/** The file of a chunk, open for reading; made and counted by `OpenFiles`. */
class OpenFile {
  readonly chunk: Chunk;
  readonly #clock: Clock;
  readonly #pace: ReadPace;
  users = 0;
  opening: Promise<DiskFile> | undefined;
  file: DiskFile | undefined;

  constructor(chunk: Chunk, clock: Clock, pace: ReadPace) {
    this.chunk = chunk;
    this.#clock = clock;
    this.#pace = pace;
  }

  /** Fills the buffer from a position and resolves with how many bytes there were. */
  async read(buffer: Uint8Array, position: number): Promise<number> {
    const { file } = this;
    if (file === undefined) throw new Error(`${this.chunk.name} is read after its release`);
    const startMs = this.#clock.monotonicMs();
    if (buffer.length > readNowBytesMax || startMs < this.#pace.pausedUntilMs) {
      return file.read(buffer, position);
    }
    const byteCount = file.readNow(buffer, position);
    const endMs = this.#clock.monotonicMs();
    if (endMs - startMs > readNowSlowMs) this.#pace.pausedUntilMs = endMs + readNowPauseMs;
    return byteCount;
  }
}

export type { OpenFile };

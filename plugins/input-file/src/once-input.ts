import { type Input, type InputBatch, PluginError } from '@chukcha/plugin-api';
import type { ReadFrom } from './checkpoint.js';
import type { FileInputParts } from './file-input-parts.js';
import { FollowedFile } from './followed-file.js';

/** A file that is replaced more often than this while it is read once has no end to reach, like those of /proc. */
const restartCountMax = 10;

/**
 * Reads the files that were found at the start, one after another in the order of their paths, each to
 * the end that it has when the end is reached, and then ends.
 */
export class OnceInput implements Input {
  readonly #parts: FileInputParts;
  readonly #readFrom: ReadFrom;
  /** What could not be read, as sentences. */
  readonly #failures: string[] = [];

  constructor(parts: FileInputParts, readFrom: ReadFrom) {
    this.#parts = parts;
    this.#readFrom = readFrom;
  }

  /** Throws a `PluginError` behind the last batch when a file could not be read. */
  async *batches(signal: AbortSignal): AsyncGenerator<InputBatch> {
    const { files, problems } = this.#parts.found;
    for (const { path, error } of problems) this.#noteFailure(path, error);
    for (const { path } of files) {
      if (signal.aborted) return;
      yield* this.#readFile(path, signal);
    }
    if (signal.aborted || this.#failures.length === 0) return;
    throw new PluginError(
      'operator',
      `${this.#failures.length} of the files could not be read: ${this.#failures[0]}. ` +
        'The others were; mend these and start again, and only they are read.',
    );
  }

  async close(): Promise<void> {
    await this.#parts.book.flush();
  }

  async *#readFile(path: string, signal: AbortSignal): AsyncGenerator<InputBatch> {
    const file = await this.#openFile(path);
    try {
      while (file?.hasMore && !signal.aborted) {
        const batch = await this.#readBatch(file, signal);
        if (batch !== undefined && !signal.aborted) yield batch;
        if (file.restartCount > restartCountMax) {
          this.#noteFailure(path, new Error('its contents change at every read'));
          break;
        }
      }
    } finally {
      await file?.close();
    }
  }

  async #openFile(path: string): Promise<FollowedFile | undefined> {
    try {
      return await FollowedFile.open(path, this.#readFrom, this.#parts.file);
    } catch (error) {
      this.#noteFailure(path, error as Error);
      return undefined;
    }
  }

  async #readBatch(file: FollowedFile, signal: AbortSignal): Promise<InputBatch | undefined> {
    const loan = await this.#parts.pool.take(signal);
    if (loan === undefined) return undefined;
    try {
      const batch = await file.readBatch(loan, true);
      if (batch === undefined) loan.release();
      return batch;
    } catch (error) {
      if (error instanceof PluginError) throw error;
      loan.release();
      this.#noteFailure(file.path, error as Error);
      file.hasMore = false;
      return undefined;
    }
  }

  #noteFailure(path: string, error: Error): void {
    this.#failures.push(`${path} (${error.message})`);
    this.#parts.file.log.error('A file could not be read.', { file: path, error: error.message });
  }
}

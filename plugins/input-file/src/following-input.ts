import { type Input, type InputBatch, PluginError } from '@chukcha/plugin-api';
import type { FileHints } from './file-hints.js';
import type { FileInputOptions } from './file-input-options.js';
import type { FileInputParts } from './file-input-parts.js';
import { FileSet } from './file-set.js';
import type { FollowedFile } from './followed-file.js';
import type { Glob } from './glob.js';
import { WakeSignal } from './wake-signal.js';

/**
 * After how many poll intervals without a path and without a new line a file is let go of: one minute at
 * the default, far longer than programs take to reopen a log that was rotated.
 */
const leaveAfterPollCount = 60;

/** How long after a hint that files moved the paths are looked at: a rotation moves several at once. */
const moveDelayMs = 20;

/**
 * Follows files until it is stopped. One loop reads: in each round one block of every file that may have
 * more, so that a large file does not keep the others waiting; between rounds it looks at the paths when
 * that is due. Hints and the timer only make it go on sooner.
 */
export class FollowingInput implements Input {
  readonly #parts: FileInputParts;
  readonly #globs: readonly Glob[];
  readonly #pollIntervalMs: number;
  readonly #files: FileSet;
  readonly #wake = new WakeSignal();
  #pollAtMs = 0;
  #hints: Promise<FileHints | undefined> | undefined;
  #closed: Promise<void> | undefined;

  private constructor(parts: FileInputParts, globs: readonly Glob[], pollIntervalMs: number) {
    this.#parts = parts;
    this.#globs = globs;
    this.#pollIntervalMs = pollIntervalMs;
    this.#files = new FileSet(parts.file, pollIntervalMs * leaveAfterPollCount);
  }

  /** Opens the files that were found; what is written to them from now on is yielded. */
  static async open(
    parts: FileInputParts,
    globs: readonly Glob[],
    options: Pick<FileInputOptions, 'pollIntervalMs' | 'readFrom'>,
  ): Promise<FollowingInput> {
    const input = new FollowingInput(parts, globs, options.pollIntervalMs);
    await input.#files.update(parts.found, options.readFrom);
    return input;
  }

  async *batches(signal: AbortSignal): AsyncGenerator<InputBatch> {
    this.#hints ??= this.#watch();
    while (!signal.aborted) {
      if (performance.now() >= this.#pollAtMs) await this.#poll();
      let hasRead = false;
      for (const file of this.#files.ready()) {
        const batch = await this.#readBatch(file, signal);
        if (signal.aborted) return;
        if (batch === undefined) continue;
        hasRead = true;
        yield batch;
        if (signal.aborted) return;
      }
      if (hasRead) continue;
      await this.#wake.wait(Math.max(0, this.#pollAtMs - performance.now()), signal);
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await (await this.#hints)?.close();
    await this.#parts.book.flush();
    await this.#files.close();
  }

  /** Resolves with nothing when there can be no hints: polling finds everything, only later. */
  async #watch(): Promise<FileHints | undefined> {
    try {
      const { FileHints } = await import('./file-hints.js');
      return new FileHints({
        globs: this.#globs,
        log: this.#parts.file.log,
        onChange: (path) => {
          this.#files.notice(path);
          this.#wake.notify();
          // A file that took the place of another is told as a change, and may be gone by the next poll.
          void this.#files.isReplaced(path).then((isReplaced) => {
            if (isReplaced) this.#pollSoon();
          });
        },
        onMove: () => this.#pollSoon(),
      });
    } catch (error) {
      this.#parts.file.log.warn('Changes of files cannot be watched; they are found by polling.', {
        error: (error as Error).message,
      });
      return undefined;
    }
  }

  #pollSoon(): void {
    this.#pollAtMs = Math.min(this.#pollAtMs, performance.now() + moveDelayMs);
    this.#wake.notify();
  }

  async #poll(): Promise<void> {
    // Before the walk, so that a hint that comes meanwhile makes another one due.
    this.#pollAtMs = performance.now() + this.#pollIntervalMs;
    await this.#files.update(await this.#parts.discovery.find(), 'beginning');
  }

  async #readBatch(file: FollowedFile, signal: AbortSignal): Promise<InputBatch | undefined> {
    const loan = await this.#parts.pool.take(signal);
    if (loan === undefined) return undefined;
    const isLeaving = this.#files.isLeaving(file);
    try {
      const batch = await file.readBatch(loan, isLeaving);
      if (batch !== undefined) {
        this.#files.noteRead(file);
        return batch;
      }
      if (isLeaving && !file.hasMore) await this.#files.remove(file);
    } catch (error) {
      if (error instanceof PluginError) throw error;
      this.#files.noteFailure(file, error as NodeJS.ErrnoException);
    }
    loan.release();
    return undefined;
  }
}

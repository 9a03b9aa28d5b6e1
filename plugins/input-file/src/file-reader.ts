import {
  type Input,
  type InputBatch,
  type JsonValue,
  PluginError,
  type SourceReport,
} from '@chukcha/plugin-api';
import { parseRange } from './batch-range.js';
import { explainFiles } from './explain-files.js';
import type { FileInputParts } from './file-input-parts.js';
import type { Member } from './member-map.js';
import type { FoundPaths } from './path-finder.js';

/** What the two ways to read files have in common: a turn for a file, and the batches of an earlier run. */
export abstract class FileReader implements Input {
  protected readonly parts: FileInputParts;
  #closed: Promise<void> | undefined;

  constructor(parts: FileInputParts) {
    this.parts = parts;
  }

  abstract batches(signal: AbortSignal): AsyncIterable<InputBatch>;

  async *replay(
    ranges: readonly JsonValue[],
    signal: AbortSignal,
  ): AsyncGenerator<InputBatch | undefined> {
    for (const range of ranges) {
      if (signal.aborted) return;
      yield await this.#repeat(range);
    }
  }

  async explain(): Promise<readonly SourceReport[]> {
    return explainFiles(this.parts, this.found);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** What was found last. */
  protected get found(): FoundPaths {
    return this.parts.found;
  }

  protected async stop(): Promise<void> {}

  /** A file could not be read. */
  protected noteFailure(member: Member, error: NodeJS.ErrnoException): void {
    this.parts.files.noteFailure(member.file.path, error);
  }

  /** One turn of a file; `undefined` when nothing came of it. */
  protected async read(
    member: Member,
    isFinal: boolean,
    signal: AbortSignal,
  ): Promise<InputBatch | undefined> {
    const { files, pool } = this.parts;
    const { file } = member;
    const loan = await pool.take(signal);
    if (loan === undefined) return undefined;
    try {
      const outcome = await file.readBatch(loan, isFinal);
      if (outcome.kind === 'batch') {
        files.noteRead(member);
        return outcome.batch;
      }
      if (outcome.kind !== 'nothing') await files.restart(member, outcome.kind);
      // A packed file that was read to its end has to be unpacked anew when it grows.
      else if (!file.hasMore && file.opened?.plain === undefined) await file.close();
    } catch (error) {
      if (error instanceof PluginError) throw error;
      await this.#fail(member, error as NodeJS.ErrnoException);
    } finally {
      files.openFiles.touch(file);
      await files.openFiles.trim();
    }
    loan.release();
    return undefined;
  }

  async #fail(member: Member, error: NodeJS.ErrnoException): Promise<void> {
    const { file } = member;
    file.failure = error;
    file.hasMore = false;
    const wasOpen = file.opened !== undefined;
    await file.close();
    if (error.code === 'ENOENT' && !wasOpen) await this.parts.files.relocate(member);
    else this.noteFailure(member, error);
  }

  async #repeat(value: JsonValue): Promise<InputBatch | undefined> {
    const { files } = this.parts;
    const range = parseRange(value);
    if (range === undefined) return undefined;
    for (const member of files.members.values()) {
      if (member.file.generation?.id !== range.id) continue;
      try {
        return await member.file.repeatBatch(range);
      } catch (error) {
        this.noteFailure(member, error as NodeJS.ErrnoException);
        return undefined;
      } finally {
        files.openFiles.touch(member.file);
        await files.openFiles.trim();
      }
    }
    return undefined;
  }

  async #close(): Promise<void> {
    await this.stop();
    await this.parts.book.flush();
    await this.parts.files.close();
  }
}

import { type InputBatch, PluginError } from '@chukcha/plugin-api';
import { FileReader } from './file-reader.js';
import type { Member } from './member-map.js';

/** A file that is replaced more often than this while it is read once has no end to reach, like those of /proc. */
const restartCountMax = 10;

/**
 * Reads the files that were found at the start, one after another in the order of their paths, each to
 * the end that it has when the end is reached, and then ends.
 */
export class OnceInput extends FileReader {
  /** What could not be read, as sentences, by the path. */
  readonly #failures = new Map<string, string>();

  /** Throws a `PluginError` behind the last batch when a file could not be read. */
  async *batches(signal: AbortSignal): AsyncGenerator<InputBatch> {
    const { files, found } = this.parts;
    for (const { path, error } of found.problems) this.#note(path, error);
    for (const member of files.members.values()) {
      yield* this.#readFile(member, signal);
      if (signal.aborted) return;
    }
    for (const [path, error] of files.problems) {
      // What was gone before its turn counts too: it was there, and was not read.
      if (!this.#failures.has(path)) this.#note(path, error);
    }
    if (this.#failures.size === 0) return;
    const [first] = this.#failures.values();
    throw new PluginError(
      'operator',
      `${this.#failures.size} of the files could not be read: ${first}. ` +
        'The others were; mend these and start again, and only they are read.',
    );
  }

  protected override noteFailure(member: Member, error: Error): void {
    this.#note(member.file.path, error);
  }

  async *#readFile(member: Member, signal: AbortSignal): AsyncGenerator<InputBatch> {
    const { file } = member;
    while (file.generation !== undefined && file.hasMore && !signal.aborted) {
      const batch = await this.read(member, true, signal);
      if (batch !== undefined && !signal.aborted) yield batch;
      if (file.restartCount > restartCountMax) {
        this.#note(file.path, new Error('its contents change at every read'));
        break;
      }
    }
    await file.close();
  }

  #note(path: string, error: Error): void {
    if (this.#failures.has(path)) return;
    this.#failures.set(path, `${path} (${error.message})`);
    this.parts.file.log.error('A file could not be read.', { file: path, error: error.message });
  }
}

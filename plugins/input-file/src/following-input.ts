import type { InputBatch } from '@chukcha/plugin-api';
import type { FileInputParts } from './file-input-parts.js';
import { FileReader } from './file-reader.js';
import { PathWatch } from './path-watch.js';
import { WakeSignal } from './wake-signal.js';

/** How often it is counted what is not read yet, which takes a look at each open file. */
const countIntervalMs = 2_000;

/**
 * Follows files until it is stopped. One loop reads: in each round one block of every file that may have
 * more, so that a large file does not keep the others waiting; between rounds it looks at the paths when
 * that is due. Hints and the timer only make it go on sooner.
 */
export class FollowingInput extends FileReader {
  readonly #wake = new WakeSignal();
  readonly #watch: PathWatch;
  #countTimer: NodeJS.Timeout | undefined;

  constructor(parts: FileInputParts) {
    super(parts);
    this.#watch = new PathWatch(
      {
        finder: parts.finder,
        files: parts.files,
        log: parts.file.log,
        pollIntervalMs: parts.options.pollIntervalMs,
        isWatching: parts.options.isWatching,
        onHint: () => this.#wake.notify(),
      },
      parts.found,
    );
  }

  async *batches(signal: AbortSignal): AsyncGenerator<InputBatch> {
    const { files } = this.parts;
    this.#watch.start();
    this.#count();
    while (!signal.aborted) {
      if (performance.now() >= this.#watch.dueAtMs) await this.#watch.step();
      let hasRead = false;
      for (const member of files.ready()) {
        const isLeaving = files.isLeaving(member);
        const batch = await this.read(member, isLeaving, signal);
        if (signal.aborted) return;
        if (batch === undefined) {
          if (isLeaving && !member.file.hasMore && files.has(member)) {
            await files.leave(member);
          }
          continue;
        }
        hasRead = true;
        yield batch;
        if (signal.aborted) return;
      }
      await files.settle();
      if (hasRead || files.hasReady) continue;
      const dueAtMs = Math.min(this.#watch.dueAtMs, files.nextFlushAtMs());
      await this.#wake.wait(Math.max(0, dueAtMs - performance.now()), signal);
    }
  }

  /** Counts apart from reading, which stands still while the bus takes nothing. */
  #count(): void {
    this.#countTimer = setTimeout(() => {
      void this.parts.files.countUnread().then(() => {
        if (this.#countTimer !== undefined) this.#count();
      });
    }, countIntervalMs);
    // It keeps no process alive.
    this.#countTimer.unref();
  }

  protected override async stop(): Promise<void> {
    clearTimeout(this.#countTimer);
    this.#countTimer = undefined;
    this.#watch.close();
  }

  protected override get found() {
    return this.#watch.found;
  }
}

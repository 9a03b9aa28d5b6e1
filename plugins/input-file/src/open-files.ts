import type { PluginGauge } from '@chukcha/plugin-api';
import type { FollowedFile } from './followed-file.js';

/** How many files stay open between two reads: far below the 1024 that a process usually may have. */
const openFilesMax = 100;

/** Closes the files that were not read for the longest time. What no path leads to stays open. */
export class OpenFiles {
  /** The one that was used last is at the end. */
  readonly #files = new Set<FollowedFile>();
  readonly #gauge: PluginGauge;
  /** Files that could not be opened any more once they are closed. */
  readonly #pinned = new WeakSet<FollowedFile>();

  constructor(gauge: PluginGauge) {
    this.#gauge = gauge;
  }

  /** Notes that a file was used. */
  touch(file: FollowedFile): void {
    this.#files.delete(file);
    if (file.opened !== undefined) this.#files.add(file);
  }

  pin(file: FollowedFile): void {
    this.#pinned.add(file);
  }

  unpin(file: FollowedFile): void {
    this.#pinned.delete(file);
  }

  /** Closes what is too much. */
  async trim(): Promise<void> {
    let excess = this.#files.size - openFilesMax;
    for (const file of this.#files) {
      if (excess <= 0) break;
      excess -= 1;
      if (file.opened !== undefined && this.#pinned.has(file)) continue;
      this.#files.delete(file);
      await file.close();
    }
    this.#gauge.set(this.#files.size);
  }
}

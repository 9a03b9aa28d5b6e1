import type { ChunkPlace } from '../protocol/replication.js';
import type { Category } from '../storage/category.js';

interface Report {
  readonly place: ChunkPlace;
  readonly size: number;
}

/**
 * Makes durable what a peer waits for, and says so. What comes for a category while a sync is under way waits for
 * the next one, which is the first that is sure to cover it.
 */
export class DurableReports {
  readonly #send: (place: ChunkPlace, size: number) => void;
  readonly #waiting = new Map<Category, Report>();
  readonly #syncing = new Set<Category>();

  constructor(send: (place: ChunkPlace, size: number) => void) {
    this.#send = send;
  }

  /** @param size what the copy has: all of it is to be durable */
  add(category: Category, place: ChunkPlace, size: number): void {
    this.#waiting.set(category, { place, size });
    if (!this.#syncing.has(category)) void this.#run(category);
  }

  async #run(category: Category): Promise<void> {
    this.#syncing.add(category);
    for (;;) {
      const report = this.#waiting.get(category);
      if (report === undefined) break;
      this.#waiting.delete(category);
      try {
        await category.syncCopies();
        this.#send(report.place, report.size);
      } catch {
        // The store has stopped taking writes, and says why; the peer's batches wait in vain, and it tells so.
      }
    }
    this.#syncing.delete(category);
  }
}

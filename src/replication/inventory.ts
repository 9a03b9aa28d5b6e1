import { type ChunkName, parseChunkName } from '../protocol/names.js';
import type { HeldChunk, InventoryMessage } from '../protocol/replication.js';

/** A chunk that a peer holds. */
export interface InventoryEntry extends HeldChunk {
  readonly chunk: ChunkName;
  readonly chunkName: string;
}

/** What one peer says that it holds of other nodes' chunks, while it is connected. */
export class Inventory {
  /** By category, and by the name of the chunk. */
  readonly #categories = new Map<string, Map<string, InventoryEntry>>();
  #isWhole = false;

  /** Whether all that the peer had at the beginning is here. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  markWhole(): void {
    this.#isWhole = true;
  }

  take({ category, chunks }: InventoryMessage): void {
    const entries = this.#categories.get(category) ?? new Map<string, InventoryEntry>();
    this.#categories.set(category, entries);
    for (const [chunkName, held] of chunks) {
      const chunk = parseChunkName(chunkName);
      if (chunk === undefined) continue;
      if (held === null) entries.delete(chunkName);
      else entries.set(chunkName, { ...held, chunk, chunkName });
    }
    if (entries.size === 0) this.#categories.delete(category);
  }

  get categories(): Iterable<string> {
    return this.#categories.keys();
  }

  find(category: string, chunkName: string): InventoryEntry | undefined {
    return this.#categories.get(category)?.get(chunkName);
  }

  entries(category: string): Iterable<InventoryEntry> {
    return this.#categories.get(category)?.values() ?? [];
  }
}

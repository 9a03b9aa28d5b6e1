import type { Chunk } from './chunk.js';
import type { ChunkList } from './chunk-list.js';

/**
 * The chunks that readers see: of each owner, those in front of the first one that is missing here, and up to the
 * first one that is not whole. Who has read one to its end has missed nothing then, and can keep one place for
 * each owner whichever node it asks.
 */
export class VisibleChunks {
  readonly #chunks: ChunkList;
  readonly #firstMissing: (owner: string) => number | undefined;
  /** By owner: the highest index that may be seen. */
  readonly #frontiers = new Map<string, number>();

  constructor(chunks: ChunkList, firstMissing: (owner: string) => number | undefined) {
    this.#chunks = chunks;
    this.#firstMissing = firstMissing;
  }

  /** To be called when a chunk has come, was sealed, or is gone, or others are missing. */
  forget(): void {
    this.#frontiers.clear();
  }

  /** The chunk, if it may be seen. */
  only(chunk: Chunk | undefined): Chunk | undefined {
    return chunk !== undefined && chunk.index <= this.#frontier(chunk.owner) ? chunk : undefined;
  }

  /** Those of one owner, lowest index first. */
  ownedBy(owner: string): readonly Chunk[] {
    const chunks = this.#chunks.ownedBy(owner);
    const frontier = this.#frontier(owner);
    const last = chunks.at(-1);
    if (last === undefined || last.index <= frontier) return chunks;
    return chunks.filter((chunk) => chunk.index <= frontier);
  }

  /** By owner and then by index. */
  sorted(): Chunk[] {
    return this.#chunks.owners().flatMap((owner) => this.ownedBy(owner));
  }

  #frontier(owner: string): number {
    const known = this.#frontiers.get(owner);
    if (known !== undefined) return known;
    const missing = this.#firstMissing(owner);
    const open = this.#chunks.ownedBy(owner).find((chunk) => chunk.state === 'open');
    const frontier = Math.min(
      missing === undefined ? Number.POSITIVE_INFINITY : missing - 1,
      open?.index ?? Number.POSITIVE_INFINITY,
    );
    this.#frontiers.set(owner, frontier);
    return frontier;
  }
}

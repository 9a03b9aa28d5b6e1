import type { Chunk } from './chunk.js';

/** The chunks of one category that this node holds, by name and by owner in the order of their indexes. */
export class ChunkList {
  readonly #byName = new Map<string, Chunk>();
  readonly #byOwner = new Map<string, Chunk[]>();

  get(name: string): Chunk | undefined {
    return this.#byName.get(name);
  }

  add(chunk: Chunk): void {
    this.#byName.set(chunk.name, chunk);
    const chunks = this.#byOwner.get(chunk.owner) ?? [];
    this.#byOwner.set(chunk.owner, chunks);
    const after = chunks.findLastIndex((other) => other.index < chunk.index);
    chunks.splice(after + 1, 0, chunk);
  }

  remove(chunk: Chunk): void {
    this.#byName.delete(chunk.name);
    const chunks = this.ownedBy(chunk.owner).filter((other) => other !== chunk);
    if (chunks.length > 0) this.#byOwner.set(chunk.owner, chunks);
    else this.#byOwner.delete(chunk.owner);
  }

  /** The chunks of an owner, lowest index first. */
  ownedBy(owner: string): readonly Chunk[] {
    return this.#byOwner.get(owner) ?? [];
  }

  /** The chunk of an owner with the lowest index above `index` that `isWanted` takes. */
  firstAfter(owner: string, index: number, isWanted: (chunk: Chunk) => boolean): Chunk | undefined {
    const chunks = this.ownedBy(owner);
    // Who asks stands near the end as a rule, so the search goes back from there.
    for (let at = chunks.findLastIndex((chunk) => chunk.index <= index) + 1; ; at += 1) {
      const chunk = chunks[at];
      if (chunk === undefined || isWanted(chunk)) return chunk;
    }
  }

  /** The owners of all chunks, sorted. */
  owners(): string[] {
    return [...this.#byOwner.keys()].sort();
  }

  /** All chunks, by owner and then by index. */
  sorted(): Chunk[] {
    return this.owners().flatMap((owner) => this.ownedBy(owner));
  }
}

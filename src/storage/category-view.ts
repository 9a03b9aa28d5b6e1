import { ChangeSignal } from '../common/wait.js';
import type { ChunkState, GroupBacklog, HeldChunks, ListedChunk } from '../protocol/http-api.js';
import { type ChunkName, formatChunkName } from '../protocol/names.js';
import type { Chunk } from './chunk.js';
import type { ChunkList } from './chunk-list.js';
import { sumOf } from './group-acks.js';
import type { GroupBook } from './group-book.js';
import { VisibleChunks } from './visible-chunks.js';

/** What a view is of. */
export interface CategoryViewParts {
  readonly nodeName: string;
  readonly chunks: ChunkList;
  readonly groups: GroupBook;
  /** The lowest index of an owner's chunks that peers hold and this node has to get still. */
  readonly firstMissing: (owner: string) => number | undefined;
}

/**
 * What is in a category, for those who read it: clients through their group, and the nodes that copy it. It lives in
 * memory; nothing here looks at the disk, and nothing here changes what is held.
 */
export class CategoryView {
  /** Notified when a chunk appears, is sealed or goes; growth of a chunk is told by the chunk itself. */
  readonly changed = new ChangeSignal();
  readonly #nodeName: string;
  readonly #chunks: ChunkList;
  readonly #groups: GroupBook;
  readonly #visible: VisibleChunks;
  #version = 0;

  constructor({ nodeName, chunks, groups, firstMissing }: CategoryViewParts) {
    this.#nodeName = nodeName;
    this.#chunks = chunks;
    this.#groups = groups;
    this.#visible = new VisibleChunks(chunks, firstMissing);
  }

  /** Counts the changes of the list since this start. */
  get version(): number {
    return this.#version;
  }

  /** To be called when the list is another one than before, or other chunks are missing in it. */
  noteChange(): void {
    this.#visible.forget();
    this.#version += 1;
    this.changed.notify();
  }

  chunk(name: string): Chunk | undefined {
    return this.#chunks.get(name);
  }

  /** The nodes that wrote the chunks that are here, sorted. */
  owners(): string[] {
    return this.#chunks.owners();
  }

  /** All chunks that are here, by owner and then by index; also those that readers do not see yet. */
  get chunks(): readonly Chunk[] {
    return this.#chunks.sorted();
  }

  /** The chunks that do not change any more, by owner and then by index. */
  get sealedChunks(): readonly Chunk[] {
    return this.#chunks.sorted().filter((chunk) => chunk.state === 'sealed');
  }

  /** The newest chunk of an owner that readers see. */
  lastChunk(owner: string): Chunk | undefined {
    return this.#visible.ownedBy(owner).at(-1);
  }

  /** The first chunk of an owner behind an index that the group has not acknowledged, as readers see them. */
  nextChunk(owner: string, index: number, group: string): Chunk | undefined {
    const isWanted = (chunk: Chunk): boolean =>
      !this.#groups.states.has(group, chunk.owner, chunk.index);
    return this.#visible.only(this.#chunks.firstAfter(owner, index, isWanted));
  }

  /** This node's first chunk with an index or a higher one that some group has not acknowledged. */
  nextOwnChunk(index: number): Chunk | undefined {
    return this.#chunks.firstAfter(this.#nodeName, index - 1, (chunk) => !this.isAckedByAll(chunk));
  }

  /** What a reader is told about a chunk, also when this node does not hold it: not yet, or no longer. */
  chunkState(name: ChunkName): ChunkState {
    const chunk = this.#chunks.get(formatChunkName(name));
    if (chunk !== undefined) return chunk.state === 'open' ? 'open' : 'sealed';
    return this.isAckedByAll(name) ? 'acked' : 'pending';
  }

  isAckedByAll({ owner, index }: ChunkName): boolean {
    return this.#groups.states.isAckedByAll(owner, index);
  }

  /** The chunks that the group has not acknowledged, by owner and then by index. */
  list(group: string): ListedChunk[] {
    return this.#visible
      .sorted()
      .filter((chunk) => !this.#groups.states.has(group, chunk.owner, chunk.index))
      .map((chunk) => ({ name: chunk.name, complete: chunk.state === 'sealed', size: chunk.size }));
  }

  /** The registered groups, sorted by name, with what each has still to acknowledge. */
  groups(): GroupBacklog[] {
    return this.#groups.states.names.map((group) => ({ group, ...sumOf(this.list(group)) }));
  }

  /** What this node holds of the category. */
  held(): HeldChunks {
    return sumOf(this.#chunks.sorted());
  }
}

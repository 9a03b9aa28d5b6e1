import { errorMessage } from '../protocol/chukcha-error.js';
import type { Category } from '../storage/category.js';
import type { Chunk } from '../storage/chunk.js';
import { hasSystemCode } from '../storage/disk.js';
import { ChunkFeed, type ChunkFeedPorts, type FedPart } from './chunk-feed.js';
import type { ReplicationParts } from './limits.js';

/** What is to be sent next. */
export type FeedStep =
  | {
      readonly kind: 'part';
      readonly category: string;
      readonly chunk: Chunk;
      readonly part: FedPart;
    }
  | { readonly kind: 'seal'; readonly category: string; readonly chunk: Chunk };

/** What the peer has of a chunk. */
interface Known {
  readonly size: number;
  readonly isSealed: boolean;
}

/** How many feeds at the ends of their chunks keep their files open. */
const idleFeedCountMax = 64;

/** Where the peer is in this node's chunks of one category. */
class Cursor {
  readonly category: Category;
  /** What the peer had when it began, by index. */
  readonly known: Map<number, Known>;
  /** The lowest index that is not done. */
  index = 0;
  feed: ChunkFeed | undefined;

  constructor(category: Category, known: Map<number, Known>) {
    this.category = category;
    this.known = known;
  }
}

/**
 * This node's own chunks for one peer: of each category in the order of their indexes, the categories in turns, a
 * part at a time.
 */
export class OwnFeed {
  readonly #parts: ReplicationParts;
  readonly #feedPorts: ChunkFeedPorts;
  readonly #cursors = new Map<string, Cursor>();
  /** The categories that may have something to send, whose turn is next in front. */
  readonly #grown = new Set<string>();
  /** Those at the end of an open chunk, who was used last at the end. */
  readonly #idle = new Set<Cursor>();
  /** Chunks that were sealed after the peer was sent all of them, or has more. */
  readonly #sealedLate = new Map<Chunk, string>();

  constructor(parts: ReplicationParts, feedPorts: ChunkFeedPorts) {
    this.#parts = parts;
    this.#feedPorts = feedPorts;
  }

  /** Begins anew with what the peer has. */
  begin(
    categories: Iterable<Category>,
    have: ReadonlyMap<string, readonly (readonly [index: number, size: number, sealed: boolean])[]>,
  ): void {
    this.close();
    for (const category of categories) {
      const known = (have.get(category.name) ?? []).map(
        ([index, size, isSealed]) => [index, { size, isSealed }] as const,
      );
      this.#cursors.set(category.name, new Cursor(category, new Map(known)));
      this.#grown.add(category.name);
    }
  }

  markGrown(category: Category): void {
    this.#grown.add(category.name);
  }

  /** A chunk that was passed over while it was not whole is sealed now. */
  chunkChanged(category: Category, chunk: Chunk): void {
    const { nodeName } = this.#parts;
    const cursor = this.#cursors.get(category.name);
    if (chunk.owner !== nodeName || chunk.state !== 'sealed' || cursor === undefined) return;
    if (chunk.index < cursor.index) this.#sealedLate.set(chunk, category.name);
  }

  /** The peer's copy of a chunk ends there. */
  rewind(categoryName: string, index: number, size: number): void {
    const cursor = this.#cursors.get(categoryName);
    if (cursor === undefined) return;
    this.#leave(cursor, index);
    cursor.known.set(index, { size, isSealed: false });
    this.#grown.add(categoryName);
  }

  feedOf(chunk: Chunk, offset: number): ChunkFeed {
    return new ChunkFeed(chunk, offset, this.#feedPorts);
  }

  /** `undefined` when everything was sent. */
  async next(): Promise<FeedStep | undefined> {
    for (const [chunk, category] of this.#sealedLate) {
      this.#sealedLate.delete(chunk);
      if (chunk.state === 'sealed') return { kind: 'seal', category, chunk };
    }
    for (const name of this.#grown) {
      this.#grown.delete(name);
      const step = await this.#nextOf(name);
      if (step === undefined) continue;
      // To the end of the row: the others have their turn before it has another one.
      this.#grown.add(name);
      return step;
    }
    return undefined;
  }

  close(): void {
    for (const { feed } of this.#cursors.values()) void feed?.close();
    this.#cursors.clear();
    this.#grown.clear();
    this.#idle.clear();
    this.#sealedLate.clear();
  }

  async #nextOf(name: string): Promise<FeedStep | undefined> {
    const cursor = this.#cursorOf(name);
    if (cursor === undefined) return undefined;
    for (;;) {
      const feed = cursor.feed ?? this.#enter(cursor);
      if (feed === undefined) return undefined;
      const { chunk } = feed;
      if (feed.hasMore) {
        const part = await this.#read(cursor, feed);
        if (part !== undefined) return { kind: 'part', category: name, chunk, part };
        if (cursor.feed === feed) return undefined;
      } else if (chunk.state === 'sealed') {
        this.#leave(cursor, chunk.index + 1);
        return { kind: 'seal', category: name, chunk };
      } else if (chunk.state === 'removed' || cursor.category.crcOfCopy(chunk.name) !== undefined) {
        this.#leave(cursor, chunk.index + 1);
      } else {
        this.#rest(cursor);
        return undefined;
      }
    }
  }

  #cursorOf(name: string): Cursor | undefined {
    const known = this.#cursors.get(name);
    if (known !== undefined) return known;
    const category = this.#parts.store.openCategory(name);
    if (category === undefined) return undefined;
    const cursor = new Cursor(category, new Map());
    this.#cursors.set(name, cursor);
    return cursor;
  }

  /** Goes to the next chunk of which the peer does not have all. */
  #enter(cursor: Cursor): ChunkFeed | undefined {
    for (;;) {
      const chunk = cursor.category.view.nextOwnChunk(cursor.index);
      if (chunk === undefined) return undefined;
      cursor.index = chunk.index;
      const known = cursor.known.get(chunk.index);
      cursor.known.delete(chunk.index);
      const isDone = known?.isSealed === true && known.size === chunk.sealRecord?.size;
      const hasMoreThere = known !== undefined && known.size > chunk.size;
      if (isDone) cursor.index += 1;
      else if (hasMoreThere) {
        if (chunk.state === 'sealed') this.#sealedLate.set(chunk, cursor.category.name);
        cursor.index += 1;
      } else {
        cursor.feed = this.feedOf(chunk, known?.size ?? 0);
        return cursor.feed;
      }
    }
  }

  async #read(cursor: Cursor, feed: ChunkFeed): Promise<FedPart | undefined> {
    this.#idle.delete(cursor);
    try {
      return await feed.next();
    } catch (error) {
      const { chunk } = feed;
      // One that was acknowledged meanwhile is not wanted; one that is damaged is found by the check of all chunks.
      if (chunk.state !== 'removed' && !hasSystemCode(error, 'ENOENT')) {
        this.#parts.log.error('A chunk could not be read for a peer.', {
          category: cursor.category.name,
          chunk: chunk.name,
          error: errorMessage(error),
        });
      }
      this.#leave(cursor, chunk.index + 1);
      return undefined;
    }
  }

  #leave(cursor: Cursor, index: number): void {
    void cursor.feed?.close();
    this.#idle.delete(cursor);
    cursor.feed = undefined;
    cursor.index = index;
  }

  /** At the end of an open chunk: it stays open for what comes next, unless there are too many of these. */
  #rest(cursor: Cursor): void {
    this.#idle.delete(cursor);
    this.#idle.add(cursor);
    const [oldest] = this.#idle;
    if (this.#idle.size <= idleFeedCountMax || oldest === undefined) return;
    this.#idle.delete(oldest);
    void oldest.feed?.close();
  }
}

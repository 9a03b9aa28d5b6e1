import { ChangeSignal, type WaitLimits } from '../common/wait.js';
import type { GroupStart } from '../protocol/http-api.js';
import type { Category } from '../storage/category.js';
import type { Chunk } from '../storage/chunk.js';
import type { Store } from '../storage/store.js';

export interface StreamOptions {
  readonly category: string;
  /** What this group has acknowledged is left out. */
  readonly group: string;
  readonly from: GroupStart;
  /** Only the messages of this node; `undefined` for those of all. */
  readonly owner: string | undefined;
}

/** Where a stream stands in the chunks of one owner. */
interface OwnerPlace {
  readonly owner: string;
  /** The chunk that is being sent; `undefined` before the first one. */
  chunk: Chunk | undefined;
  /** The index of the chunk; -1 before the first one. */
  index: number;
  offset: number;
}

/** The next part of a chunk to send, up to the size that it has by now. */
export interface StreamTurn {
  readonly chunk: Chunk;
  readonly offset: number;
  /** Takes note that everything before the offset was sent. */
  sentTo(offset: number): void;
  /** Passes over what is left of the chunk, because its file is gone. */
  passOver(): void;
}

/**
 * Where a stream stands in a category: a place for each owner. Chunks that are acknowledged, by the group
 * before their turn or by all at any time, are passed over. It reads nothing itself.
 */
export class StreamCursor {
  readonly #store: Store;
  readonly #options: StreamOptions;
  #category: Category | undefined;
  /** The place whose turn comes next is in front. */
  #places: OwnerPlace[] = [];

  private constructor(store: Store, options: StreamOptions, category: Category | undefined) {
    this.#store = store;
    this.#options = options;
    this.#category = category;
  }

  /** With `from=latest`, what was stored when it resolves is not part of the stream, and all that follows is. */
  static async open(store: Store, options: StreamOptions): Promise<StreamCursor> {
    const category = await store.knownCategory(options.category);
    const cursor = new StreamCursor(store, options, category);
    if (options.from === 'latest') cursor.#skipWhatIsThere();
    return cursor;
  }

  /** What to send next, of the owners in turns; `undefined` when everything was sent. */
  next(): StreamTurn | undefined {
    this.#addNewOwners();
    for (let count = this.#places.length; count > 0; count -= 1) {
      const place = this.#places.shift() as OwnerPlace;
      this.#places.push(place);
      const chunk = this.#currentChunk(place);
      if (chunk === undefined || place.offset >= chunk.size) continue;
      const sentTo = (offset: number): void => {
        if (this.#category) this.#category.traffic.readBytes += offset - place.offset;
        place.offset = offset;
      };
      const passOver = (): void => {
        place.offset = chunk.size;
      };
      return { chunk, offset: place.offset, sentTo, passOver };
    }
    return undefined;
  }

  /** Waits until `next` may have something. To be called right after it had nothing. */
  async wait(limits: WaitLimits): Promise<void> {
    if (this.#category === undefined) {
      // Registered before the look, so that nothing is missed; a waiter that is left over does no harm.
      const changed = this.#store.categoriesChanged.wait(limits);
      this.#category = await this.#store.knownCategory(this.#options.category);
      return this.#category === undefined ? changed : undefined;
    }
    const open = this.#places.flatMap(({ chunk }) => (chunk?.state === 'open' ? [chunk] : []));
    const changes = [this.#category.view.changed, ...open.map((chunk) => chunk.changed)];
    return ChangeSignal.waitForAny(changes, limits);
  }

  #addNewOwners(): void {
    for (const owner of this.#category?.view.owners() ?? []) {
      if (owner !== (this.#options.owner ?? owner)) continue;
      if (this.#places.some((place) => place.owner === owner)) continue;
      this.#places.push({ owner, chunk: undefined, index: -1, offset: 0 });
    }
  }

  #skipWhatIsThere(): void {
    this.#addNewOwners();
    for (const place of this.#places) {
      place.chunk = this.#category?.view.lastChunk(place.owner);
      place.index = place.chunk?.index ?? -1;
      place.offset = place.chunk?.size ?? 0;
    }
  }

  /** The chunk of the place, or the one behind it when nothing can come of it any more. */
  #currentChunk(place: OwnerPlace): Chunk | undefined {
    for (;;) {
      const { chunk } = place;
      if (chunk?.state === 'open') return chunk;
      if (chunk?.state === 'sealed' && place.offset < chunk.size) return chunk;
      const next = this.#category?.view.nextChunk(place.owner, place.index, this.#options.group);
      if (next === undefined) return undefined;
      place.chunk = next;
      place.index = next.index;
      place.offset = 0;
    }
  }
}

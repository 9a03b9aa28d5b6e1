import { encodeFrame, frameKinds } from '../protocol/frames.js';
import {
  type AcksMessage,
  type HeldChunk,
  type InventoryMessage,
  listedCountMax,
} from '../protocol/replication.js';
import type { Category } from '../storage/category.js';
import type { Chunk } from '../storage/chunk.js';
import type { ReplicationParts } from './limits.js';

/**
 * What one peer is told besides messages: acknowledgements, and what this node holds of other nodes' chunks, and of
 * its own that may not be whole. Only names are kept of what is to be told, and the state is looked up when it is
 * sent, so a slow peer is told the last state, and not every one before it.
 */
export class NewsFeed {
  readonly #parts: ReplicationParts;
  readonly #send: (frame: Buffer) => void;
  readonly #acks = new Set<Category>();
  readonly #chunks = new Map<Category, Set<string>>();
  /** The number of the next size that the peer is to be told, by category. */
  readonly #nextSizes = new Map<string, number>();
  /** The sizes that were told of chunks that are not whole. */
  readonly #toldSizes = new Map<string, number>();
  #endsInventory = false;

  constructor(parts: ReplicationParts, send: (frame: Buffer) => void) {
    this.#parts = parts;
    this.#send = send;
  }

  /** Tells everything, from the beginning. */
  begin(categories: Iterable<Category>): void {
    for (const category of categories) {
      this.#acks.add(category);
      for (const chunk of category.view.chunks) this.chunkChanged(category, chunk);
    }
    this.#endsInventory = true;
  }

  acksChanged(category: Category): void {
    this.#acks.add(category);
  }

  chunkChanged(category: Category, chunk: Chunk): void {
    if (!this.#isTold(category, chunk)) return;
    const names = this.#chunks.get(category) ?? new Set();
    this.#chunks.set(category, names);
    names.add(chunk.name);
  }

  /** Tells of chunks that are not whole, and have more than was told. */
  tellGrowth(): void {
    for (const category of this.#parts.store.openCategories) {
      for (const chunk of category.copies) {
        const told = this.#toldSizes.get(`${category.name}/${chunk.name}`);
        if (told !== chunk.size) this.chunkChanged(category, chunk);
      }
    }
  }

  /** Sends one frame; tells whether there was anything to tell. */
  sendNext(): boolean {
    for (const category of this.#acks) {
      if (this.#sendAcks(category)) this.#acks.delete(category);
      return true;
    }
    for (const [category, names] of this.#chunks) {
      this.#sendInventory(category, names);
      if (names.size === 0) this.#chunks.delete(category);
      return true;
    }
    if (!this.#endsInventory) return false;
    this.#endsInventory = false;
    this.#send(encodeFrame(frameKinds.inventoryEnd));
    return true;
  }

  /** Of its own chunks the peer hears by their messages, unless they may not be whole here. */
  #isTold(category: Category, chunk: Chunk): boolean {
    const isOwn = chunk.owner === this.#parts.nodeName;
    const wasTold = this.#toldSizes.has(`${category.name}/${chunk.name}`);
    return !isOwn || wasTold || category.crcOfCopy(chunk.name) !== undefined;
  }

  /**
   * Tells whether all was sent. The sizes go first, and the acknowledgements with the last of them: the peer removes
   * what is acknowledged by all as soon as it knows, and has to know its size then.
   */
  #sendAcks(category: Category): boolean {
    const { states, sizes } = category.acks;
    const number = this.#nextSizes.get(category.name) ?? 0;
    const page = sizes.page(number, listedCountMax);
    const isLast = page.next === sizes.nextNumber;
    this.#nextSizes.set(category.name, page.next);
    const message: AcksMessage = {
      category: category.name,
      ...(isLast ? states.toRecords() : { groups: {}, expired: {} }),
      sizes: page.sizes,
      next: page.next,
    };
    this.#send(encodeFrame(frameKinds.acks, { text: JSON.stringify(message) }));
    return isLast;
  }

  #sendInventory(category: Category, names: Set<string>): void {
    const chunks: [string, HeldChunk | null][] = [];
    for (const name of names) {
      if (chunks.length === listedCountMax) break;
      names.delete(name);
      chunks.push([name, this.#heldOf(category, name)]);
    }
    const message: InventoryMessage = { category: category.name, chunks };
    this.#send(encodeFrame(frameKinds.inventory, { text: JSON.stringify(message) }));
  }

  #heldOf(category: Category, chunkName: string): HeldChunk | null {
    const chunk = category.view.chunk(chunkName);
    const place = `${category.name}/${chunkName}`;
    this.#toldSizes.delete(place);
    if (chunk === undefined || chunk.state === 'removed') return null;
    const { size, sealRecord } = chunk;
    if (sealRecord !== undefined) return { size, crc: sealRecord.crc, sealed: true };
    this.#toldSizes.set(place, size);
    return { size, crc: category.crcOfCopy(chunkName) ?? null, sealed: false };
  }
}

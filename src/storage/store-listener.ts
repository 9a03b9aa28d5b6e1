import type { Category } from './category.js';
import type { Chunk } from './chunk.js';

/**
 * Hears what happens in a store, so that peers can be told. Every method is called in the middle of the work:
 * it takes note and returns.
 */
export interface StoreListener {
  /** This node's own chunk has more bytes, or was sealed. */
  ownGrown(category: Category): void;
  /** A chunk appeared, was sealed, or is gone. */
  chunkChanged(category: Category, chunk: Chunk): void;
  /** The category's groups, or what they have acknowledged, have changed. */
  acksChanged(category: Category): void;
  /** The lowest index of an owner's chunks that peers hold and this node has to get still. */
  firstMissing(category: string, owner: string): number | undefined;
  /** Whether a peer has the chunk as it was sealed. */
  isHeldElsewhere(category: string, chunk: Chunk): boolean;
  /** An index of this node's own chunks in the category is about to be used; all below it may be used already. */
  indexesReserved(category: string, before: number): void;
}

/** What a node that stands alone needs to tell nobody. */
export const silentListener: StoreListener = {
  ownGrown: () => undefined,
  chunkChanged: () => undefined,
  acksChanged: () => undefined,
  firstMissing: () => undefined,
  isHeldElsewhere: () => false,
  indexesReserved: () => undefined,
};

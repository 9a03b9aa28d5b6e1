import type { Category } from '../storage/category.js';
import type { Inventory, InventoryEntry } from './inventory.js';

/** A peer as the plan sees it. */
export interface RepairSource {
  readonly peer: string;
  readonly inventory: Inventory;
  /** Whether the peer has sent all of its own chunks that it had when it began. */
  readonly isCaughtUp: boolean;
}

/** A chunk to ask a peer for. */
export interface RepairStep {
  readonly source: RepairSource;
  readonly entry: InventoryEntry;
  /** Where to go on. */
  readonly offset: number;
}

/**
 * What this node has to get of a category from peers that did not write it: chunks whose owner is away, or does not
 * have them any more, and this node's own that it has lost. The peer with the most of a chunk is asked.
 */
export function planRepair(
  category: Category,
  nodeName: string,
  sources: readonly RepairSource[],
): RepairStep[] {
  const steps = new Map<string, RepairStep>();
  for (const source of sources) {
    for (const entry of source.inventory.entries(category.name)) {
      const offset = missingFrom(category, entry);
      if (offset === undefined || isOwners(entry, nodeName, sources)) continue;
      const best = steps.get(entry.chunkName);
      if (best === undefined || hasMore(entry, best.entry)) {
        steps.set(entry.chunkName, { source, entry, offset });
      }
    }
  }
  return [...steps.values()].sort(
    (left, right) => left.entry.chunk.index - right.entry.chunk.index,
  );
}

/** The lowest index of an owner's chunks that a peer holds and this node has not got. */
export function firstMissingIndex(
  category: Category,
  owner: string,
  sources: readonly RepairSource[],
): number | undefined {
  let first: number | undefined;
  for (const { inventory } of sources) {
    for (const { chunk, chunkName, size } of inventory.entries(category.name)) {
      if (chunk.owner !== owner || size === 0 || chunk.index >= (first ?? Number.POSITIVE_INFINITY))
        continue;
      if (category.view.chunk(chunkName) === undefined && !category.view.isAckedByAll(chunk)) {
        first = chunk.index;
      }
    }
  }
  return first;
}

/** Where the copy here ends; `undefined` when nothing is missing in it. */
function missingFrom(category: Category, entry: InventoryEntry): number | undefined {
  const { chunk: name, chunkName, size, sealed } = entry;
  if (size === 0 || category.view.isAckedByAll(name)) return undefined;
  const chunk = category.view.chunk(chunkName);
  if (chunk === undefined) return 0;
  const isCopy = category.crcOfCopy(chunkName) !== undefined;
  if (chunk.state !== 'open' || !isCopy) return undefined;
  return chunk.size < size || (sealed && chunk.size === size) ? chunk.size : undefined;
}

/** Whether the owner is about to send the chunk by itself. */
function isOwners(
  { chunk }: InventoryEntry,
  nodeName: string,
  sources: readonly RepairSource[],
): boolean {
  if (chunk.owner === nodeName) return false;
  return sources.find(({ peer }) => peer === chunk.owner)?.isCaughtUp === false;
}

function hasMore(left: InventoryEntry, right: InventoryEntry): boolean {
  if (left.sealed !== right.sealed) return left.sealed;
  return left.size > right.size;
}

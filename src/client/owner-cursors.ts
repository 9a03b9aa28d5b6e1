import type { ListedChunk } from '../protocol/http-api.js';
import { parseChunkName } from '../protocol/names.js';
import type { OwnerPosition, OwnerPositions } from '../protocol/position.js';
import { type ListSource, OwnerCursor } from './owner-cursor.js';

/** The cursors of all owners of a category, and how far they are to read. */
export class OwnerCursors implements Iterable<OwnerCursor> {
  readonly #start: OwnerPositions;
  readonly #cursors = new Map<string, OwnerCursor>();
  /** The place behind the last message of each owner when the targets were set. */
  #targets: ReadonlyMap<string, OwnerPosition> | undefined;

  /** @param start where to begin; an owner that is missing begins at its first chunk */
  constructor(start: OwnerPositions) {
    this.#start = start;
  }

  [Symbol.iterator](): Iterator<OwnerCursor> {
    return this.#cursors.values();
  }

  /** Takes over a list. An owner that is not in it stays where it is. */
  update(chunks: readonly ListedChunk[], source: ListSource): void {
    const byOwner = groupByOwner(chunks);
    for (const owner of byOwner.keys()) {
      if (this.#cursors.has(owner)) continue;
      const start = this.#start[owner] ?? { index: 0, offset: 0 };
      this.#cursors.set(owner, new OwnerCursor(owner, start));
    }
    for (const cursor of this.#cursors.values()) {
      cursor.update(byOwner.get(cursor.owner) ?? [], source);
    }
  }

  /** Where each owner is processed to, also those that were not seen since the start. */
  positions(): OwnerPositions {
    const owners = new Map(Object.entries(this.#start));
    for (const cursor of this.#cursors.values()) owners.set(cursor.owner, cursor.processedTo);
    return Object.fromEntries(owners);
  }

  /** Reads no further than to the end of what is listed now. */
  endHere(): void {
    const targets = new Map<string, OwnerPosition>();
    for (const cursor of this.#cursors.values()) {
      const end = cursor.listedEnd();
      if (end !== undefined) targets.set(cursor.owner, end);
    }
    this.#targets = targets;
  }

  /** Whether everything up to the targets was handed out; never without targets. */
  get areAtTargets(): boolean {
    return (
      this.#targets !== undefined &&
      [...this.#cursors.values()].every((cursor) => this.isAtTarget(cursor))
    );
  }

  isAtTarget(cursor: OwnerCursor): boolean {
    if (this.#targets === undefined) return false;
    const target = this.#targets.get(cursor.owner);
    // Who came later has nothing that was there at the beginning.
    return target === undefined || cursor.hasReadTo(target) || cursor.plan() === undefined;
  }
}

function groupByOwner(chunks: readonly ListedChunk[]): Map<string, ListedChunk[]> {
  const byOwner = new Map<string, ListedChunk[]>();
  for (const chunk of chunks) {
    const owner = parseChunkName(chunk.name)?.owner;
    if (owner === undefined) continue;
    const owned = byOwner.get(owner) ?? [];
    byOwner.set(owner, owned);
    owned.push(chunk);
  }
  return byOwner;
}

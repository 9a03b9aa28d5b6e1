import { chunkIndexMax } from './limits.js';

/** Where a reader stands in the chunks of one owner: everything before it is done. */
export interface OwnerPosition {
  /** The index of the chunk. */
  readonly index: number;
  /** The offset in that chunk, in bytes. */
  readonly offset: number;
}

/** Where a reader stands, by owner; an owner that is missing was not read yet. */
export type OwnerPositions = Readonly<Record<string, OwnerPosition>>;

/** Where a reader stands in a category. */
export interface Position {
  /**
   * The id of the cluster, or of the lone node's data directory, whose chunks are meant. In another one
   * the same names stand for other messages.
   */
  readonly cluster: string;
  readonly owners: OwnerPositions;
}

/** Negative when `left` comes before `right`, 0 when they are the same place. */
export function compareOwnerPositions(left: OwnerPosition, right: OwnerPosition): number {
  return left.index - right.index || left.offset - right.offset;
}

/** Tells whether a value that was stored is a position. */
export function isPosition(value: unknown): value is Position {
  const position = value as Partial<Position> | null | undefined;
  return typeof position?.cluster === 'string' && isOwnerPositions(position.owners);
}

/** Tells whether a value from outside says where a reader stands. */
export function isOwnerPositions(value: unknown): value is OwnerPositions {
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value as Partial<OwnerPositions>).every(
    (place) =>
      isWithin(place?.index, chunkIndexMax) && isWithin(place?.offset, Number.MAX_SAFE_INTEGER),
  );
}

function isWithin(value: unknown, max: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max;
}

import type { Fingerprint } from './identity.js';

/** A place in a source between two batches. */
export interface Mark {
  /** In bytes of the source. */
  readonly offset: number;
  /** How many bytes of messages the source gave before it. */
  readonly given: number;
  /** Of the bytes of the source before it. */
  readonly marker: Fingerprint;
}

/** A part of a source. */
export interface Span {
  readonly from: number;
  readonly end: Mark;
}

/**
 * Knows what of a source was accepted, in whatever order that happens: everything before the low-water mark,
 * and the islands behind it. A part that was refused stays a hole for good.
 */
export class AckLedger {
  lowWater: Mark;
  /** Accepted parts behind the mark, ascending, none of which touches the next. */
  readonly islands: Span[] = [];
  /** How many batches are not settled. */
  unsettledCount = 0;

  constructor(lowWater: Mark, islands: readonly Span[] = []) {
    this.lowWater = lowWater;
    for (const { from, end } of islands) this.accept(from, end);
  }

  /** Notes that a part was accepted. */
  accept(from: number, end: Mark): void {
    const { islands } = this;
    if (end.offset <= this.lowWater.offset) return;
    const index = islands.findIndex((island) => island.from > from);
    islands.splice(index === -1 ? islands.length : index, 0, { from, end });
    for (let at = 0; at + 1 < islands.length; ) {
      const [left, right] = [islands[at] as Span, islands[at + 1] as Span];
      if (right.from > left.end.offset) at += 1;
      else {
        const last = right.end.offset > left.end.offset ? right.end : left.end;
        islands.splice(at, 2, { from: left.from, end: last });
      }
    }
    const [first] = islands;
    if (first === undefined || first.from > this.lowWater.offset) return;
    this.lowWater = first.end;
    islands.shift();
  }
}

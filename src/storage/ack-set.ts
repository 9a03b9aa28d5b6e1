/** The form of an {@link AckSet} on disk and on the wire. */
export interface AckSetRecord {
  readonly upTo: number;
  readonly extra: readonly number[];
}

/**
 * The indexes of one owner's chunks that one group has acknowledged: all up to `upTo`, and those of
 * `extra` beyond it. Adding is idempotent and the order does not matter, so two sets that have seen the
 * same acknowledgements are equal. The set stays small: what is contiguous is one number.
 */
export class AckSet {
  #upTo: number;
  readonly #extra: Set<number>;

  constructor(record: AckSetRecord = { upTo: -1, extra: [] }) {
    this.#upTo = record.upTo;
    this.#extra = new Set(record.extra.filter((index) => index > record.upTo));
    this.#absorb();
  }

  has(index: number): boolean {
    return index <= this.#upTo || this.#extra.has(index);
  }

  /** The highest acknowledged index; -1 when there is none. */
  get highest(): number {
    return Math.max(this.#upTo, ...this.#extra);
  }

  add(index: number): void {
    if (this.has(index)) return;
    this.#extra.add(index);
    this.#absorb();
  }

  /**
   * Records that no index below `floor` is waiting for an acknowledgement: each was acknowledged or
   * never used. Only the owner knows that, because a restart leaves gaps between the indexes.
   */
  raiseTo(floor: number): void {
    if (floor - 1 <= this.#upTo) return;
    this.#upTo = floor - 1;
    for (const index of this.#extra) if (index <= this.#upTo) this.#extra.delete(index);
    this.#absorb();
  }

  toRecord(): AckSetRecord {
    return { upTo: this.#upTo, extra: [...this.#extra].sort((left, right) => left - right) };
  }

  #absorb(): void {
    while (this.#extra.delete(this.#upTo + 1)) this.#upTo += 1;
  }
}

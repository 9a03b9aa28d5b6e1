/** A range of a file that was yielded and is not behind the low-water mark yet. */
interface LedgerEntry {
  readonly end: number;
  isAcked: boolean;
}

/**
 * Knows up to which offset of a file everything was acknowledged, in whatever order that happens. A
 * range that was not accepted stays in front of the mark for good.
 */
export class AckLedger {
  /** All before it was acknowledged, in bytes. */
  lowWater: number;
  readonly #entries: LedgerEntry[] = [];

  constructor(offset: number) {
    this.lowWater = offset;
  }

  /** True when there is nothing between the mark and what was yielded last. */
  get isSettled(): boolean {
    return this.#entries.length === 0;
  }

  /**
   * Notes that the bytes up to `end` were yielded, behind all that were noted before. The function that
   * it returns acknowledges them, and tells whether the mark moved.
   */
  add(end: number): () => boolean {
    const entry: LedgerEntry = { end, isAcked: false };
    this.#entries.push(entry);
    return () => {
      entry.isAcked = true;
      return this.#advance();
    };
  }

  #advance(): boolean {
    const count = this.#entries.findIndex((entry) => !entry.isAcked);
    const passed = this.#entries.splice(0, count === -1 ? this.#entries.length : count);
    const last = passed.at(-1);
    if (last === undefined) return false;
    this.lowWater = last.end;
    return true;
  }
}

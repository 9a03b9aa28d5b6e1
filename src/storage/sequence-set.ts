/** First and last sequence of a run without gaps. */
export type SequenceRange = readonly [first: number, last: number];

/** How many runs are remembered; a producer that gives up a batch leaves a gap, and that starts another. */
const rangeCountMax = 64;

/**
 * The sequences of one producer's batches that are stored. A producer counts up by one, so the set is one run
 * of numbers, or a few. When there are more than it remembers, it forgets the oldest; what lies there is
 * neither known to be stored nor known not to be.
 */
export class SequenceSet {
  /** In order, with at least one missing number between two. */
  #ranges: [first: number, last: number][];
  /** Below it nothing is known. */
  #forgottenBefore: number;

  constructor(ranges: readonly SequenceRange[] = [], forgottenBefore = 0) {
    this.#ranges = ranges.map(([first, last]) => [first, last]);
    this.#forgottenBefore = forgottenBefore;
  }

  find(sequence: number): 'stored' | 'new' | 'forgotten' {
    const last = this.#ranges.at(-1);
    if (last === undefined || sequence > last[1]) {
      return sequence < this.#forgottenBefore ? 'forgotten' : 'new';
    }
    if (this.#ranges.some(([first, end]) => first <= sequence && sequence <= end)) return 'stored';
    return sequence < this.#forgottenBefore ? 'forgotten' : 'new';
  }

  add(sequence: number): void {
    const last = this.#ranges.at(-1);
    if (last === undefined) {
      // Not by `push`, which makes room for 17: most producers never have a second run.
      this.#ranges = [[sequence, sequence]];
    } else if (sequence === last[1] + 1) last[1] = sequence;
    else if (sequence > last[1]) this.#ranges.push([sequence, sequence]);
    else this.#insert(sequence, sequence);
    this.#forget();
  }

  addAll(other: SequenceSet): void {
    for (const [first, last] of other.#ranges) this.#insert(first, last);
    this.#forgottenBefore = Math.max(this.#forgottenBefore, other.#forgottenBefore);
    this.#forget();
  }

  get ranges(): readonly SequenceRange[] {
    return this.#ranges;
  }

  get forgottenBefore(): number {
    return this.#forgottenBefore;
  }

  /** Joins the run with those that it overlaps or touches. */
  #insert(first: number, last: number): void {
    const joined: [number, number] = [first, last];
    const apart: [number, number][] = [];
    for (const range of this.#ranges) {
      if (range[1] + 1 < first || range[0] > last + 1) apart.push(range);
      else {
        joined[0] = Math.min(joined[0], range[0]);
        joined[1] = Math.max(joined[1], range[1]);
      }
    }
    apart.push(joined);
    this.#ranges = apart.sort((left, right) => left[0] - right[0]);
  }

  #forget(): void {
    while (this.#ranges.length > rangeCountMax) {
      const [oldest] = this.#ranges.splice(0, 1);
      if (oldest !== undefined) this.#forgottenBefore = oldest[1] + 1;
    }
  }
}

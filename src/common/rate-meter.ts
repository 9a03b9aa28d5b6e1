/** How far back a pace is taken from: long enough that acknowledgements, which come chunk by chunk, even out. */
const windowMs = 60_000;

interface Mark {
  readonly atMs: number;
  readonly total: number;
}

/** The pace of a number that grows, over the last minute. */
export class RateMeter {
  readonly #startsAnew: boolean;
  #marks: Mark[] = [];

  /**
   * @param startsAnew what a number that falls means: true for one that began anew, as that of a process does; false
   * for one that is made of two looks that are not quite of the same moment
   */
  constructor(startsAnew: boolean) {
    this.#startsAnew = startsAnew;
  }

  /** Takes the number as it is at a time, in milliseconds of a steady clock. */
  add(atMs: number, total: number): void {
    const last = this.#marks.at(-1);
    const hasFallen = last !== undefined && total < last.total;
    if (hasFallen && this.#startsAnew) this.#marks = [];
    const mark = { atMs, total: hasFallen && !this.#startsAnew ? last.total : total };
    this.#marks = [...this.#marks.filter((each) => atMs - each.atMs <= windowMs), mark];
  }

  /** By how much it grows in a second; `null` before there are two marks. */
  get perSecond(): number | null {
    const [first] = this.#marks;
    const last = this.#marks.at(-1);
    if (first === undefined || last === undefined || last.atMs === first.atMs) return null;
    return ((last.total - first.total) * 1_000) / (last.atMs - first.atMs);
  }
}

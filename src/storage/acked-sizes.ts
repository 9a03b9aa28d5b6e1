/** The size that a chunk had when it was acknowledged: its size for good. */
export type AckedSize = readonly [owner: string, index: number, size: number];

interface NumberedSize {
  readonly number: number;
  readonly size: AckedSize;
}

/**
 * How many sizes of a category are remembered, while a member is away or a group is slow: each change writes them all
 * anew, 30 bytes each. Of more, the newest half and the oldest half of this number stay. The oldest are of chunks that were
 * under way when the member left, and the newest of those that the others have just heard of; of what lies between nobody
 * has an unfinished copy, and if somebody has, it is stored again as a whole: twice, but not lost.
 */
export const ackedSizeCountMax = 4_096;

/**
 * The sizes of acknowledged chunks that some member of the cluster may still hold an unfinished copy of: what such
 * a copy has beyond is not acknowledged. They have numbers in the order in which they became known, so that a
 * peer is told each once, and those are forgotten that every peer has and this node needs no longer itself.
 */
export class AckedSizes {
  readonly #byChunk = new Map<string, AckedSize>();
  /** In the order of their numbers. */
  #log: NumberedSize[] = [];
  #nextNumber = 0;

  constructor(sizes: readonly AckedSize[] = []) {
    for (const size of sizes) this.add(size);
  }

  copy(): AckedSizes {
    const copy = new AckedSizes();
    copy.#log = [...this.#log];
    for (const { size } of this.#log) copy.#byChunk.set(keyOf(size[0], size[1]), size);
    copy.#nextNumber = this.#nextNumber;
    return copy;
  }

  /** The number that the next one gets; every one that is known has a lower one. */
  get nextNumber(): number {
    return this.#nextNumber;
  }

  find(owner: string, index: number): number | undefined {
    return this.#byChunk.get(keyOf(owner, index))?.[2];
  }

  /** Tells whether it was not known. */
  add(size: AckedSize): boolean {
    const key = keyOf(size[0], size[1]);
    if (this.#byChunk.has(key)) return false;
    this.#byChunk.set(key, size);
    this.#log.push({ number: this.#nextNumber, size });
    this.#nextNumber += 1;
    this.#forgetAboveLimit();
    return true;
  }

  /**
   * Says a size anew: it gets a new number, so that every peer is told again. One that had heard of it before may
   * have forgotten it, and hold another copy since.
   */
  renew(size: AckedSize): void {
    const key = keyOf(size[0], size[1]);
    const before = this.#byChunk.get(key);
    if (this.#byChunk.delete(key)) this.#log = this.#log.filter((known) => known.size !== before);
    this.add(size);
  }

  /** Those with this number or a higher one. */
  since(number: number): readonly AckedSize[] {
    return this.#numberedSince(number).map(({ size }) => size);
  }

  /** How many have this number or a higher one. */
  countSince(number: number): number {
    // Who asks has most of them as a rule, so the search goes back from the end.
    return this.#log.length - 1 - this.#log.findLastIndex((numbered) => numbered.number < number);
  }

  /** The first ones with this number or a higher one, and the number to go on with. */
  page(
    number: number,
    countMax: number,
  ): { readonly sizes: readonly AckedSize[]; readonly next: number } {
    const all = this.#numberedSince(number);
    const next = all[countMax]?.number ?? this.#nextNumber;
    return { sizes: all.slice(0, countMax).map(({ size }) => size), next };
  }

  /** Forgets those with lower numbers that are not needed here. */
  forgetBefore(before: number, isNeeded: (owner: string, index: number) => boolean): void {
    this.#log = this.#log.filter(({ number, size: [owner, index] }) => {
      if (number >= before || isNeeded(owner, index)) return true;
      this.#byChunk.delete(keyOf(owner, index));
      return false;
    });
  }

  #forgetAboveLimit(): void {
    if (this.#log.length <= ackedSizeCountMax) return;
    for (const { size } of this.#log.splice(ackedSizeCountMax / 2, 1)) {
      this.#byChunk.delete(keyOf(size[0], size[1]));
    }
  }

  #numberedSince(number: number): readonly NumberedSize[] {
    return this.#log.filter((numbered) => numbered.number >= number);
  }
}

function keyOf(owner: string, index: number): string {
  return `${owner} ${index}`;
}

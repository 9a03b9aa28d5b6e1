/** The size that a chunk had when it was acknowledged: its size for good. */
export type AckedSize = readonly [owner: string, index: number, size: number];

/**
 * The sizes of acknowledged chunks that some member of the cluster may still hold an unfinished copy of: what such
 * a copy has beyond is not acknowledged. They have numbers in the order in which they became known, so that a
 * peer is told each once, and all are forgotten that every peer has.
 */
export class AckedSizes {
  readonly #byChunk = new Map<string, AckedSize>();
  /** In the order of their numbers. */
  #log: AckedSize[] = [];
  #firstNumber = 0;

  constructor(sizes: readonly AckedSize[] = []) {
    for (const size of sizes) this.add(size);
  }

  copy(): AckedSizes {
    const copy = new AckedSizes(this.#log);
    copy.#firstNumber = this.#firstNumber;
    return copy;
  }

  /** The number that the next one gets; every one that is known has a lower one. */
  get nextNumber(): number {
    return this.#firstNumber + this.#log.length;
  }

  find(owner: string, index: number): number | undefined {
    return this.#byChunk.get(keyOf(owner, index))?.[2];
  }

  /** Tells whether it was not known. */
  add(size: AckedSize): boolean {
    const key = keyOf(size[0], size[1]);
    if (this.#byChunk.has(key)) return false;
    this.#byChunk.set(key, size);
    this.#log.push(size);
    return true;
  }

  /**
   * Says a size anew: it gets a new number, so that every peer is told again. One that had heard of it before may
   * have forgotten it, and hold another copy since.
   */
  renew(size: AckedSize): void {
    const [owner, index] = size;
    const at = this.#byChunk.has(keyOf(owner, index))
      ? this.#log.findIndex((other) => other[0] === owner && other[1] === index)
      : -1;
    if (at === -1) {
      this.add(size);
      return;
    }
    this.#log.splice(at, 1);
    this.#firstNumber += 1;
    this.#log.push(size);
  }

  /** Those with this number or a higher one. */
  since(number: number): readonly AckedSize[] {
    return this.#log.slice(Math.max(0, number - this.#firstNumber));
  }

  /** Forgets those with lower numbers. */
  forgetBefore(number: number): void {
    const count = Math.min(this.#log.length, Math.max(0, number - this.#firstNumber));
    for (const [owner, index] of this.#log.splice(0, count)) {
      this.#byChunk.delete(keyOf(owner, index));
    }
    this.#firstNumber += count;
  }
}

function keyOf(owner: string, index: number): string {
  return `${owner} ${index}`;
}

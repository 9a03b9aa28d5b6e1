import type { Random } from './random.js';

/** Repeatable randomness: mulberry32, https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  hex(byteCount: number): string {
    const byte = (): string => this.integer(0, 255).toString(16).padStart(2, '0');
    return Array.from({ length: byteCount }, byte).join('');
  }

  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.fraction() * (max - min + 1));
  }

  pick<T>(choices: readonly T[]): T {
    if (choices.length === 0) throw new RangeError('There is nothing to pick from');
    return choices[this.integer(0, choices.length - 1)] as T;
  }

  shuffle<T>(items: readonly T[]): T[] {
    return items
      .map((item) => [this.fraction(), item] as const)
      .sort(([left], [right]) => left - right)
      .map(([, item]) => item);
  }

  /** The bytes in pieces of random sizes; some may be empty. */
  split(bytes: Buffer, pieceCountMax: number): Buffer[] {
    const cuts = Array.from({ length: this.integer(0, pieceCountMax - 1) }, () =>
      this.integer(0, bytes.length),
    ).sort((left, right) => left - right);
    return [0, ...cuts].map((cut, index) => bytes.subarray(cut, cuts[index] ?? bytes.length));
  }
}

import { randomInt } from 'node:crypto';
import type { Test } from 'tap';
import type { Random } from '../../src/common/random.js';
import { errorMessage } from '../../src/protocol/chukcha-error.js';

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

/**
 * Runs the body with seeds that differ from run to run, or with the one of `CHUKCHA_TEST_SEED`. The body
 * throws when the property does not hold; the failure names the seed that shows it again.
 */
export async function checkProperty(
  t: Test,
  runCount: number,
  body: (random: SeededRandom) => void | Promise<void>,
): Promise<void> {
  const given = process.env['CHUKCHA_TEST_SEED'];
  const seeds =
    given === undefined
      ? Array.from({ length: runCount }, () => randomInt(2 ** 32))
      : [Number(given)];
  for (const seed of seeds) {
    try {
      await body(new SeededRandom(seed));
    } catch (error) {
      // Not `t.error`, which shows the error's own message in place of this one.
      t.fail(`run again with CHUKCHA_TEST_SEED=${seed}: ${errorMessage(error)}`, { cause: error });
      return;
    }
  }
  t.pass(`holds for ${seeds.length} seeds`);
}

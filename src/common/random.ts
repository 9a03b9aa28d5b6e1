import { randomBytes } from 'node:crypto';

/** Randomness as the rest of the code sees it, so that a test can seed it. */
export interface Random {
  /** A number from 0 up to, not including, 1. */
  fraction(): number;
  /** Lower-case hexadecimal digits, two for each byte; not guessable in the real implementation. */
  hex(byteCount: number): string;
}

export const systemRandom: Random = {
  fraction: () => Math.random(),
  hex: (byteCount) => randomBytes(byteCount).toString('hex'),
};

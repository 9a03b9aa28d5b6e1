import type { Random } from './random.js';

export interface BackoffOptions {
  readonly firstDelayMs: number;
  readonly delayMsMax: number;
}

/** 50 ms is shorter than a restart of a node takes; 5 s is long enough to leave a busy node alone. */
export const backoffDefaults: BackoffOptions = { firstDelayMs: 50, delayMsMax: 5_000 };

/**
 * Growing delays between tries: twice as long each time up to a limit, of which a random half is kept,
 * so that many clients do not come back at the same moment ("equal jitter",
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
 */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: Random;
  #ceilingMs: number;

  constructor(random: Random, options: BackoffOptions = backoffDefaults) {
    this.#options = options;
    this.#random = random;
    this.#ceilingMs = options.firstDelayMs;
  }

  nextDelayMs(): number {
    const ceilingMs = this.#ceilingMs;
    this.#ceilingMs = Math.min(ceilingMs * 2, this.#options.delayMsMax);
    return ceilingMs / 2 + (this.#random.fraction() * ceilingMs) / 2;
  }
}

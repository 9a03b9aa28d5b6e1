import type { Client } from '../client/client.js';
import { decideRetry, type RetryListener } from '../client/decide-retry.js';
import { retryOnNodes } from '../client/retry-on-nodes.js';
import type { Clock } from '../common/clock.js';
import { forEachLimited } from '../common/for-each-limited.js';
import type { Random } from '../common/random.js';
import { ChukchaError, errorCode } from '../protocol/chukcha-error.js';
import { type DeadLetter, deadLetterCategory, formatDeadLetter } from './dead-letter.js';

export interface DeadLetterBoxOptions {
  /** Called before each new try. */
  readonly onRetry: RetryListener | undefined;
  readonly giveUpAfterMs: number | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

/** How many letters are written at a time. */
const underWayCountMax = 8;

/**
 * Writes dead letters into the category of them. Each letter is a write under a name of its own, so one that is written
 * again after a kill is stored once.
 */
export class DeadLetterBox {
  readonly #client: Client;
  readonly #options: DeadLetterBoxOptions;

  constructor(client: Client, options: DeadLetterBoxOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Resolves when the bus has accepted all of them. Throws what it refuses for good. */
  async write(letters: readonly DeadLetter[], signal: AbortSignal): Promise<void> {
    await forEachLimited(letters, underWayCountMax, (letter) => this.#write(letter, signal));
  }

  async #write(letter: DeadLetter, signal: AbortSignal): Promise<void> {
    const category = deadLetterCategory(letter.category);
    if (category === undefined) {
      throw new ChukchaError(
        'invalid_name',
        `The name of category ${letter.category} is too long for a category of dead letters beside it: drain it with --bad-messages stop.`,
      );
    }
    const stamp = { producer: letter.id, sequence: 0 };
    const pieces = [formatDeadLetter(letter)];
    try {
      await retryOnNodes(
        this.#client,
        () => this.#client.write(category, pieces, { stamp, signal }),
        { ...this.#options, decide: decideRetry, signal },
      );
    } catch (error) {
      // It was written before, with another time in it.
      if (errorCode(error) !== 'sequence_reused') throw error;
    }
  }
}

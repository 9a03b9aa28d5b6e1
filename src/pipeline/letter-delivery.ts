import type { Output } from '@chukcha/plugin-api';
import { systemClock } from '../common/clock.js';
import { systemRandom } from '../common/random.js';
import { BatchDelivery } from './batch-delivery.js';
import type { DeadLetter } from './dead-letter.js';
import type { LetterFate } from './dead-letter-drawer.js';

/** How long the target may be away before a replay gives up. */
const giveUpAfterMs = 60_000;

/** Delivers dead letters, one by one, under the places that their messages had. */
export class LetterDelivery {
  readonly #output: Output;
  readonly #signal: AbortSignal;

  constructor(output: Output, signal: AbortSignal) {
    this.#output = output;
    this.#signal = signal;
  }

  /** Resolves with whether the target has it now. Throws `output_failed` when it cannot be reached. */
  async deliver(letter: DeadLetter): Promise<LetterFate> {
    let refusal: string | undefined;
    const { category, cluster, chunk, offset, message } = letter;
    const delivery = new BatchDelivery({
      output: this.#output,
      clock: systemClock,
      random: systemRandom,
      once: true,
      giveUpAfterMs,
      signal: this.#signal,
      writeSignal: this.#signal,
      onRetry: undefined,
      onRefused: async (_batch, [refused]) => {
        refusal = refused?.reason;
      },
      onSplit: async () => {},
      onHalfDelivered: async () => {},
      tokenOf: () => letter.id,
    });
    const end = await delivery.deliver({
      category,
      cluster,
      chunk,
      offset,
      bytes: message,
      messageCount: 1,
      token: letter.id,
    });
    this.#signal.throwIfAborted();
    if (end === 'delivered' && refusal === undefined) return { kind: 'done' };
    return refusal === undefined
      ? { kind: 'kept' }
      : { kind: 'kept', letter: { ...letter, reason: refusal } };
  }
}

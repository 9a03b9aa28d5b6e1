import {
  countNewlines,
  type Output,
  type OutputBatch,
  pluginErrorKind,
  type WriteOutcome,
} from '@chukcha/plugin-api';
import type { Client } from '../client/client.js';
import { Consumer } from '../client/consumer.js';
import type { ConsumerBatch, ConsumerOptions } from '../client/consumer-options.js';
import { type Clock, systemClock } from '../common/clock.js';
import { DrainLimit } from '../common/drain-limit.js';
import { type Random, systemRandom } from '../common/random.js';
import { type RetryDecision, retry } from '../common/retry.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { batchBytesMaxDefault } from '../protocol/limits.js';
import { isPosition } from '../protocol/position.js';
import type { StateJournal } from './state-journal.js';
import { StateSection } from './state-section.js';

export interface SinkOptions {
  readonly category: string;
  readonly group: string;
  /** When true, what only a person can mend ends the sink; else it waits for the mending. */
  readonly once: boolean;
  /** How the consumer behaves towards the node. */
  readonly consumer?: Pick<ConsumerOptions, 'onRetry' | 'batchBytesMax'>;
  /**
   * How long the node or the target may be away or busy before the sink throws, in milliseconds.
   * @default for ever
   */
  readonly giveUpAfterMs?: number;
  /** Called when the target failed and the same batch will be sent again. */
  readonly onOutputRetry?: (error: unknown, delayMs: number) => void;
  /** @default the system's */
  readonly clock?: Clock;
  readonly random?: Random;
}

/** When a run ends by itself: with everything delivered that was there at its start, or never. */
export type SinkUntil = 'end' | 'stopped';

/** How a run ended: at its end, by the signal, or because the target wants no more. */
export type SinkEnd = 'end' | 'stopped' | 'closed';

/** What a sink has done so far. */
export interface SinkTotals {
  deliveredBytes: number;
}

/** How much is delivered at a time: 4 MiB go about 1.4 times as fast as 1 MiB through a node on the same machine. */
const deliveryBytesMax = batchBytesMaxDefault;

/** How long a batch that is being delivered may take after a stop. */
const drainMs = 10_000;

/** The key of the position in the sink's state. */
const positionKey = 'position';

/** What only a person can mend is tried again this often: soon enough after the mending, seldom enough before. */
const operatorRetryMs = 30_000;

/**
 * Drains a category into an output, batch after batch: deliver, acknowledge, remember the position. A
 * batch whose delivery failed is sent again as the same bytes with the same token. After a kill, the batch
 * that was under way comes again; nothing is left out. It may be run several times, one after another.
 */
export class Sink {
  readonly totals: SinkTotals = { deliveredBytes: 0 };
  readonly #output: Output;
  readonly #client: Client;
  readonly #state: StateSection;
  readonly #options: SinkOptions;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(output: Output, client: Client, state: StateJournal, options: SinkOptions) {
    this.#output = output;
    this.#client = client;
    this.#state = new StateSection(state, 'sink');
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
  }

  /**
   * Resolves when the sink has reached its end, was stopped by the signal, or the target wants no more. The
   * batch that is being delivered when the signal comes is finished first, for ten seconds at most: given up
   * in the middle, it would come again in another cut, and its first lines twice. Throws `output_failed` for
   * messages that the target will never take, with the position in front of them.
   */
  async run(signal: AbortSignal, until: SinkUntil): Promise<SinkEnd> {
    const consumer = this.#createConsumer(until);
    const stop = (): void => void consumer.close();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const drain = new DrainLimit(signal, drainMs, this.#clock);
    try {
      for await (const batch of consumer) {
        const cluster = consumer.position()?.cluster ?? '';
        const end = await this.#deliver(batch, cluster, signal, drain.signal);
        if (end !== undefined) return end;
        this.totals.deliveredBytes += batch.bytes.length;
        batch.ack();
        await this.#state.set(positionKey, consumer.position());
        if (signal.aborted) break;
      }
      return signal.aborted ? 'stopped' : 'end';
    } finally {
      drain.release();
      signal.removeEventListener('abort', stop);
      await consumer.close();
    }
  }

  #createConsumer(until: SinkUntil): Consumer {
    const { category, group, consumer, giveUpAfterMs } = this.#options;
    const stored = this.#state.get(positionKey);
    if (stored !== undefined && !isPosition(stored)) {
      throw new ChukchaError(
        'directory_invalid',
        `The position in the state directory is not one (${JSON.stringify(stored).slice(0, 80)}): remove the directory to read everything again.`,
      );
    }
    return new Consumer(this.#client, {
      batchBytesMax: deliveryBytesMax,
      ...consumer,
      category,
      group,
      untilEnd: until === 'end',
      clock: this.#clock,
      random: this.#random,
      ...(giveUpAfterMs === undefined ? {} : { giveUpAfterMs }),
      ...(stored === undefined ? {} : { position: stored }),
    });
  }

  /** Sends until the target has taken the batch; returns how the run ends when it does not come to that. */
  async #deliver(
    batch: ConsumerBatch,
    cluster: string,
    signal: AbortSignal,
    writeSignal: AbortSignal,
  ): Promise<SinkEnd | undefined> {
    const outputBatch: OutputBatch = {
      category: batch.category,
      cluster,
      messageCount: countNewlines(batch.bytes),
      chunk: batch.chunk,
      offset: batch.offset,
      bytes: batch.bytes,
      token: `${batch.category}/${batch.chunk}/${batch.offset}-${batch.offset + batch.bytes.length}`,
    };
    const outcome = await this.#writeUntilTaken(outputBatch, signal, writeSignal);
    if (outcome === 'stopped' || outcome === 'closed') return outcome;
    checkOutcome(outcome, outputBatch);
    return undefined;
  }

  async #writeUntilTaken(
    batch: OutputBatch,
    signal: AbortSignal,
    writeSignal: AbortSignal,
  ): Promise<WriteOutcome | undefined | 'stopped' | 'closed'> {
    try {
      return await retry(() => this.#output.write(batch, writeSignal), {
        clock: this.#clock,
        random: this.#random,
        decide: (error) => this.#decideRetry(error, signal),
        onRetry: this.#options.onOutputRetry,
        giveUpAfterMs: this.#options.giveUpAfterMs,
        signal,
      });
    } catch (error) {
      if (pluginErrorKind(error) === 'closed') return 'closed';
      if (signal.aborted) return 'stopped';
      throw outputFailed(error, batch);
    }
  }

  #decideRetry(error: unknown, signal: AbortSignal): RetryDecision {
    if (signal.aborted) return 'fail';
    switch (pluginErrorKind(error)) {
      case 'transient':
        return 'back off';
      case 'operator':
        return this.#options.once ? 'fail' : { afterMs: operatorRetryMs };
      case 'data':
      case 'closed':
        return 'fail';
    }
  }
}

function checkOutcome(outcome: WriteOutcome | undefined, batch: OutputBatch): void {
  const [first] = outcome?.failures ?? [];
  if (first === undefined) return;
  throw new ChukchaError(
    'output_failed',
    `The target refused ${outcome?.failures.length} messages of ${batch.token}, the first of them number ${first.index} of the batch: ${first.reason}`,
  );
}

function outputFailed(cause: unknown, batch: OutputBatch): ChukchaError {
  return new ChukchaError(
    'output_failed',
    `Messages at ${batch.token} were not delivered: ${errorMessage(cause)}`,
    {
      cause,
    },
  );
}

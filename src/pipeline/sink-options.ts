import type { BatchingAdvice } from '@chukcha/plugin-api';
import type { ConsumerOptions } from '../client/consumer-options.js';
import type { Clock } from '../common/clock.js';
import type { Random } from '../common/random.js';

export interface SinkOptions {
  readonly category: string;
  readonly group: string;
  /** The name of the output, for dead letters. */
  readonly target: string;
  /** When true, what only a person can mend ends the sink; else it waits for the mending. */
  readonly once: boolean;
  /** How batches are cut; what is left out is as the output advises. */
  readonly batching?: BatchingAdvice;
  /**
   * What becomes of messages that the target will never take: they go into the category of dead letters, or the sink
   * stops in front of them. @default "dead_letter", and "stop" for a category of dead letters
   */
  readonly badMessages?: 'dead_letter' | 'stop';
  /** How the consumer behaves towards the node. */
  readonly consumer?: Pick<ConsumerOptions, 'onRetry'>;
  /**
   * How long the node or the target may be away or busy before the sink throws, in milliseconds.
   * @default for ever
   */
  readonly giveUpAfterMs?: number;
  /** Called when the target failed and the same batch will be sent again. */
  readonly onOutputRetry?: (error: unknown, delayMs: number) => void;
  /** Called when the target has taken a batch. */
  readonly onDelivered?: () => void;
  /** Called when messages became dead letters, with the reason of the first. */
  readonly onDeadLetters?: (reason: string) => void;
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
  deliveredMessages: number;
  /** Messages that the target will never take and that are dead letters now. */
  deadLetters: number;
}

import type { Clock } from '../common/clock.js';
import type { Random } from '../common/random.js';
import type { Position } from '../protocol/position.js';
import type { RetryListener } from './decide-retry.js';

export interface ConsumerOptions {
  readonly category: string;
  /** The group that the messages are read and acknowledged for. @default "default" */
  readonly group?: string;
  /**
   * Where to go on, from an earlier consumer's `position`. Without it the consumer starts at the oldest
   * message that the group has not acknowledged.
   */
  readonly position?: Position;
  /** When true, the iteration ends behind what the first node had when it began. @default false */
  readonly untilEnd?: boolean;
  /**
   * Whether the end of the iteration closes the consumer; else batches can be acknowledged after it, until `close`.
   * @default true
   */
  readonly closeAtEnd?: boolean;
  /**
   * Whether the group is registered, so that messages wait for it, and chunks that are sealed and processed
   * are acknowledged, which frees them. @default true
   */
  readonly acknowledge?: boolean;
  /** The most bytes of a batch; a larger message comes whole all the same. @default 1048576 */
  readonly batchBytesMax?: number;
  /** How long a node holds a read while there is nothing new, in milliseconds. @default 25000 */
  readonly pollMs?: number;
  /**
   * How long all nodes may be away, busy, or without what another node had shown before the iteration throws, in
   * milliseconds; each node is tried once in any case.
   * @default for ever
   */
  readonly giveUpAfterMs?: number;
  /** Called before each new try. */
  readonly onRetry?: RetryListener;
  /** @default the system's */
  readonly clock?: Clock;
  readonly random?: Random;
}

/** Some whole messages of one chunk. */
export interface ConsumerBatch {
  readonly category: string;
  readonly chunk: string;
  /** Where the batch starts in the chunk. */
  readonly offset: number;
  /** Messages, each ended by `\n`. Valid until `ack`: the buffer is used again then. */
  readonly bytes: Buffer;
  /** The batch is processed. A chunk that is sealed and processed is acknowledged to the node in the background. */
  ack(): void;
}

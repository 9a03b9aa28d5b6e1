import type { PluginOptions } from './options-schema.js';
import type { PluginLog } from './plugin-log.js';
import type { PluginMetrics } from './plugin-metrics.js';

/** The heavy part of an output plugin. */
export interface OutputModule {
  /** Checks that the target can be used. MUST throw a `PluginError` of kind `operator` for what only a person can mend. */
  open(options: PluginOptions, context: OutputContext): Promise<Output>;
  /**
   * Looks, step by step, whether messages could be delivered, and changes nothing. A step that makes the others
   * pointless is the last one. MUST NOT throw for what it was made to find out.
   */
  check?(options: PluginOptions, context: OutputContext): AsyncIterable<CheckStep>;
}

export interface OutputContext {
  readonly log: PluginLog;
  readonly metrics: PluginMetrics;
  /** The category that is drained. */
  readonly category: string;
  /** Resolves with some messages of the category, whole lines, at most 64 KiB; empty when there are none. */
  sample(): Promise<Uint8Array>;
}

/** One thing that was looked at. */
export interface CheckStep {
  /** What was looked at, in a few words: `reachable`, `rights`, `columns`. */
  readonly name: string;
  readonly result: 'ok' | 'warning' | 'failed';
  /** A sentence: what was found, with the value. */
  readonly detail: string;
  /** What mends it: the exact statement or command. */
  readonly fix?: string;
}

/** How the host cuts batches for an output. What the user asks for wins over it. */
export interface BatchingAdvice {
  /** The most bytes of a batch; a larger message comes by itself. */
  readonly bytesMax?: number;
  /** The most messages of a batch. */
  readonly messagesMax?: number;
  /** How long messages wait for company, in milliseconds; 0 gives what is there at once. */
  readonly lingerMs?: number;
  /** How many calls of `write` may be under way at a time, each for another batch. @default 1 */
  readonly inFlightMax?: number;
}

/**
 * A target for messages. Life: `open`, then calls of `write`, then `close`. Batching, retries and positions
 * belong to the host.
 */
export interface Output {
  /** How batches are to be cut; it may change while the output is open, all but `inFlightMax`. */
  readonly batching?: BatchingAdvice;
  /**
   * Whether a batch that was written twice with the same token, or whose messages were, is in the target once. Then
   * the host has it on disk how it was cut before it sends it. @default false
   */
  readonly isIdempotent?: boolean;
  /**
   * Resolves when the target has all messages of the batch but those that the outcome names. When it
   * throws, the host sends the same batch with the same token again or gives up, by the kind of the error,
   * so a target that knows tokens can drop the repetition. For a `data` error of a batch of several messages
   * the host halves the batch until it has found them; an output that knows which they are SHOULD name them
   * in the outcome instead, and the target has the others then. After an abort it SHOULD reject soon.
   */
  write(batch: OutputBatch, signal: AbortSignal): Promise<WriteOutcome | undefined>;
  /** Lets go of everything. MUST be idempotent. */
  close(): Promise<void>;
}

/** Some whole messages of one chunk, and where they stand there. */
export interface OutputBatch {
  readonly category: string;
  /** The id of the cluster: what chunk and offset name is unique in it, and not beyond. */
  readonly cluster: string;
  readonly chunk: string;
  /** Where the batch starts in the chunk, in bytes. */
  readonly offset: number;
  /** Messages, each ended by `\n`. MUST NOT be changed or kept beyond the call. */
  readonly bytes: Uint8Array;
  /** How many messages there are. */
  readonly messageCount: number;
  /** Names exactly these bytes, the same for every try and every run: at most 400 bytes of ASCII. */
  readonly token: string;
  /**
   * The messages that are still to be delivered, by their index, ascending, when an earlier outcome of this batch
   * has named some as `transient`: the target has, or has refused, all others. @default all
   */
  readonly only?: readonly number[];
}

export interface WriteOutcome {
  /** The messages that the target has not taken, each once; it has all others. */
  readonly failures: readonly MessageFailure[];
}

export interface MessageFailure {
  /** The place of the message in the batch, counted from 0. */
  readonly index: number;
  /** A sentence: what the target said about it. */
  readonly reason: string;
  /**
   * `data`: the target will never take it; it becomes a dead letter. `transient`: the host gives it again, by
   * `only`. @default "data"
   */
  readonly kind?: 'data' | 'transient';
}

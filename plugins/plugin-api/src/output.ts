import type { PluginOptions } from './options-schema.js';
import type { PluginLog } from './plugin-log.js';

/** The heavy part of an output plugin. */
export interface OutputModule {
  /** Checks that the target can be used. MUST throw a `PluginError` of kind `operator` for what only a person can mend. */
  open(options: PluginOptions, context: OutputContext): Promise<Output>;
}

export interface OutputContext {
  readonly log: PluginLog;
  /** The category that is drained. */
  readonly category: string;
}

/**
 * A target for messages. Life: `open`, then `write` one batch after another, then `close`. Batching,
 * retries and positions belong to the host.
 */
export interface Output {
  /**
   * Resolves when the target has all messages of the batch but those that the outcome names. When it
   * throws, the host sends the same batch with the same token again or gives up, by the kind of the error,
   * so a target that knows tokens can drop the repetition. After an abort it SHOULD reject soon.
   */
  write(batch: OutputBatch, signal: AbortSignal): Promise<WriteOutcome | undefined>;
  /** Lets go of everything. MUST be idempotent. */
  close(): Promise<void>;
}

/** Some whole messages of one chunk, and where they stand there. */
export interface OutputBatch {
  readonly category: string;
  readonly chunk: string;
  /** Where the batch starts in the chunk, in bytes. */
  readonly offset: number;
  /** Messages, each ended by `\n`. MUST NOT be changed or kept beyond the call. */
  readonly bytes: Uint8Array;
  /** Names exactly these bytes, the same for every try. */
  readonly token: string;
}

export interface WriteOutcome {
  /** The messages that the target will never take; all others were taken. */
  readonly failures: readonly MessageFailure[];
}

export interface MessageFailure {
  /** The place of the message in the batch, counted from 0. */
  readonly index: number;
  readonly reason: string;
}

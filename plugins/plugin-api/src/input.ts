import type { PluginOptions } from './options-schema.js';
import type { PluginLog } from './plugin-log.js';
import type { PluginState } from './plugin-state.js';

/** The heavy part of an input plugin. */
export interface InputModule {
  /**
   * Checks that the source can be read and makes it ready. MUST throw a `PluginError` of kind `operator`
   * for what only a person can mend, such as a file that does not exist.
   */
  open(options: PluginOptions, context: InputContext): Promise<Input>;
}

export interface InputContext {
  readonly log: PluginLog;
  /** Where checkpoints are kept. */
  readonly state: PluginState;
  /**
   * True when the input is to end once what is there now has been delivered. An input that has no end, such
   * as a server, MUST refuse it in `open` with a `PluginError` of kind `operator`.
   */
  readonly once: boolean;
  /** The largest message that the bus takes, in bytes with its newline. */
  readonly messageBytesMax: number;
  /** The largest batch that the bus takes, in bytes; at least `messageBytesMax`. */
  readonly batchBytesMax: number;
}

/**
 * A source of lines.
 *
 * Life: `open`, then `batches` once, then `close`. The host takes the next batch before the earlier ones
 * are settled; it settles every batch that it took with exactly one `ack` or `nack`, as soon as it knows,
 * unless the process is killed. `close` comes after that, also when `batches` threw.
 */
export interface Input {
  /**
   * Yields batches until the source has ended or the signal aborts; after an abort it MUST end soon
   * without an error. An input with checkpoints MUST NOT yield what was acknowledged in an earlier run
   * together with everything before it, and MUST yield again what was not. It may go on yielding after a
   * `nack`; the host decides when to stop.
   */
  batches(signal: AbortSignal): AsyncIterable<InputBatch>;
  /** Lets go of everything. MUST be idempotent. What was acknowledged is remembered when it resolves. */
  close(): Promise<void>;
}

/** Some whole lines, and how to say what became of them. */
export interface InputBatch {
  /**
   * One or more messages, each ended by `\n` and none above `messageBytesMax`, together at most
   * `batchBytesMax`. MUST NOT change before the batch is settled.
   */
  readonly bytes: Uint8Array;
  /** The category that the source asked for; the host's own when it is left out. */
  readonly category?: string;
  /**
   * The bus has accepted the batch. Batches may be settled out of order; a checkpoint MUST NOT move past
   * a batch that is not settled. MUST NOT throw for a second call.
   */
  ack(): Promise<void>;
  /** The bus did not accept the batch, and the host will not try again in this run. */
  nack(error: Error): Promise<void>;
}

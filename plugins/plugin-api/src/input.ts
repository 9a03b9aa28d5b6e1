import type { InputPositions } from './input-positions.js';
import type { PluginOptions } from './options-schema.js';
import type { PluginLog } from './plugin-log.js';
import type { PluginMetrics } from './plugin-metrics.js';
import type { JsonValue, PluginState } from './plugin-state.js';

/** The heavy part of an input plugin. */
export interface InputModule {
  /**
   * Checks that the source can be read and makes it ready. MUST throw a `PluginError` of kind `operator`
   * for what only a person can mend, such as a file that does not exist.
   */
  open(options: PluginOptions, context: InputContext): Promise<Input>;
  /**
   * The positions that an input of this kind keeps in a state, to be looked at and changed while none runs
   * with it. An input that remembers places SHOULD have it.
   */
  positions?(state: PluginState): InputPositions;
}

export interface InputContext {
  readonly log: PluginLog;
  readonly metrics: PluginMetrics;
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
  /**
   * For an input whose batches have a `range`: yields, in the order of the ranges, for each a batch with
   * exactly the bytes that it had in an earlier run, or `undefined` when they cannot be had any more. The
   * host calls it once before `batches`, when a run ended without knowing what became of them; what it is
   * given here MUST NOT come in `batches` too. Its batches are settled as all others are.
   */
  replay?(ranges: readonly JsonValue[], signal: AbortSignal): AsyncIterable<InputBatch | undefined>;
  /** What the input knows of each source, and why it gives something or does not. MUST be cheap. */
  explain?(): Promise<readonly SourceReport[]>;
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
  /** Where the messages come from. Without it, formats that name the source and give ids cannot be used. */
  readonly origin?: BatchOrigin;
  /**
   * What `replay` needs to yield exactly these bytes again in a later run; at most 4 KiB as JSON. With it, a
   * batch that may have been sent when the process was killed is sent again as the same write, which the
   * bus takes for the repetition that it is.
   */
  readonly range?: JsonValue;
  /**
   * Names these bytes for ever, as the one who sent them does (`[A-Za-z0-9_.-]{1,64}`): the batch is written by
   * itself, and the bus answers a second one of this name as the first without storing it again.
   */
  readonly idempotencyKey?: string;
  /**
   * The bus has accepted the batch. Batches may be settled out of order; a checkpoint MUST NOT move past
   * a batch that is not settled. MUST NOT throw for a second call.
   */
  ack(): Promise<void>;
  /** The bus did not accept the batch, and the host will not try again in this run. */
  nack(error: Error): Promise<void>;
}

/** Where the messages of a batch come from. */
export interface BatchOrigin {
  /** What people call the source, such as the path of a file. */
  readonly source: string;
  /** Tells the source from all others, also from a later one of the same name: `[A-Za-z0-9_-]{1,64}`. */
  readonly id: string;
  /**
   * How many bytes the source had given before this batch, since its beginning. The message at byte `n` of the
   * batch stands at `offset + n`, however the source is cut into batches, in every run.
   */
  readonly offset: number;
}

/** What an input says of one source. */
export interface SourceReport {
  readonly source: string;
  /** One word for machines, such as `reading`, `at_end`, `excluded`, `empty`, `no_permission`, `waiting`. */
  readonly state: string;
  /** A sentence for people: what is, and what would change it. */
  readonly detail: string;
  /** How far the bus has accepted the source, in bytes, when that is known. */
  readonly acceptedBytes?: number;
  /** How much the source has, in bytes, when that is known. */
  readonly sourceBytes?: number;
}

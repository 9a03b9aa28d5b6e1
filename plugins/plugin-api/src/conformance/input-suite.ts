import type { Input, InputContext } from '../input.js';
import type { InputPositions } from '../input-positions.js';
import type { PluginState } from '../plugin-state.js';

/** What the suite has to know about an input. */
export interface InputSuite {
  /** True for an input that keeps checkpoints: what was not accepted comes again in its next run. */
  readonly remembers: boolean;
  /** True for an input without an end, such as a server: it must refuse to be opened with `once`. */
  readonly endless: boolean;
  /** True for an input that says where its messages come from (`origin`). @default false */
  readonly originates?: boolean;
  /** True for an input that has `replay`, and a `range` with every batch; it has to remember. @default false */
  readonly replays?: boolean;
  /** True for an input that has `explain`. @default false */
  readonly explains?: boolean;
  /** The module's `positions`, when it has one. */
  positions?(state: PluginState): InputPositions;
  /** Makes a source that holds these lines in this order. A line has no `\n`; the source ends each with one. */
  createSource(lines: readonly Uint8Array[]): Promise<InputSource>;
}

/** A source of lines and the input on it. */
export interface InputSource {
  /** Opens the input on the source. Called once per run; a run starts when the one before is closed. */
  open(context: InputContext): Promise<Input>;
  /**
   * For a source that has to be told to send, such as the client of a server: called in each run, right
   * after `batches`. It must not wait, and must not mind that batches are refused.
   */
  feed?(): void;
  /** Lets go of the source. */
  close(): Promise<void>;
}

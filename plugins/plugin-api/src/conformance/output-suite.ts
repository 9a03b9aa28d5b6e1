import type { CheckStep, Output, OutputContext } from '../output.js';

/** What the suite has to know about an output. */
export interface OutputSuite {
  /** True for an output that says `isIdempotent`: a batch that is written twice is in the target once. @default false */
  readonly isIdempotent?: boolean;
  /** True when targets have `interrupt` and `restore`. @default false */
  readonly interrupts?: boolean;
  /** True when targets have `refuseOnce`. @default false */
  readonly refuses?: boolean;
  /** True when targets have `check`. @default false */
  readonly checks?: boolean;
  /** A message, ended by `\n`, that the target will never take; when there is one. */
  readonly badMessage?: Uint8Array;
  /** Makes an empty target. */
  createTarget(): Promise<OutputTarget>;
}

/** A target of messages and the output to it. */
export interface OutputTarget {
  open(context: OutputContext): Promise<Output>;
  /** All messages that the target has, each ended by `\n`, in the order in which they came. */
  received(): Promise<Uint8Array>;
  /** The module's `check`, when it has one. */
  check?(context: OutputContext): AsyncIterable<CheckStep>;
  /** Makes the target fail from now on as one that is away, for outputs of which that can be shown. */
  interrupt?(): Promise<void>;
  /** Ends an interruption. */
  restore?(): Promise<void>;
  /**
   * Has the target refuse these messages of the next batch, by their index, once, as one that is busy does; for outputs
   * that can tell which messages were taken.
   */
  refuseOnce?(indexes: readonly number[]): Promise<void>;
  /** Lets go of the target. */
  close(): Promise<void>;
}

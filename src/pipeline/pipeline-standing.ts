import { pluginErrorKind } from '@chukcha/plugin-api';
import type { Clock } from '../common/clock.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import type { FailureClass, PipelineState } from '../protocol/pipeline-report.js';

/** Which side of a pipeline has failed: the bus, or what the plugin works with. */
export type PipelineSide = 'bus' | 'plugin';

/** What failed last. */
export interface PipelineFailure {
  readonly sentence: string;
  readonly class: FailureClass;
}

/**
 * How a pipeline stands, put together from what its engine tells:
 *
 *     running --fails--> retrying, or stalled when a person has to mend it --success--> running
 *     any --another one has the lease--> standing by --it has not--> as before
 *
 * A failure stays known as the last one after it is over.
 */
export class PipelineStanding {
  /** How often something was tried again. */
  retryCount = 0;
  isStandingBy = false;
  readonly #clock: Clock;
  #lastFailure: PipelineFailure | undefined;
  #failingSide: PipelineSide | undefined;
  #failingSinceMs = 0;
  #succeededAtMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get state(): PipelineState {
    if (this.isStandingBy) return 'standing by';
    if (this.#failingSide === undefined) return 'running';
    return this.#lastFailure?.class === 'operator' ? 'stalled' : 'retrying';
  }

  get lastFailure(): PipelineFailure | undefined {
    return this.#lastFailure;
  }

  /** How long it has failed with no success in between; `undefined` when it does not fail now. */
  get secondsFailing(): number | undefined {
    if (this.#failingSide === undefined) return undefined;
    return (this.#clock.monotonicMs() - this.#failingSinceMs) / 1_000;
  }

  /** Since the bus or the target has taken something; `undefined` when it never has. */
  get secondsSinceSuccess(): number | undefined {
    if (this.#succeededAtMs === undefined) return undefined;
    return (this.#clock.monotonicMs() - this.#succeededAtMs) / 1_000;
  }

  /** Something failed, and is tried again. */
  noteRetry(error: unknown, side: PipelineSide): void {
    this.retryCount += 1;
    if (this.#failingSide === undefined) this.#failingSinceMs = this.#clock.monotonicMs();
    this.#failingSide = side;
    this.#lastFailure = { sentence: errorMessage(error), class: failureClassOf(error) };
  }

  /** Messages will never be taken, and are put aside; the work goes on. */
  noteRefused(reason: string): void {
    this.#lastFailure = { sentence: reason, class: 'data' };
  }

  /** The bus or the target has taken something. */
  noteSuccess(): void {
    this.#failingSide = undefined;
    this.#succeededAtMs = this.#clock.monotonicMs();
  }

  /** The bus has answered, so that it has nothing to do with a standstill any more. */
  noteBusAnswer(): void {
    if (this.#failingSide === 'bus') this.#failingSide = undefined;
  }
}

/** What a failure of a bus or a plugin asks for, also when it is wrapped. */
export function failureClassOf(error: unknown): FailureClass {
  if (error instanceof ChukchaError) {
    if (error.code === 'output_failed' && error.cause !== undefined) {
      return failureClassOf(error.cause);
    }
    return error.retryable ? 'transient' : 'operator';
  }
  const kind = pluginErrorKind(error);
  return kind === 'closed' ? 'transient' : kind;
}

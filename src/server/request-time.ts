import type { Clock } from '../common/clock.js';

/**
 * A moment of the clock in microseconds, as an integer of 32 bits that begins anew every 71 minutes: an object keeps such a
 * number in itself, where one with a fraction would be an object of its own.
 */
export function microsecondsNow(clock: Clock): number {
  // The bits above are cut off, which is what is wanted.
  return (clock.monotonicMs() * 1_000) | 0;
}

/** Right for durations of less than 35 minutes; a request that is not held is answered within seconds. */
export function microsecondsBetween(begunAt: number, endedAt: number): number {
  return (endedAt - begunAt) | 0;
}

/**
 * A request whose answer is measured: from the moment at which all of it is here and it is its turn, until its answer begins to
 * go out. What the client takes to send it and to read the answer is not the node's time. One that the node has held,
 * because it asked for that, begins when the wait is over.
 */
export interface TimedRequest {
  /** As `microsecondsNow` tells it. */
  begunAt: number;
}

/** The time of a request that comes through the HTTP server; routes say where it begins anew and where it ends. */
export class RequestTime implements TimedRequest {
  readonly #clock: Clock;
  begunAt: number;
  #microseconds: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.begunAt = microsecondsNow(clock);
  }

  /** The body is here, or it is the request's turn, or it is not held any more. */
  begin(): void {
    this.begunAt = microsecondsNow(this.#clock);
  }

  /** The answer begins to go out; what follows is left out. */
  end(): void {
    this.#microseconds ??= this.#untilNow();
  }

  /** Until `end` was called, or else until now. */
  get microseconds(): number {
    return this.#microseconds ?? this.#untilNow();
  }

  #untilNow(): number {
    return microsecondsBetween(this.begunAt, microsecondsNow(this.#clock));
  }
}

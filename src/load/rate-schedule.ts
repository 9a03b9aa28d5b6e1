/**
 * When each batch of a fixed rate is due: evenly spaced, the writers in turn. It does not know how long writes take, so
 * one that takes long makes those behind it late instead of rare, and their latency, counted from when they were due,
 * shows it.
 */
export class RateSchedule {
  readonly #startMs: number;
  readonly #intervalMs: number;
  readonly #writerCount: number;

  /** @param startMs of the clock that `dueMs` tells */
  constructor(options: {
    readonly startMs: number;
    readonly batchesPerSecond: number;
    readonly writerCount: number;
  }) {
    const { startMs, batchesPerSecond, writerCount } = options;
    if (!(batchesPerSecond > 0)) {
      throw new RangeError(`Expected more than 0 batches a second, got ${batchesPerSecond}`);
    }
    this.#startMs = startMs;
    this.#intervalMs = 1_000 / batchesPerSecond;
    this.#writerCount = writerCount;
  }

  /** When a writer's batch is due; both are counted from 0. */
  dueMs(writer: number, batch: number): number {
    // Multiplied and not added up, so that no error of rounding grows over hours.
    return this.#startMs + (batch * this.#writerCount + writer) * this.#intervalMs;
  }
}

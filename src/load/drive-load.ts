import { systemClock } from '../common/clock.js';
import { LoadReader } from './load-reader.js';
import type { LoadRun } from './load-run.js';
import { LoadWriter } from './load-writer.js';
import type { RateSchedule } from './rate-schedule.js';

/** How long nothing may come before what is missing counts as lost. */
const silentMsMax = 20_000;

export interface WriteLimits {
  readonly seconds: number;
  /** Ends the writing early. @default without a limit */
  readonly bytesMax?: number;
  /** When batches are due. @default when the last one is accepted */
  readonly schedule?: RateSchedule;
}

/** Writes until the time is over, so much is written, or the signal aborts. Throws what no try will change. */
export async function writeLoad(
  run: LoadRun,
  limits: WriteLimits,
  signal: AbortSignal,
): Promise<void> {
  const { seconds, bytesMax = Number.POSITIVE_INFINITY, schedule } = limits;
  const end = new AbortController();
  const ending = AbortSignal.any([signal, end.signal]);
  const writing = Array.from({ length: run.shape.writerCount }, async (_, index) => {
    const writer = new LoadWriter(run, index);
    try {
      if (schedule === undefined) await writer.runClosed(ending);
      else await writer.runPaced(schedule, ending);
    } finally {
      // One that cannot go on ends all.
      end.abort();
    }
  });
  const endMs = systemClock.monotonicMs() + seconds * 1_000;
  while (!ending.aborted && run.meter.writtenBytes < bytesMax) {
    const timeoutMs = endMs - systemClock.monotonicMs();
    if (timeoutMs <= 0) break;
    await run.meter.written.wait({ clock: systemClock, timeoutMs, signal: ending });
  }
  end.abort();
  await throwFirst(writing);
}

/** A reader beside the writers of a load. */
export class LiveReader {
  readonly reader: LoadReader;
  readonly #run: LoadRun;
  readonly #stop = new AbortController();
  readonly #ended = new AbortController();
  readonly #reading: Promise<void>;

  constructor(run: LoadRun) {
    this.#run = run;
    this.reader = new LoadReader(run);
    this.#reading = this.reader.run(this.#stop.signal).finally(() => {
      this.#ended.abort();
    });
    // `stop` tells of it.
    this.#reading.catch(() => undefined);
  }

  /** Aborts when it reads no more, also because it cannot go on: writing is of no use then. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /**
   * Resolves when everything that was accepted was found, nothing has come for a while, or the signal aborts: also what
   * was ended early is checked.
   */
  async findAll(signal: AbortSignal): Promise<void> {
    const { ledger, meter } = this.#run;
    const ending = AbortSignal.any([signal, this.ended]);
    let lastReadBytes = meter.readBytes;
    let silentSinceMs = systemClock.monotonicMs();
    while (!ledger.hasFoundAll && !ending.aborted) {
      const nowMs = systemClock.monotonicMs();
      if (meter.readBytes !== lastReadBytes) silentSinceMs = nowMs;
      lastReadBytes = meter.readBytes;
      const timeoutMs = silentSinceMs + silentMsMax - nowMs;
      if (timeoutMs <= 0) break;
      await meter.read.wait({ clock: systemClock, timeoutMs, signal: ending });
    }
  }

  /** Reads no more. Throws what had ended it before, if no try would have changed that. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#reading;
  }
}

/** Waits for all, also where one fails. */
async function throwFirst(promises: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(promises)) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}

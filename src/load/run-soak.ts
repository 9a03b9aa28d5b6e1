import { systemClock } from '../common/clock.js';
import { sleep } from '../common/wait.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import type { BenchOptions } from './bench-options.js';
import type { SoakFigures } from './bench-report.js';
import { LiveReader, writeLoad } from './drive-load.js';
import { LatencyHistogram } from './latency-histogram.js';
import { formatRate } from './load-rate.js';
import { LoadRun, type LoadShape } from './load-run.js';
import type { LoadTarget } from './load-target.js';
import { LoadWatch } from './load-watch.js';
import { RateSchedule } from './rate-schedule.js';
import { shapeOf } from './run-phases.js';
import { findGrowth } from './soak-growth.js';
import { SoakRow } from './soak-row.js';
import { SoakSampler } from './soak-sampler.js';

/** The maximal rate is measured for a tenth of the soak, within limits; the first third of that does not count. */
const measureShare = 0.1;
const measureSecondsMin = 2;
const measureSecondsMax = 20;
const warmUpShare = 1 / 3;

/** A table for people has at most so many rows. */
const summaryCountMax = 12;

export interface SoakOutcome {
  readonly soak: SoakFigures;
  readonly checkedRuns: readonly LoadRun[];
  /** What ended it before its time, as a sentence. */
  readonly failure: string | undefined;
}

/**
 * Holds a rate for long while one group reads, compares and acknowledges everything. The signal ends it early, and so
 * does what no try will change: what was measured for hours is told all the same.
 */
export async function runSoak(
  options: BenchOptions,
  target: LoadTarget,
  signal: AbortSignal,
): Promise<SoakOutcome> {
  const { rate, seconds, sync, minSyncReplicas, tell } = options;
  const shape: LoadShape = { ...shapeOf(options), sync, minSyncReplicas };
  const measuring = new LoadRun(shape, target.livePlace);
  const maximal = 'share' in rate ? await measureMaximum(options, target, measuring, signal) : null;
  const bytesPerSecond = 'share' in rate ? (maximal ?? 0) * rate.share : rate.bytesPerSecond;
  const run = new LoadRun(shape, target.livePlace);
  const sampler = new SoakSampler(run, target, { seconds, tell });
  tell(`holding ${formatRate(bytesPerSecond)} for ${seconds} s`);
  const watch = await LoadWatch.start(target);
  await sampler.start();
  const live = new LiveReader(run);
  const end = new AbortController();
  const ending = AbortSignal.any([signal, live.ended, end.signal]);
  const sampling = sampler.run(ending);
  const schedule = new RateSchedule({
    startMs: systemClock.monotonicMs(),
    batchesPerSecond: Math.max(bytesPerSecond / run.layout.byteCount, 1 / seconds),
    writerCount: shape.writerCount,
  });
  const writing = await failureOf(writeLoad(run, { seconds, schedule }, ending));
  // The last row may not be over yet.
  end.abort();
  await sampling;
  const figures = await watch.end(run, 'written', null);
  await live.findAll(target.ended);
  const reading = await failureOf(live.stop());
  return {
    soak: soakFigures({ maximal, bytesPerSecond, figures, sampler }),
    checkedRuns: target.ended.aborted ? [] : [measuring, run],
    failure: writing ?? reading,
  };
}

async function failureOf(work: Promise<void>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return errorMessage(error);
  }
}

function soakFigures(parts: {
  readonly maximal: number | null;
  readonly bytesPerSecond: number;
  readonly figures: SoakFigures['total'];
  readonly sampler: SoakSampler;
}): SoakFigures {
  const { maximal, bytesPerSecond, figures, sampler } = parts;
  const { rows } = sampler;
  const [write, endToEnd] = [new LatencyHistogram(), new LatencyHistogram()];
  for (const row of rows) {
    write.add(row.write);
    endToEnd.add(row.endToEnd);
  }
  const periods = rows.map((row) => row.period());
  const summaryLength = Math.ceil(rows.length / summaryCountMax);
  const groups = Array.from(
    { length: Math.ceil(rows.length / Math.max(1, summaryLength)) },
    (_, at) => rows.slice(at * summaryLength, (at + 1) * summaryLength),
  );
  return {
    maximalBytesPerSecond: maximal,
    bytesPerSecond: Math.round(bytesPerSecond),
    sampleSeconds: sampler.sampleMs / 1_000,
    total: { ...figures, latencyMs: write.summary(), endToEndMs: endToEnd.summary() },
    periods,
    summary: groups.map((group) => SoakRow.join(group).period()),
    growth: findGrowth(periods),
  };
}

/** What is written and read at the same time when both go as fast as they can, in bytes a second. */
async function measureMaximum(
  options: BenchOptions,
  target: LoadTarget,
  run: LoadRun,
  signal: AbortSignal,
): Promise<number> {
  const wanted = options.seconds * measureShare;
  const seconds = Math.min(Math.max(wanted, measureSecondsMin), measureSecondsMax);
  options.tell(`measuring the maximal rate for ${seconds} s`);
  const live = new LiveReader(run);
  try {
    const bytesPerSecond = await measureRate(run, seconds, AbortSignal.any([signal, live.ended]));
    options.tell(`the maximal rate is ${formatRate(bytesPerSecond)}`);
    await live.findAll(target.ended);
    return Math.round(bytesPerSecond);
  } finally {
    await live.stop();
    await target.discard();
  }
}

/** Writes as fast as that goes, and tells what the writers and the reader have both done after the first third. */
async function measureRate(run: LoadRun, seconds: number, signal: AbortSignal): Promise<number> {
  const { meter } = run;
  const writing = writeLoad(run, { seconds }, signal);
  // It is waited for below.
  writing.catch(() => undefined);
  await sleep(systemClock, seconds * warmUpShare * 1_000, signal).catch(() => undefined);
  const startMs = systemClock.monotonicMs();
  const { readBytes, writtenBytes } = meter;
  await writing;
  // The slower one of the two: what was only written, or only read of what had gathered, cannot be held.
  const bytes = Math.min(meter.readBytes - readBytes, meter.writtenBytes - writtenBytes);
  return (bytes * 1_000) / (systemClock.monotonicMs() - startMs);
}

import { systemClock } from '../common/clock.js';
import { formatBytes } from '../common/quantity.js';
import type { BenchOptions } from './bench-options.js';
import type { PhaseFigures } from './bench-report.js';
import { LiveReader, writeLoad } from './drive-load.js';
import { formatRate } from './load-rate.js';
import { LoadRun, type LoadShape } from './load-run.js';
import type { LoadTarget } from './load-target.js';
import { LoadWatch } from './load-watch.js';
import { RateSchedule } from './rate-schedule.js';

/** Loads all code and lets the compiler see it, before anything counts. */
const warmUpSecondsMax = 1;
const warmUpShare = 0.2;

export interface PhasesOutcome {
  readonly phases: readonly PhaseFigures[];
  /** Those of which everything was read. */
  readonly checkedRuns: readonly LoadRun[];
}

/** Measures one thing after the other. The signal ends it early; what was measured by then is told. */
export class PhasesRun {
  readonly #options: BenchOptions;
  readonly #target: LoadTarget;
  readonly #shape: LoadShape;
  readonly #phases: PhaseFigures[] = [];
  readonly #checkedRuns: LoadRun[] = [];

  constructor(options: BenchOptions, target: LoadTarget) {
    this.#options = options;
    this.#target = target;
    this.#shape = shapeOf(options);
  }

  async run(signal: AbortSignal): Promise<PhasesOutcome> {
    const { seconds, minSyncReplicas, writerCount } = this.#options;
    const shape = this.#shape;
    this.#options.tell('warming up');
    const warmUpSeconds = Math.min(warmUpSecondsMax, seconds * warmUpShare);
    const limits = { seconds: warmUpSeconds, bytesMax: this.#target.heldBytesMax };
    await writeLoad(new LoadRun(shape, this.#target.heldPlace), limits, signal);
    let written = await this.#write('write, 1 writer', { ...shape, writerCount: 1 }, signal);
    if (writerCount > 1)
      written = await this.#write(`write, ${writerCount} writers`, shape, signal);
    const bytesPerSecond = this.#moderateRate();
    await this.#read(written, signal);
    await this.#write('write, single lines', { ...shape, lineCount: 1 }, signal);
    await this.#write('write, sync_each_write', { ...shape, sync: true }, signal);
    if (minSyncReplicas > 0) {
      const name = `write, min_sync_replicas ${minSyncReplicas}`;
      await this.#write(name, { ...shape, minSyncReplicas }, signal);
    }
    await this.#endToEnd(bytesPerSecond, signal);
    return { phases: this.#phases, checkedRuns: this.#checkedRuns };
  }

  async #write(name: string, shape: LoadShape, signal: AbortSignal): Promise<LoadRun> {
    const { tell, seconds } = this.#options;
    const run = new LoadRun(shape, this.#target.heldPlace);
    if (signal.aborted) return run;
    await this.#target.discard();
    tell(`${name}: batches of ${formatBytes(run.layout.byteCount)}`);
    const watch = await LoadWatch.start(this.#target);
    await writeLoad(run, { seconds, bytesMax: this.#target.heldBytesMax }, signal);
    const { meter } = run;
    this.#phases.push({ name, ...(await watch.end(run, 'written', meter.writeLatency.summary())) });
    return run;
  }

  async #read(run: LoadRun, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const name = 'read, 1 reader';
    this.#options.tell(`${name}: ${formatBytes(run.meter.writtenBytes)}`);
    const watch = await LoadWatch.start(this.#target);
    const live = new LiveReader(run);
    try {
      await live.findAll(this.#target.ended);
      const figures = await watch.end(run, 'read', live.reader.waits.summary());
      this.#phases.push({ name, ...figures });
    } finally {
      await live.stop();
    }
    if (!this.#target.ended.aborted) this.#checkedRuns.push(run);
  }

  async #endToEnd(bytesPerSecond: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await this.#target.discard();
    const { tell, seconds } = this.#options;
    const shape = this.#shape;
    const name = `write and read, ${formatRate(bytesPerSecond)}`;
    tell(name);
    const run = new LoadRun(shape, this.#target.livePlace);
    const watch = await LoadWatch.start(this.#target);
    const live = new LiveReader(run);
    const schedule = new RateSchedule({
      startMs: systemClock.monotonicMs(),
      batchesPerSecond: bytesPerSecond / run.layout.byteCount,
      writerCount: shape.writerCount,
    });
    const { meter } = run;
    try {
      await writeLoad(run, { seconds, schedule }, AbortSignal.any([signal, live.ended]));
      const figures = await watch.end(run, 'written', meter.writeLatency.summary());
      await live.findAll(this.#target.ended);
      this.#phases.push({ name, ...figures, endToEndMs: meter.endToEndLatency.summary() });
    } finally {
      await live.stop();
    }
    if (!this.#target.ended.aborted) this.#checkedRuns.push(run);
  }

  /** A share is one of what was measured last. */
  #moderateRate(): number {
    const { rate, seconds } = this.#options;
    if ('bytesPerSecond' in rate) return rate.bytesPerSecond;
    // At least a batch in the whole phase.
    const leastBytesPerSecond = (this.#shape.lineBytes * this.#shape.lineCount) / seconds;
    const last = this.#phases.at(-1);
    const measured = last === undefined ? 0 : last.bytes / last.seconds;
    return Math.max(measured * rate.share, leastBytesPerSecond);
  }
}

/** Whole lines, and at least one. */
export function shapeOf(options: BenchOptions): LoadShape {
  const { writerCount, batchBytes, lineBytes } = options;
  const lineCount = Math.max(1, Math.floor(batchBytes / lineBytes));
  return { writerCount, lineBytes, lineCount, sync: false, minSyncReplicas: 0 };
}

import type { ProcessFigures } from '../processes/process-figures.js';
import type { SampledProcess, SoakPeriod } from './bench-report.js';
import { LatencyHistogram } from './latency-histogram.js';
import { busyOthers } from './load-watch.js';
import { median } from './median.js';

const MIB = 1024 ** 2;

/** What was seen at one moment of a soak. */
export interface SoakSample {
  readonly backlogBytes: number;
  readonly freeDiskBytes: number | undefined;
  readonly node: ProcessFigures | undefined;
  readonly loader: ProcessFigures | undefined;
  readonly machineCpuSeconds: number | undefined;
}

/** The part of a soak between two moments; its histograms are made with it, before the soak begins. */
export class SoakRow {
  readonly write = new LatencyHistogram();
  readonly endToEnd = new LatencyHistogram();
  readonly samples: SoakSample[] = [];
  /** The last one of the row before. */
  sampleBefore: SoakSample | undefined;
  writtenBytes = 0;
  errorCount = 0;
  startSeconds = 0;
  endSeconds = 0;

  /** Several rows that follow each other, as one. */
  static join(rows: readonly SoakRow[]): SoakRow {
    const joined = new SoakRow();
    joined.sampleBefore = rows[0]?.sampleBefore;
    joined.startSeconds = rows[0]?.startSeconds ?? 0;
    joined.endSeconds = rows.at(-1)?.endSeconds ?? 0;
    for (const row of rows) {
      joined.write.add(row.write);
      joined.endToEnd.add(row.endToEnd);
      joined.samples.push(...row.samples);
      joined.writtenBytes += row.writtenBytes;
      joined.errorCount += row.errorCount;
    }
    return joined;
  }

  period(): SoakPeriod {
    const seconds = this.endSeconds - this.startSeconds;
    const { samples } = this;
    return {
      endSeconds: Math.round(this.endSeconds),
      mibPerSecond: Math.round((this.writtenBytes / MIB / Math.max(seconds, 0.001)) * 10) / 10,
      writeMs: this.write.summary(),
      endToEndMs: this.endToEnd.summary(),
      errorCount: this.errorCount,
      backlogBytes: Math.max(0, ...samples.map(({ backlogBytes }) => backlogBytes)),
      freeDiskBytes: samples.at(-1)?.freeDiskBytes ?? null,
      node: this.#sampled(({ node }) => node),
      loader: this.#sampled(({ loader }) => loader),
      othersBusy: this.#othersBusy(seconds),
    };
  }

  #othersBusy(seconds: number): number | null {
    const [before, last] = [this.sampleBefore, this.samples.at(-1)].map((sample) =>
      sample?.machineCpuSeconds === undefined
        ? undefined
        : sample.machineCpuSeconds -
          (sample.node?.cpuSeconds ?? 0) -
          (sample.loader?.cpuSeconds ?? 0),
    );
    return before === undefined || last === undefined ? null : busyOthers(last - before, seconds);
  }

  #sampled(of: (sample: SoakSample) => ProcessFigures | undefined): SampledProcess | null {
    const known = this.samples.map(of).filter((figures) => figures !== undefined);
    const last = known.at(-1);
    const before = this.sampleBefore === undefined ? undefined : of(this.sampleBefore);
    if (last === undefined || before === undefined) return null;
    const seconds = Math.max(this.endSeconds - this.startSeconds, 0.001);
    return {
      residentBytes: median(known.map(({ residentBytes }) => residentBytes)),
      descriptorCount: median(known.map(({ descriptorCount }) => descriptorCount)),
      busy: Math.round(((last.cpuSeconds - before.cpuSeconds) / seconds) * 100) / 100,
    };
  }
}

import type { ProcessFigures } from '../processes/process-figures.js';
import type { SampledProcess, SoakPeriod } from './bench-report.js';
import { LatencyHistogram } from './latency-histogram.js';
import { median } from './median.js';

const MIB = 1024 ** 2;

/** What was seen at one moment of a soak. */
export interface SoakSample {
  readonly backlogBytes: number;
  readonly freeDiskBytes: number | undefined;
  readonly node: ProcessFigures | undefined;
  readonly loader: ProcessFigures | undefined;
}

/** The part of a soak between two moments; its histograms are made with it, before the soak begins. */
export class SoakRow {
  readonly write = new LatencyHistogram();
  readonly endToEnd = new LatencyHistogram();
  readonly samples: SoakSample[] = [];
  writtenBytes = 0;
  errorCount = 0;
  startSeconds = 0;
  endSeconds = 0;

  /** Several rows that follow each other, as one. */
  static join(rows: readonly SoakRow[]): SoakRow {
    const joined = new SoakRow();
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
      node: sampled(
        samples.map(({ node }) => node),
        seconds,
      ),
      loader: sampled(
        samples.map(({ loader }) => loader),
        seconds,
      ),
    };
  }
}

function sampled(
  samples: readonly (ProcessFigures | undefined)[],
  seconds: number,
): SampledProcess | null {
  const known = samples.filter((sample) => sample !== undefined);
  const [first, last] = [known[0], known.at(-1)];
  if (first === undefined || last === undefined) return null;
  return {
    residentBytes: median(known.map(({ residentBytes }) => residentBytes)),
    descriptorCount: median(known.map(({ descriptorCount }) => descriptorCount)),
    // Of n samples, the first one stands at the beginning.
    busy: Math.round(((last.cpuSeconds - first.cpuSeconds) / Math.max(seconds, 0.001)) * 100) / 100,
  };
}

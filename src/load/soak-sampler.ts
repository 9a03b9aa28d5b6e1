import { systemClock } from '../common/clock.js';
import { formatBytes } from '../common/quantity.js';
import { sleep } from '../common/wait.js';
import { readMachineCpuSeconds, readProcessFigures } from '../processes/process-figures.js';
import type { LatencySummary } from './latency-histogram.js';
import type { LoadRun } from './load-run.js';
import type { LoadTarget } from './load-target.js';
import { SoakRow, type SoakSample } from './soak-row.js';

/** A report has at most so many rows, however long the soak is. */
const rowCountMax = 60;

/** Between two samples: not so rare that a spike is missed, and not so often that looking costs anything. */
const sampleMsMin = 1_000;
const sampleMsMax = 10_000;
const sampleCountWanted = 360;

/** Looks at a soak now and then, and gathers what it sees and what is measured in rows. */
export class SoakSampler {
  readonly sampleMs: number;
  readonly #rowMs: number;
  readonly #rows: readonly SoakRow[];
  readonly #run: LoadRun;
  readonly #target: LoadTarget;
  readonly #tell: (sentence: string) => void;
  #startMs = 0;
  #lastSample: SoakSample | undefined;
  #rowIndex = 0;
  #rowWrittenBytes = 0;
  #rowErrorCount = 0;

  constructor(
    run: LoadRun,
    target: LoadTarget,
    options: { readonly seconds: number; readonly tell: (sentence: string) => void },
  ) {
    const totalMs = options.seconds * 1_000;
    this.sampleMs = Math.min(Math.max(totalMs / sampleCountWanted, sampleMsMin), sampleMsMax);
    const rowSampleCount = Math.ceil(totalMs / rowCountMax / this.sampleMs);
    this.#rowMs = rowSampleCount * this.sampleMs;
    this.#rows = Array.from({ length: Math.ceil(totalMs / this.#rowMs) }, () => new SoakRow());
    this.#run = run;
    this.#target = target;
    this.#tell = options.tell;
  }

  /** The rows that are whole. */
  get rows(): readonly SoakRow[] {
    return this.#rows.slice(0, this.#rowIndex);
  }

  /** Looks for the first time, and has everything that is measured from now on counted. */
  async start(): Promise<void> {
    this.#lastSample = await this.#look();
    this.#startMs = systemClock.monotonicMs();
    this.#openRow();
  }

  /** Samples until the last row is full or the signal aborts; a row that was begun is closed then. */
  async run(signal: AbortSignal): Promise<void> {
    for (let sample = 1; this.#rowIndex < this.#rows.length; sample += 1) {
      const dueMs = this.#startMs + sample * this.sampleMs;
      const waitMs = Math.max(0, dueMs - systemClock.monotonicMs());
      await sleep(systemClock, waitMs, signal).catch(() => undefined);
      this.#lastSample = await this.#look();
      this.#rows[this.#rowIndex]?.samples.push(this.#lastSample);
      const isRowOver = dueMs >= this.#startMs + (this.#rowIndex + 1) * this.#rowMs;
      if (isRowOver || signal.aborted) this.#closeRow();
      if (signal.aborted) return;
    }
  }

  #openRow(): void {
    const row = this.#rows[this.#rowIndex];
    const { meter } = this.#run;
    this.#rowWrittenBytes = meter.writtenBytes;
    this.#rowErrorCount = this.#errorCount;
    if (row === undefined) return;
    row.startSeconds = this.#seconds;
    row.sampleBefore = this.#lastSample;
    meter.writeLatency = row.write;
    meter.endToEndLatency = row.endToEnd;
  }

  async #look(): Promise<SoakSample> {
    const [node, loader, machineCpuSeconds, freeDiskBytes] = await Promise.all([
      this.#target.nodeFigures(),
      readProcessFigures(process.pid),
      readMachineCpuSeconds(),
      this.#target.freeBytes(),
    ]);
    const { backlogBytes } = this.#run.meter;
    return { backlogBytes, freeDiskBytes, node, loader, machineCpuSeconds };
  }

  #closeRow(): void {
    const row = this.#rows[this.#rowIndex];
    if (row === undefined) return;
    row.endSeconds = this.#seconds;
    row.writtenBytes = this.#run.meter.writtenBytes - this.#rowWrittenBytes;
    row.errorCount = this.#errorCount - this.#rowErrorCount;
    this.#rowIndex += 1;
    this.#openRow();
    const { mibPerSecond, writeMs, endToEndMs, node } = row.period();
    const memory = node === null ? '' : `, node holds ${formatBytes(node.residentBytes)}`;
    this.#tell(
      `${mibPerSecond} MiB/s, write ${describeLatency(writeMs)}, end to end ${describeLatency(endToEndMs)}${memory}`,
    );
  }

  get #seconds(): number {
    return (systemClock.monotonicMs() - this.#startMs) / 1_000;
  }

  get #errorCount(): number {
    return Object.values(this.#run.meter.errors).reduce((sum, count) => sum + count, 0);
  }
}

function describeLatency(latency: LatencySummary | null): string {
  if (latency === null) return 'nothing';
  return `p50 ${latency.p50.toFixed(1)} p99 ${latency.p99.toFixed(1)} ms`;
}

import type { LatencySummary } from './latency-histogram.js';
import type { TargetFacts } from './load-target.js';

/** What a process has used during a phase or a soak. */
interface ProcessUse {
  readonly cpuSeconds: number;
  readonly peakResidentBytes: number;
  readonly descriptorCount: number;
}

/** What came of one load. */
export interface LoadFigures {
  readonly writerCount: number;
  readonly batchBytes: number;
  readonly seconds: number;
  /** Accepted, or read where that is what was measured. */
  readonly bytes: number;
  readonly messages: number;
  readonly mibPerSecond: number;
  readonly messagesPerSecond: number;
  /** Milliseconds until a write was accepted, or until a reader had its next messages. */
  readonly latencyMs: LatencySummary | null;
  /** Milliseconds from when a batch was due until a reader had it whole; `null` where nobody read meanwhile. */
  readonly endToEndMs: LatencySummary | null;
  /** By code: tries that failed; most were made again. */
  readonly errors: Readonly<Record<string, number>>;
  /** Of the node that was started; `null` for others, and where the system does not tell. */
  readonly node: ProcessUse | null;
  /** Processor time of this process, which writes and reads, in seconds. */
  readonly loaderCpuSeconds: number;
  /**
   * Processors that everything else on this machine kept busy, also nodes that were named; `null` where the system does
   * not tell.
   */
  readonly othersBusy: number | null;
}

export interface PhaseFigures extends LoadFigures {
  readonly name: string;
}

/** What is wrong with what was read, in batches. */
export interface CheckFigures {
  readonly checkedBatches: number;
  readonly lost: number;
  readonly duplicate: number;
  readonly corrupt: number;
  /** The first ones that are corrupt. */
  readonly sentences: readonly string[];
}

/** Some time of a soak; memory, descriptors and processor time are the medians of its samples. */
export interface SoakPeriod {
  /** Since the beginning of the soak. */
  readonly endSeconds: number;
  readonly mibPerSecond: number;
  readonly writeMs: LatencySummary | null;
  readonly endToEndMs: LatencySummary | null;
  readonly errorCount: number;
  /** The most that was not read yet. */
  readonly backlogBytes: number;
  /** At the end; `null` where nobody may know. */
  readonly freeDiskBytes: number | null;
  readonly node: SampledProcess | null;
  readonly loader: SampledProcess | null;
  /** As in {@link LoadFigures}. */
  readonly othersBusy: number | null;
}

export interface SampledProcess {
  readonly residentBytes: number;
  readonly descriptorCount: number;
  /** Processors that it kept busy. */
  readonly busy: number;
}

/** What a figure of a soak was in its first third and in its last one: the medians of the periods. */
export interface Growth {
  readonly what: string;
  readonly unit: 'bytes' | 'ms' | 'count';
  readonly first: number;
  readonly last: number;
  /** Whether the difference is more than what comes and goes; see `docs/performance.md`. */
  readonly hasGrown: boolean;
}

export interface SoakFigures {
  /** What was found to be the maximal rate; `null` where a rate was given. */
  readonly maximalBytesPerSecond: number | null;
  /** What was to be held. */
  readonly bytesPerSecond: number;
  readonly sampleSeconds: number;
  readonly total: LoadFigures;
  /** At most 60, and the same in at most 12. */
  readonly periods: readonly SoakPeriod[];
  readonly summary: readonly SoakPeriod[];
  /** None when the soak was too short to have thirds. */
  readonly growth: readonly Growth[];
}

/** What `chukcha bench` has found; `docs/performance.md` tells how to read it. */
export interface BenchReport {
  readonly kind: 'phases' | 'soak';
  /** Whether everything was done, and everything that was accepted was read as it was written. */
  readonly passed: boolean;
  /** Why not, as sentences. */
  readonly problems: readonly string[];
  readonly startedAt: string;
  readonly totalSeconds: number;
  /** Whether it was ended early. */
  readonly interrupted: boolean;
  readonly versions: { readonly node: string; readonly chukcha: string };
  readonly machine: string;
  readonly target: TargetFacts;
  readonly options: {
    readonly seconds: number;
    readonly writers: number;
    readonly batchBytes: number;
    readonly lineBytes: number;
    readonly syncEachWrite: boolean;
    readonly minSyncReplicas: number;
    readonly rate: string;
  };
  readonly phases: readonly PhaseFigures[];
  readonly soak: SoakFigures | null;
  readonly check: CheckFigures;
  /** What stays at nodes that were named. */
  readonly left: readonly string[];
}

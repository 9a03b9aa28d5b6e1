import type { LoadRate } from './load-rate.js';
import type { LoadTargetOptions } from './load-target.js';

/** What `chukcha bench` was asked for. */
export interface BenchOptions {
  readonly target: LoadTargetOptions;
  /** One load for a long time, instead of one phase after the other. */
  readonly isSoak: boolean;
  /** Of each phase, or of the whole soak. */
  readonly seconds: number;
  readonly writerCount: number;
  readonly batchBytes: number;
  readonly lineBytes: number;
  /** Of the soak; the phases have one of their own for it. */
  readonly sync: boolean;
  readonly minSyncReplicas: number;
  /** Of the soak, or of the phase that measures from end to end. */
  readonly rate: LoadRate;
  /** Of this program. */
  readonly version: string;
  /** Is told what happens. */
  readonly tell: (sentence: string) => void;
}

import { cpuUsage } from 'node:process';
import { systemClock } from '../common/clock.js';
import { type ProcessFigures, readMachineCpuSeconds } from '../processes/process-figures.js';
import type { LoadFigures } from './bench-report.js';
import type { LoadRun } from './load-run.js';
import type { LoadTarget } from './load-target.js';

const MIB = 1024 ** 2;

/** Measures what a load takes between two moments. */
export class LoadWatch {
  readonly #target: LoadTarget;
  readonly #startMs: number;
  readonly #startCpu: NodeJS.CpuUsage;
  readonly #startNode: ProcessFigures | undefined;
  readonly #startMachineSeconds: number | undefined;

  private constructor(
    target: LoadTarget,
    startNode: ProcessFigures | undefined,
    startMachineSeconds: number | undefined,
  ) {
    this.#target = target;
    this.#startNode = startNode;
    this.#startMachineSeconds = startMachineSeconds;
    this.#startCpu = cpuUsage();
    this.#startMs = systemClock.monotonicMs();
  }

  static async start(target: LoadTarget): Promise<LoadWatch> {
    return new LoadWatch(target, await target.nodeFigures(), await readMachineCpuSeconds());
  }

  /** @param measured what was read, where that is what was measured */
  async end(
    run: LoadRun,
    measured: 'written' | 'read',
    latencyMs: LoadFigures['latencyMs'],
  ): Promise<LoadFigures> {
    const seconds = (systemClock.monotonicMs() - this.#startMs) / 1_000;
    const { user, system } = cpuUsage(this.#startCpu);
    const loaderCpuSeconds = (user + system) / 1e6;
    const node = await this.#nodeUse();
    const ownSeconds = loaderCpuSeconds + (node?.cpuSeconds ?? 0);
    const { meter, shape, layout } = run;
    const bytes = measured === 'read' ? meter.readBytes : meter.writtenBytes;
    const messages = measured === 'read' ? meter.readMessages : meter.writtenMessages;
    return {
      writerCount: shape.writerCount,
      batchBytes: layout.byteCount,
      seconds: Math.round(seconds * 1_000) / 1_000,
      bytes,
      messages,
      mibPerSecond: Math.round((bytes / MIB / seconds) * 10) / 10,
      messagesPerSecond: Math.round(messages / seconds),
      latencyMs,
      endToEndMs: null,
      errors: meter.errors,
      node,
      loaderCpuSeconds,
      othersBusy: await this.#othersBusy(ownSeconds, seconds),
    };
  }

  async #othersBusy(ownSeconds: number, seconds: number): Promise<number | null> {
    const machineSeconds = await readMachineCpuSeconds();
    if (machineSeconds === undefined || this.#startMachineSeconds === undefined) return null;
    return busyOthers(machineSeconds - this.#startMachineSeconds - ownSeconds, seconds);
  }

  async #nodeUse(): Promise<LoadFigures['node']> {
    const end = await this.#target.nodeFigures();
    if (end === undefined || this.#startNode === undefined) return null;
    const { cpuSeconds, peakResidentBytes, descriptorCount } = end;
    return {
      cpuSeconds: Math.round((cpuSeconds - this.#startNode.cpuSeconds) * 100) / 100,
      peakResidentBytes,
      descriptorCount,
    };
  }
}

/** Processor time is counted in ticks, so that it can come out a little below nothing. */
export function busyOthers(cpuSeconds: number, seconds: number): number {
  return Math.max(0, Math.round((cpuSeconds / Math.max(seconds, 0.001)) * 100) / 100);
}

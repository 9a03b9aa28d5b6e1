import { cpuUsage } from 'node:process';
import { systemClock } from '../common/clock.js';
import type { ProcessFigures } from '../processes/process-figures.js';
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

  private constructor(target: LoadTarget, startNode: ProcessFigures | undefined) {
    this.#target = target;
    this.#startNode = startNode;
    this.#startCpu = cpuUsage();
    this.#startMs = systemClock.monotonicMs();
  }

  static async start(target: LoadTarget): Promise<LoadWatch> {
    return new LoadWatch(target, await target.nodeFigures());
  }

  /** @param measured what was read, where that is what was measured */
  async end(
    run: LoadRun,
    measured: 'written' | 'read',
    latencyMs: LoadFigures['latencyMs'],
  ): Promise<LoadFigures> {
    const seconds = (systemClock.monotonicMs() - this.#startMs) / 1_000;
    const { user, system } = cpuUsage(this.#startCpu);
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
      node: await this.#nodeUse(),
      loaderCpuSeconds: (user + system) / 1e6,
    };
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

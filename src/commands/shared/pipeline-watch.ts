import type { Logger } from '../../common/logger.js';
import type { PipelineReporter } from '../../pipeline/pipeline-reporter.js';
import type { PipelineKind } from '../../protocol/pipeline-report.js';
import { createReporter } from './create-reporter.js';
import type { CredentialValues } from './credential-flags.js';
import type { MonitorOptions } from './monitor/monitor-options.js';
import type { Monitor } from './monitor/start-monitor.js';
import type { TaskReport } from './monitor/task-report.js';
import type { WatchedPipeline } from './watched-pipeline.js';

/** A pipeline to be shown, and the nodes that it works with. */
export interface ShownPipeline {
  readonly kind: PipelineKind;
  readonly name: string;
  readonly server: string;
  readonly credentials?: CredentialValues;
  readonly watched: WatchedPipeline;
}

/** Shows how the pipelines of a command stand: on its monitor, when one is asked for, and at the nodes that they work with. */
export class PipelineWatch {
  readonly #shown: ShownPipeline[] = [];
  readonly #reporters: PipelineReporter[] = [];
  #monitor: Monitor | undefined;

  /** Starts the monitor. Throws `invalid_option` for one that cannot be. */
  static async open(options: MonitorOptions | undefined, log: Logger): Promise<PipelineWatch> {
    const watch = new PipelineWatch();
    if (options !== undefined) {
      const { startMonitor } = await import('./monitor/start-monitor.js');
      watch.#monitor = await startMonitor(options, () => watch.#shown.map(describe), log);
    }
    return watch;
  }

  /** Shows a pipeline from now on. */
  add(shown: ShownPipeline): void {
    const { watched } = shown;
    this.#shown.push(shown);
    const report = async () => {
      await watched.refresh();
      return watched.report();
    };
    const reporter = createReporter({ ...shown, category: watched.category, report });
    this.#reporters.push(reporter);
    reporter.start();
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await Promise.all([this.#monitor?.close(), ...this.#reporters.map((each) => each.close())]);
    this.#monitor = undefined;
  }
}

function describe({ kind, name, watched }: ShownPipeline): TaskReport {
  const pipeline = watched.report();
  const { bytes, deadLetters, readBytes } = watched.totals;
  return {
    kind,
    name,
    state: pipeline.state,
    restarts: 0,
    lastError: pipeline.lastError ?? undefined,
    secondsFailing: watched.secondsFailing,
    bytes,
    deadLetters,
    readBytes,
    figures: watched.figures,
    category: watched.category,
    pipeline,
  };
}

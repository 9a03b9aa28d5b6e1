import { createHash } from 'node:crypto';
import { watch } from 'node:fs';
import { join, resolve } from 'node:path';
import { Args, Flags } from '@oclif/core';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { BaseCommand } from './shared/base-command.js';
import { relaxHeapLimit } from './shared/heap-limit.js';
import { logFlags } from './shared/log-flags.js';
import { monitorFlags } from './shared/monitor/monitor-options.js';
import type { TaskReport } from './shared/monitor/task-report.js';
import type { RunFile } from './shared/run-file.js';
import type { RunSet } from './shared/run-set.js';
import { runUntilSignal } from './shared/run-until-signal.js';

/** How often it is told how everything stands. */
const reportMs = 60_000;

/** An editor writes a file in several steps. */
const watchSettleMs = 300;

const hashLength = 8;

export default class Run extends BaseCommand {
  static override summary = 'Run nodes, ships and sinks that a file describes, in one process.';

  static override description =
    'Each of them runs by itself: one that fails is started again with growing delays, and the others go on. SIGHUP, or a ' +
    'change of the file with --watch, has the file read again: what has changed in it is stopped where everything under ' +
    'way is acknowledged, and started anew; a file with a mistake is refused, and everything runs on. Values may refer to ' +
    `the environment (\${NAME}, \${NAME:-default}) and to files (\${file:/run/secrets/password}). --schema prints a JSON ` +
    'Schema for editors. `chukcha check FILE` looks whether it would work.';

  static override examples = [
    '<%= config.bin %> run pipelines.yaml',
    '<%= config.bin %> run pipelines.yaml --watch --monitor 127.0.0.1:9600',
    '<%= config.bin %> run --schema > pipelines.schema.json',
  ];

  static override args = {
    file: Args.string({ description: 'YAML file of nodes, ships and sinks' }),
  };

  static override flags = {
    watch: Flags.boolean({ description: 'read the file again when it has changed' }),
    ...monitorFlags,
    schema: Flags.boolean({ description: 'print the JSON Schema of such a file, and end' }),
    ...logFlags,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Run);
    if (flags.schema) {
      const { runFileSchema } = await import('./shared/run-file-schema.js');
      this.log(JSON.stringify(runFileSchema, undefined, 2));
      return;
    }
    const path = args.file;
    if (path === undefined) {
      throw new ChukchaError(
        'invalid_option',
        'No file was named: expected `chukcha run FILE`, with a YAML file of nodes, ships and sinks.',
      );
    }
    relaxHeapLimit();
    const { findPlugins } = await import('./shared/plugins.js');
    const { readRunFile } = await import('./shared/run-file.js');
    const { stateBaseDirectory } = await import('./shared/pipeline-state.js');
    const { RunSet } = await import('./shared/run-set.js');
    const { resolveMonitor, splitMonitorValues } = await import(
      './shared/monitor/monitor-options.js'
    );
    const monitorOptions = resolveMonitor(splitMonitorValues(flags).monitor);
    const registry = await findPlugins(this.config, (sentence) => this.say(sentence));
    const file = await readRunFile(path, registry);
    const given = { 'log-level': flags['log-level'], 'log-format': flags['log-format'] };
    await this.#logAs(file, given);
    const hash = createHash('sha256').update(resolve(path)).digest('hex').slice(0, hashLength);
    const set = new RunSet(file.state ?? join(stateBaseDirectory(), `run-${hash}`), this.logger);
    const { startMonitor } = await import('./shared/monitor/start-monitor.js');
    const monitor =
      monitorOptions && (await startMonitor(monitorOptions, () => set.reports, this.logger));
    const reload = async (): Promise<void> => {
      await monitor?.reload();
      try {
        const changed = await readRunFile(path, registry);
        await this.#logAs(changed, given);
        await set.apply(changed);
        this.logger.info('The file was read again, and what has changed in it is done.', { path });
      } catch (error) {
        this.logger.error('The file was read again and is refused; everything runs on.', {
          path,
          error: errorMessage(error),
        });
      }
    };
    await runUntilSignal(async (signal) => {
      const stopWatching = this.#watch(flags.watch ? path : undefined, reload);
      await set.apply(file);
      const reporting = setInterval(() => this.#report(set), reportMs);
      if (!signal.aborted)
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      clearInterval(reporting);
      stopWatching();
      await set.stop();
    }).finally(() => monitor?.close());
  }

  #watch(path: string | undefined, reload: () => Promise<void>): () => void {
    const onSignal = (): void => void reload();
    process.on('SIGHUP', onSignal);
    let timer: NodeJS.Timeout | undefined;
    // The directory, because editors put a new file in the place of the old one.
    const watcher =
      path === undefined
        ? undefined
        : watch(resolve(path, '..'), () => {
            clearTimeout(timer);
            timer = setTimeout(onSignal, watchSettleMs);
          });
    return () => {
      process.off('SIGHUP', onSignal);
      clearTimeout(timer);
      watcher?.close();
    };
  }

  /** Flags go before what the file says. */
  async #logAs(
    { log }: RunFile,
    given: Readonly<Record<string, string | undefined>>,
  ): Promise<void> {
    const flags = Object.entries(given).filter(([, value]) => value !== undefined);
    await this.takeLogOptions({ ...log, ...Object.fromEntries(flags) });
  }

  #report(set: RunSet): void {
    for (const report of set.reports) this.logger.info('How it stands.', fieldsOf(report));
  }
}

function fieldsOf({ kind, name, state, bytes, restarts, deadLetters, lastError }: TaskReport) {
  const common = { kind, name, state, bytes, restarts };
  return {
    ...common,
    ...(deadLetters === 0 ? {} : { deadLetters }),
    ...(lastError === undefined ? {} : { lastError }),
  };
}

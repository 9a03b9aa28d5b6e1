import { setTimeout as sleep } from 'node:timers/promises';
import { Flags } from '@oclif/core';
import { BaseCommand } from './shared/base-command.js';
import { credentialFlags, readCredentials } from './shared/credential-flags.js';
import { environmentName, jsonFlag, serverFlag } from './shared/flags.js';
import { runUntilSignal } from './shared/run-until-signal.js';
import type { TopView } from './shared/top/top-view.js';

export default class Top extends BaseCommand {
  static override summary = 'Watch nodes, groups and pipelines: rates, backlogs, errors.';

  static override description =
    'Shows all nodes of the cluster that the given ones belong to. WRITTEN and ACKED are of the last minute; groups ' +
    'acknowledge chunk by chunk, so ACKED stands still and then jumps. Pipelines are those that report to these nodes, and those of --monitor. On a terminal the table is drawn in place until ' +
    'q is pressed; elsewhere a table is printed for each look. With --json, each look is a line.';

  static override examples = [
    '<%= config.bin %> top',
    '<%= config.bin %> top --server http://10.0.0.5:8080 --monitor http://10.0.0.9:9600',
    '<%= config.bin %> top --once --json',
  ];

  static override flags = {
    server: serverFlag,
    ...credentialFlags,
    monitor: Flags.string({
      description: 'addresses of processes started by `run --monitor`, with commas between',
      env: environmentName('monitors'),
    }),
    interval: Flags.integer({
      description: 'seconds between two looks',
      default: 2,
      min: 1,
      max: 3_600,
    }),
    once: Flags.boolean({
      description: 'look twice, one interval apart, print one table, and end',
    }),
    json: jsonFlag,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Top);
    const { TopSampler } = await import('./shared/top/top-sampler.js');
    const sampler = new TopSampler({
      servers: flags.server.split(','),
      credentials: await readCredentials(flags),
      monitors: flags.monitor?.split(',') ?? [],
    });
    const intervalMs = flags.interval * 1_000;
    if (flags.once) {
      await sampler.sample();
      await sleep(intervalMs);
      const view = await sampler.sample();
      await this.#print(view, flags.json);
      if (!view.nodes.some(({ version }) => version !== null)) {
        this.say(`No node answered at ${flags.server}: name one that runs with --server.`);
        process.exitCode = 1;
      }
      return;
    }
    await runUntilSignal(async (signal) => {
      const quit = new AbortController();
      const ended = AbortSignal.any([signal, quit.signal]);
      const show = await this.#opened(() => quit.abort(), flags.json);
      try {
        while (!ended.aborted) {
          await show.view(await sampler.sample(ended));
          await sleep(intervalMs, undefined, { signal: ended }).catch(() => undefined);
        }
      } finally {
        show.close();
      }
    });
  }

  /** Where views go: the terminal's second screen, or lines. */
  async #opened(
    onQuit: () => void,
    json: boolean,
  ): Promise<{ view: (view: TopView) => Promise<void>; close: () => void }> {
    const isScreen = process.stdout.isTTY && process.env['TERM'] !== 'dumb' && !json;
    if (!isScreen) {
      return { view: (view) => this.#print(view, json), close: () => undefined };
    }
    const { TopScreen } = await import('./shared/top/top-screen.js');
    const { formatTop } = await import('./shared/top/format-top.js');
    const screen = new TopScreen(process.stdout, process.stdin, onQuit);
    screen.open();
    screen.show(['Looking...']);
    return {
      view: async (view) => {
        screen.show([`chukcha top  ${view.at}  q ends it`, '', ...formatTop(view)]);
      },
      close: () => screen.close(),
    };
  }

  async #print(view: TopView, json: boolean): Promise<void> {
    const { formatTop } = await import('./shared/top/format-top.js');
    this.printData(view, [view.at, ...formatTop(view), ''], json);
  }
}

import { Flags } from '@oclif/core';
import { sinkOptionsSchema } from '../pipeline/pipeline-schemas.js';
import { BaseCommand } from './shared/base-command.js';
import { credentialFlags, readCredentials, splitCredentials } from './shared/credential-flags.js';
import { configFlag, giveUpOption, onceFlag, settingFlag, stateFlag } from './shared/flags.js';
import { relaxHeapLimit } from './shared/heap-limit.js';
import { logFlags } from './shared/log-flags.js';
import {
  monitorFlags,
  resolveMonitor,
  splitMonitorValues,
} from './shared/monitor/monitor-options.js';
import { runUntilSignal } from './shared/run-until-signal.js';
import { flagsFromSchema } from './shared/schema-flags.js';

export default class Sink extends BaseCommand {
  static override summary = 'Drain a category of the bus into an output.';

  static override description =
    'What was delivered is remembered in the state directory, and acknowledged to the node chunk by chunk, ' +
    'which frees the space once every group has done so. With --once, the command ends with 0 when ' +
    'everything that was in the category at its start is delivered. SIGINT or SIGTERM finishes the batch ' +
    'that is being delivered, for up to 10 s, and ends with 0; what was not delivered comes with the next run.';

  static override examples = [
    '<%= config.bin %> sink --to stdout',
    '<%= config.bin %> sink --to stdout --category web --group archive --once > web.log',
    '<%= config.bin %> sink --to clickhouse://localhost/default/logs --check',
  ];

  static override flags = {
    ...flagsFromSchema(sinkOptionsSchema),
    ...credentialFlags,
    ...monitorFlags,
    once: onceFlag,
    state: stateFlag,
    set: settingFlag(),
    config: configFlag,
    ...logFlags,
    check: Flags.boolean({
      description: 'look whether the target could take the messages, deliver nothing, and end',
    }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Sink);
    const { once, state: stateDirectory, set, config, check, ...rest } = flags;
    relaxHeapLimit();
    const { withConfigFile } = await import('./shared/config-file.js');
    const { resolveSinkSettings } = await import('../pipeline/pipeline-settings.js');
    const options = splitMonitorValues(
      await this.takeLogOptions(await withConfigFile(config, rest)),
    );
    const monitor = resolveMonitor(options.monitor);
    const { credentials, given } = splitCredentials(options.rest);
    const settings = resolveSinkSettings(given);
    const { category, group, server, to } = settings;
    const { chooseOutput, findPlugins } = await import('./shared/plugins.js');
    const registry = await findPlugins(this.config, (sentence) => this.say(sentence));
    const { plugin, options: pluginOptions } = chooseOutput(registry, to, set);
    const { Client } = await import('../client/client.js');
    const client = new Client({ server, ...(await readCredentials(credentials)) });
    if (check) {
      const { printCheck } = await import('./shared/output-check.js');
      const isFine = await printCheck(
        { plugin, options: pluginOptions, client, category, log: this.logger },
        (line) => this.log(line),
      ).finally(() => client.close());
      if (!isFine) process.exitCode = 1;
      return;
    }
    const { defaultStateDirectory, nameOfState, openPipelineState } = await import(
      './shared/pipeline-state.js'
    );
    // By the first address, so that nodes can be added behind it.
    const directory =
      stateDirectory ??
      defaultStateDirectory({ verb: 'sink', category, parts: [group, client.servers[0]] });
    const { openShownSink, runAlone } = await import('./shared/sink-run.js');
    const { waitForNode } = await import('./shared/wait-for-node.js');
    const { PipelineWatch } = await import('./shared/pipeline-watch.js');
    const watch = await PipelineWatch.open(monitor, this.logger);
    await runUntilSignal(async (signal) => {
      await waitForNode(client, settings.retrySeconds, signal);
      const state = await openPipelineState(directory);
      try {
        const opened = await openShownSink({
          plugin,
          pluginOptions,
          settings,
          client,
          once,
          ...giveUpOption(settings.retrySeconds, once),
          state: state.journal,
          log: this.logger,
        });
        const { watched, progress, close } = opened;
        watch.add({ kind: 'sink', name: nameOfState(directory), server, credentials, watched });
        try {
          const standBy = (holder: string): void =>
            this.say(
              `Standing by: ${holder} drains category ${category} for group ${group}. This one goes on when that one ends.`,
            );
          const until = once ? 'end' : 'stopped';
          const place = { client, settings, state: state.journal };
          await runAlone(place, opened, standBy, signal, until);
        } finally {
          progress.finish();
          await close();
        }
      } finally {
        client.close();
        await state.close();
      }
    }).finally(() => watch.close());
  }
}

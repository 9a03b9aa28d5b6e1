import { Flags } from '@oclif/core';
import { shipOptionsSchema } from '../pipeline/pipeline-schemas.js';
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

export default class Ship extends BaseCommand {
  static override summary = 'Ship lines from an input into the bus.';

  static override description =
    'What the bus has accepted is remembered in the state directory and is not shipped again by the next ' +
    'run; what it has not accepted is. With --once, the command ends with 0 when the input is at its end ' +
    'and all of it is accepted. SIGINT or SIGTERM stops reading and waits up to 10 s for what was read to be ' +
    'accepted, then ends with 0, or with 1 and a sentence when it was not.';

  static override examples = [
    '<%= config.bin %> ship --from file:/var/log/app.log',
    "<%= config.bin %> ship --from 'file:/var/log/**/*.log' --category web",
    'cat app.log | <%= config.bin %> ship --from stdin',
  ];

  static override flags = {
    ...flagsFromSchema(shipOptionsSchema),
    ...credentialFlags,
    ...monitorFlags,
    once: onceFlag,
    state: stateFlag,
    set: settingFlag(),
    config: configFlag,
    ...logFlags,
    explain: Flags.boolean({
      description: 'say of each source why it moves or does not, ship nothing, and end',
    }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Ship);
    const { once, state: stateDirectory, set, config, explain, ...rest } = flags;
    relaxHeapLimit();
    const { withConfigFile } = await import('./shared/config-file.js');
    const { resolveShipSettings } = await import('../pipeline/pipeline-settings.js');
    const options = splitMonitorValues(
      await this.takeLogOptions(await withConfigFile(config, rest)),
    );
    const monitor = resolveMonitor(options.monitor);
    const { credentials, given } = splitCredentials(options.rest);
    const settings = resolveShipSettings(given);
    const { from, category, server } = settings;
    const { chooseInput, findPlugins } = await import('./shared/plugins.js');
    const registry = await findPlugins(this.config, (sentence) => this.say(sentence));
    const { plugin, options: pluginOptions } = chooseInput(registry, from, set);
    const { Client } = await import('../client/client.js');
    const client = new Client({ server, ...(await readCredentials(credentials)) });
    const { defaultStateDirectory, nameOfState, openPipelineState } = await import(
      './shared/pipeline-state.js'
    );
    // By the first address, so that nodes can be added behind it.
    const directory =
      stateDirectory ??
      defaultStateDirectory({ verb: 'ship', category, parts: [from, client.servers[0]] });
    if (explain) {
      const { explainShip } = await import('./shared/ship-explain.js');
      const lines = await explainShip({
        plugin,
        options: pluginOptions,
        client,
        directory,
        log: this.logger,
      });
      for (const line of lines) this.log(line);
      client.close();
      return;
    }
    const { rememberAbout } = await import('./shared/ship-states.js');
    const { runShip } = await import('./shared/ship-run.js');
    const { waitForNode } = await import('./shared/wait-for-node.js');
    const { PipelineWatch } = await import('./shared/pipeline-watch.js');
    const watch = await PipelineWatch.open(monitor, this.logger);
    await runUntilSignal(async (signal) => {
      const { batchBytesMax } = await waitForNode(client, settings.retrySeconds, signal);
      const state = await openPipelineState(directory);
      const name = nameOfState(directory);
      try {
        await rememberAbout(state.journal, { from, category, server });
        await runShip(
          {
            plugin,
            pluginOptions,
            settings,
            client,
            once,
            batchBytesMax,
            ...giveUpOption(settings.retrySeconds, once),
            state: state.journal,
            log: this.logger,
          },
          signal,
          (watched) => watch.add({ kind: 'ship', name, server, credentials, watched }),
        );
      } finally {
        client.close();
        await state.close();
      }
    }).finally(() => watch.close());
  }
}

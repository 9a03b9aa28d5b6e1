import { Flags } from '@oclif/core';
import { BaseCommand } from './shared/base-command.js';
import { credentialFlags, readCredentials } from './shared/credential-flags.js';
import {
  categoryFlag,
  environmentName,
  giveUpOption,
  minSyncReplicasFlag,
  onceFlag,
  replicasOption,
  retryForFlag,
  serverFlag,
  settingFlag,
  stateFlag,
  syncFlag,
} from './shared/flags.js';
import { relaxHeapLimit } from './shared/heap-limit.js';
import { runUntilSignal } from './shared/run-until-signal.js';

export default class Ship extends BaseCommand {
  static override summary = 'Ship lines from an input into the bus.';

  static override description =
    'What the bus has accepted is remembered in the state directory and is not shipped again by the next ' +
    'run; what it has not accepted is. With --once, the command ends with 0 when the input is at its end ' +
    'and all of it is accepted. SIGINT or SIGTERM stops reading and waits up to 10 s for what was read to be ' +
    'accepted, then ends with 0, or with 1 and a sentence when it was not.';

  static override examples = [
    '<%= config.bin %> ship --from file:/var/log/app.log',
    "<%= config.bin %> ship --from 'file:/var/log/**/*.log' --category web --server http://10.0.0.5:8080",
    'cat app.log | <%= config.bin %> ship --from stdin',
  ];

  static override flags = {
    from: Flags.string({
      description: 'input to read, as PLUGIN or PLUGIN:ADDRESS',
      required: true,
      env: environmentName('from'),
    }),
    category: categoryFlag,
    server: serverFlag,
    ...credentialFlags,
    once: onceFlag,
    state: stateFlag,
    set: settingFlag,
    'retry-for': retryForFlag,
    'sync-each-write': syncFlag,
    'min-sync-replicas': minSyncReplicasFlag,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Ship);
    relaxHeapLimit();
    const { category, from, once, server } = flags;
    const { checkCategoryName } = await import('../protocol/names.js');
    checkCategoryName(category);
    const { chooseInput, findPlugins } = await import('./shared/plugins.js');
    const registry = await findPlugins(this.config, (sentence) => this.say(sentence));
    const { plugin, options } = chooseInput(registry, from, flags.set);
    const { Client } = await import('../client/client.js');
    const client = new Client({ server, ...(await readCredentials(flags)) });
    const { defaultStateDirectory, openPipelineState } = await import('./shared/pipeline-state.js');
    // By the first address, so that nodes can be added behind it.
    const directory =
      flags.state ??
      defaultStateDirectory({ verb: 'ship', category, parts: [from, client.servers[0]] });
    const { runShip } = await import('./shared/ship-run.js');
    const { waitForNode } = await import('./shared/wait-for-node.js');
    await runUntilSignal(async (signal) => {
      const { batchBytesMax } = await waitForNode(client, flags['retry-for'], signal);
      const state = await openPipelineState(directory);
      try {
        await runShip(
          {
            plugin,
            pluginOptions: options,
            client,
            category,
            once,
            batchBytesMax,
            sync: flags['sync-each-write'],
            ...replicasOption(flags),
            ...giveUpOption(flags),
            state: state.journal,
            log: this.logger,
          },
          signal,
        );
      } finally {
        client.close();
        await state.close();
      }
    });
  }
}

import { Flags } from '@oclif/core';
import { BaseCommand } from './shared/base-command.js';
import { credentialFlags, readCredentials } from './shared/credential-flags.js';
import {
  categoryFlag,
  environmentName,
  giveUpOption,
  groupFlag,
  onceFlag,
  retryForFlag,
  serverFlag,
  settingFlag,
  stateFlag,
} from './shared/flags.js';
import { relaxHeapLimit } from './shared/heap-limit.js';
import { runUntilSignal } from './shared/run-until-signal.js';

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
  ];

  static override flags = {
    to: Flags.string({
      description: 'output to write to, as PLUGIN or PLUGIN:ADDRESS',
      required: true,
      env: environmentName('to'),
    }),
    category: categoryFlag,
    group: groupFlag,
    server: serverFlag,
    ...credentialFlags,
    once: onceFlag,
    state: stateFlag,
    set: settingFlag,
    'retry-for': retryForFlag,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Sink);
    relaxHeapLimit();
    const { category, group, once, server, to } = flags;
    const { checkCategoryName, checkGroupName } = await import('../protocol/names.js');
    checkCategoryName(category);
    checkGroupName(group);
    const { chooseOutput, findPlugins } = await import('./shared/plugins.js');
    const registry = await findPlugins(this.config, (sentence) => this.say(sentence));
    const { plugin, options } = chooseOutput(registry, to, flags.set);
    const { Client } = await import('../client/client.js');
    const client = new Client({ server, ...(await readCredentials(flags)) });
    const { defaultStateDirectory, openPipelineState } = await import('./shared/pipeline-state.js');
    // By the first address, so that nodes can be added behind it.
    const directory =
      flags.state ??
      defaultStateDirectory({ verb: 'sink', category, parts: [group, client.servers[0]] });
    const { createSink, openOutput } = await import('./shared/sink-run.js');
    const { waitForNode } = await import('./shared/wait-for-node.js');
    await runUntilSignal(async (signal) => {
      await waitForNode(client, flags['retry-for'], signal);
      const state = await openPipelineState(directory);
      try {
        const output = await openOutput(plugin, options, category, this.logger);
        try {
          const { sink, progress } = createSink({
            output,
            client,
            category,
            group,
            once,
            ...giveUpOption(flags),
            state: state.journal,
          });
          await sink.run(signal, once ? 'end' : 'stopped').finally(() => progress.finish());
        } finally {
          await output.close();
        }
      } finally {
        client.close();
        await state.close();
      }
    });
  }
}

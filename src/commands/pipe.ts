import { Flags } from '@oclif/core';
import { BaseCommand } from './shared/base-command.js';
import {
  categoryFlag,
  deliveryFlags,
  deliveryOptions,
  environmentName,
  giveUpOption,
  groupFlag,
  minSyncReplicasFlag,
  onceFlag,
  replicasOption,
  retryForFlag,
  settingFlag,
  syncFlag,
} from './shared/flags.js';
import { relaxHeapLimit } from './shared/heap-limit.js';
import { runUntilSignal } from './shared/run-until-signal.js';

export default class Pipe extends BaseCommand {
  static override summary = 'Run an input, a node and an output in one process.';

  static override description =
    'The messages pass through an embedded node, which keeps them until the output has taken them. With ' +
    '--once and without --data that is a temporary directory, so every run starts from the beginning; ' +
    'otherwise the run goes on where the last one with the same --data ended. SIGINT or SIGTERM stops the ' +
    'input, delivers what was read for up to 10 s, and ends with 0, or with 1 and a sentence when something is left.';

  static override examples = [
    '<%= config.bin %> pipe --from file:app.log --to stdout --once',
    "<%= config.bin %> pipe --from 'file:/var/log/*.log' --to stdout --data /var/lib/chukcha-pipe",
  ];

  static override flags = {
    from: Flags.string({
      description: 'input to read, as PLUGIN or PLUGIN:ADDRESS',
      required: true,
      env: environmentName('from'),
    }),
    to: Flags.string({
      description: 'output to write to, as PLUGIN or PLUGIN:ADDRESS',
      required: true,
      env: environmentName('to'),
    }),
    data: Flags.string({
      description: 'directory for the embedded node and the state (default: see above)',
      env: environmentName('data'),
    }),
    category: categoryFlag,
    group: groupFlag,
    once: onceFlag,
    'retry-for': retryForFlag,
    'set-from': settingFlag,
    'set-to': settingFlag,
    'sync-each-write': syncFlag,
    'min-sync-replicas': minSyncReplicasFlag,
    ...deliveryFlags,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Pipe);
    relaxHeapLimit();
    const { category, from, group, once, to } = flags;
    const { checkCategoryName, checkGroupName } = await import('../protocol/names.js');
    checkCategoryName(category);
    checkGroupName(group);
    const { chooseInput, chooseOutput, findPlugins } = await import('./shared/plugins.js');
    const registry = await findPlugins(this.config, (sentence) => this.say(sentence));
    const input = chooseInput(registry, from, flags['set-from']);
    const output = chooseOutput(registry, to, flags['set-to']);
    const { withEmbeddedNode } = await import('./shared/embedded-node.js');
    const { runPipe } = await import('./shared/pipe-run.js');
    await runUntilSignal((signal) =>
      withEmbeddedNode(
        { directory: flags.data, once, category, parts: [from, to, group] },
        ({ client, state, log }) =>
          runPipe(
            {
              input,
              output,
              client,
              category,
              group,
              once,
              sync: flags['sync-each-write'],
              ...replicasOption(flags),
              ...giveUpOption(flags),
              delivery: deliveryOptions(flags),
              state,
              log,
            },
            signal,
          ),
      ),
    );
  }
}

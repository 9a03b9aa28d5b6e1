import { Flags } from '@oclif/core';
import { BaseCommand } from './shared/base-command.js';
import { credentialFlags, readCredentials } from './shared/credential-flags.js';
import { categoryFlag, giveUpOption, onceFlag, retryForFlag, serverFlag } from './shared/flags.js';
import { runUntilSignal } from './shared/run-until-signal.js';

export default class Tail extends BaseCommand {
  static override summary = 'Show the last messages of a category, and those that come.';

  static override description =
    'Reading this way acknowledges nothing and disturbs no group. Messages that every group has ' +
    'acknowledged are gone and are not shown. --grep and --where choose among the messages that --lines or --all begin ' +
    'with, and those that come.';

  static override examples = [
    '<%= config.bin %> tail',
    '<%= config.bin %> tail --category web --lines 100',
    '<%= config.bin %> tail --all --once | wc -l',
    '<%= config.bin %> tail --all --grep /time-?out/i',
    '<%= config.bin %> tail --lines 0 --where level=error --where request.method=POST',
  ];

  static override flags = {
    category: categoryFlag,
    server: serverFlag,
    ...credentialFlags,
    lines: Flags.integer({
      char: 'n',
      description: 'how many of the last messages to begin with, of each node',
      default: 10,
      min: 0,
      max: 10_000,
    }),
    all: Flags.boolean({ description: 'begin with the oldest message', exclusive: ['lines'] }),
    grep: Flags.string({
      description:
        'show messages that have this text in them, or that match /PATTERN/ or /PATTERN/i',
    }),
    where: Flags.string({
      description:
        'show JSON messages with this field, as FIELD=VALUE; several have all to be true',
      multiple: true,
      default: [],
    }),
    once: onceFlag,
    'retry-for': retryForFlag,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Tail);
    const { checkCategoryName } = await import('../protocol/names.js');
    checkCategoryName(flags.category);
    const { Client } = await import('../client/client.js');
    const { runTail } = await import('./shared/tail-run.js');
    const { waitForNode } = await import('./shared/wait-for-node.js');
    const { createMessageFilter } = await import('./shared/message-filter.js');
    const filter = createMessageFilter(flags);
    const client = new Client({ server: flags.server, ...(await readCredentials(flags)) });
    try {
      await runUntilSignal(async (signal) => {
        await waitForNode(client, flags['retry-for'], signal);
        await runTail(
          {
            client,
            category: flags.category,
            lineCount: flags.all ? 'all' : flags.lines,
            once: flags.once,
            ...(filter === undefined ? {} : { filter }),
            ...giveUpOption(flags['retry-for'], flags.once),
            warn: (sentence) => this.say(`Warning: ${sentence}`),
          },
          signal,
        );
      });
    } finally {
      client.close();
    }
  }
}

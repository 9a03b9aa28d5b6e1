import { Args } from '@oclif/core';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { BaseCommand } from './shared/base-command.js';
import { categoryFlag, jsonFlag, serverFlag, syncFlag } from './shared/flags.js';

export default class Write extends BaseCommand {
  static override summary = 'Write messages that are given as words.';

  static override description =
    'Each word becomes a message (one with line breaks several), and all of them one batch: either all are ' +
    'stored or none. For lines from ' +
    'a pipe, use `ship --from stdin`.';

  static override examples = [
    "<%= config.bin %> write 'it works'",
    '<%= config.bin %> write --category orders \'{"id":1}\' \'{"id":2}\' --json',
  ];

  static override strict = false;

  static override args = {
    message: Args.string({ description: 'a message; there may be several' }),
  };

  static override flags = {
    category: categoryFlag,
    server: serverFlag,
    'sync-each-write': syncFlag,
    json: jsonFlag,
  };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(Write);
    if (argv.length === 0) {
      throw new ChukchaError(
        'invalid_option',
        'There is nothing to write: give messages as words, or pipe lines into `chukcha ship --from stdin`.',
      );
    }
    const { checkCategoryName } = await import('../protocol/names.js');
    checkCategoryName(flags.category);
    const { Client } = await import('../client/client.js');
    const client = new Client({ server: flags.server });
    try {
      const pieces = argv.map((message) => Buffer.from(`${message}\n`));
      const receipt = await client.write(flags.category, pieces, {
        sync: flags['sync-each-write'],
      });
      const line = `Wrote ${receipt.size} bytes to ${receipt.chunk} at ${receipt.offset}.`;
      if (flags.json) this.log(JSON.stringify(receipt));
      else this.say(line);
    } finally {
      client.close();
    }
  }
}

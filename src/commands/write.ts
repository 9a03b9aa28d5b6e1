import { Args } from '@oclif/core';
import { systemRandom } from '../common/random.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { BaseCommand } from './shared/base-command.js';
import { credentialFlags } from './shared/credential-flags.js';
import {
  categoryFlag,
  jsonFlag,
  minSyncReplicasFlag,
  replicasOption,
  serverFlag,
  syncFlag,
} from './shared/flags.js';

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
    ...credentialFlags,
    'sync-each-write': syncFlag,
    'min-sync-replicas': minSyncReplicasFlag,
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
    const { withClient } = await import('./shared/with-client.js');
    const pieces = argv.map((message) => Buffer.from(`${message}\n`));
    const options = { sync: flags['sync-each-write'], ...replicasOption(flags) };
    // The batch may go to several nodes, one after another, and is to be stored once.
    const stamp = { producer: systemRandom.hex(8), sequence: 0 };
    const receipt = await withClient(flags, (client) =>
      client.write(
        flags.category,
        pieces,
        client.servers.length === 1 ? options : { ...options, stamp },
      ),
    );
    const { chunk, offset, size } = receipt;
    // A repetition whose first copy came from another node has no place that this one knows.
    const line = `Wrote ${size} bytes${chunk === null ? '' : ` to ${chunk} at ${offset}`}.`;
    if (flags.json) this.log(JSON.stringify(receipt));
    else this.say(line);
  }
}

import { Args } from '@oclif/core';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import { BaseCommand } from '../shared/base-command.js';
import { positionsStateFlag } from '../shared/flags.js';

export default class PositionsSet extends BaseCommand {
  static override summary = 'Have the next run of a shipper go on from another place of a source.';

  static override description =
    'The shipper must not run. What lies before the place is not shipped any more; what lies behind it is, also when it was before.';

  static override examples = [
    '<%= config.bin %> positions set /var/log/app.log 0',
    '<%= config.bin %> positions set /var/log/app.log 1048576 --state /var/lib/chukcha/ship',
  ];

  static override args = {
    source: Args.string({ description: 'the source, or its id', required: true }),
    offset: Args.integer({ description: 'where to go on, in bytes', required: true }),
  };

  static override flags = { state: positionsStateFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(PositionsSet);
    if (args.offset < 0) {
      throw new ChukchaError(
        'invalid_option',
        `The offset is ${args.offset}: expected a number of bytes from the beginning of the source, 0 or more.`,
      );
    }
    const { changePosition } = await import('../shared/change-position.js');
    const changed = await changePosition(
      { config: this.config, say: (sentence) => this.say(sentence) },
      { source: args.source, state: flags.state },
      (positions, { id }) => positions.set(id, args.offset),
    );
    this.say(
      `The next run goes on at ${args.offset} of ${changed.source} (it was ${changed.offset}).`,
    );
  }
}

import { Args } from '@oclif/core';
import { BaseCommand } from '../shared/base-command.js';
import { positionsStateFlag } from '../shared/flags.js';

export default class PositionsForget extends BaseCommand {
  static override summary = 'Have the next run of a shipper take a source for a new one.';

  static override description =
    'The shipper must not run. A file that is still there is read from its beginning, or where --set read_from says.';

  static override examples = ['<%= config.bin %> positions forget /var/log/app.log'];

  static override args = {
    source: Args.string({ description: 'the source, or its id', required: true }),
  };

  static override flags = { state: positionsStateFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(PositionsForget);
    const { changePosition } = await import('../shared/change-position.js');
    const changed = await changePosition(
      { config: this.config, say: (sentence) => this.say(sentence) },
      { source: args.source, state: flags.state },
      (positions, { id }) => positions.forget(id),
    );
    this.say(`Forgot ${changed.source} (it was at ${changed.offset}).`);
  }
}

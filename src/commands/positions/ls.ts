import { formatBytes } from '../../common/quantity.js';
import { BaseCommand } from '../shared/base-command.js';
import { jsonFlag, positionsStateFlag } from '../shared/flags.js';
import { formatTable } from '../shared/format-table.js';

export default class PositionsLs extends BaseCommand {
  static override summary = 'List how far the sources of shippers were accepted.';

  static override description = 'It changes nothing, and works while the shippers run.';

  static override aliases = ['positions'];

  static override examples = [
    '<%= config.bin %> positions ls',
    '<%= config.bin %> positions ls --state /var/lib/chukcha/ship --json',
  ];

  static override flags = { state: positionsStateFlag, json: jsonFlag };

  async run(): Promise<void> {
    const { flags } = await this.parse(PositionsLs);
    const { findPlugins } = await import('../shared/plugins.js');
    const { findShipStates } = await import('../shared/ship-states.js');
    const { listPositions } = await import('../shared/position-table.js');
    const registry = await findPlugins(this.config, (sentence) => this.say(sentence));
    const positions = await listPositions(registry, await findShipStates(flags.state));
    if (positions.length === 0) this.say('No shipper has remembered a position here.');
    const data = positions.map(({ source, id, offset, state }) => ({
      source,
      id,
      offset,
      from: state.about.from,
      category: state.about.category,
      state: state.directory,
    }));
    const lines = formatTable(
      [
        { title: 'SOURCE', value: ({ source }) => source },
        { title: 'ACCEPTED', value: ({ offset }) => formatBytes(offset), align: 'right' },
        { title: 'OFFSET', value: ({ offset }) => String(offset), align: 'right' },
        { title: 'ID', value: ({ id }) => id },
        { title: 'FROM', value: ({ from }) => from },
      ],
      data,
    );
    this.printData(data, lines, flags.json);
  }
}

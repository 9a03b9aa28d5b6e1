import { BaseCommand } from '../shared/base-command.js';
import { positionsStateFlag } from '../shared/flags.js';

export default class PositionsExport extends BaseCommand {
  static override summary = 'Print the remembered positions of shippers as one JSON document.';

  static override examples = ['<%= config.bin %> positions export > positions.json'];

  static override flags = { state: positionsStateFlag };

  async run(): Promise<void> {
    const { flags } = await this.parse(PositionsExport);
    const { findPlugins } = await import('../shared/plugins.js');
    const { findShipStates } = await import('../shared/ship-states.js');
    const { openPositions } = await import('../shared/position-table.js');
    const registry = await findPlugins(this.config, (sentence) => this.say(sentence));
    const shippers = [];
    for (const state of await findShipStates(flags.state)) {
      const positions = (await openPositions(registry, state))?.list() ?? [];
      shippers.push({ ...state.about, state: state.directory, positions });
    }
    this.log(JSON.stringify({ version: 1, shippers }, undefined, 2));
  }
}

import { BaseCommand } from '../shared/base-command.js';
import { jsonFlag } from '../shared/flags.js';

export default class Plugins extends BaseCommand {
  static override summary = 'List the inputs and outputs that are installed.';

  static override aliases = ['plugins:list'];

  static override examples = [
    '<%= config.bin %> plugins',
    '<%= config.bin %> plugins inspect file',
  ];

  static override flags = { json: jsonFlag };

  async run(): Promise<void> {
    const { flags } = await this.parse(Plugins);
    const { findPlugins } = await import('../shared/plugins.js');
    const registry = await findPlugins(this.config, (sentence) => this.say(sentence));
    const data = registry.plugins.map(({ descriptor, packageName }) => ({
      kind: descriptor.kind,
      name: descriptor.name,
      summary: descriptor.summary,
      package: packageName,
    }));
    const lines = data.map(
      ({ kind, name, summary }) => `${kind.padEnd(7)} ${name.padEnd(14)} ${summary}`,
    );
    this.printData(data, lines, flags.json);
  }
}

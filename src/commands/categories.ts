import { BaseCommand } from './shared/base-command.js';
import { credentialFlags } from './shared/credential-flags.js';
import { jsonFlag, serverFlag } from './shared/flags.js';

export default class Categories extends BaseCommand {
  static override summary = 'List the categories of a node.';

  static override examples = [
    '<%= config.bin %> categories',
    '<%= config.bin %> categories --json',
  ];

  static override flags = { server: serverFlag, ...credentialFlags, json: jsonFlag };

  async run(): Promise<void> {
    const { flags } = await this.parse(Categories);
    const { withClient } = await import('./shared/with-client.js');
    const names = await withClient(flags, (client) => client.listCategories());
    if (names.length === 0)
      this.say('There are no categories yet: one comes into being with its first message.');
    this.printData(names, names, flags.json);
  }
}

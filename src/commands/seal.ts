import { BaseCommand } from './shared/base-command.js';
import { credentialFlags } from './shared/credential-flags.js';
import { categoryFlag, jsonFlag, serverFlag } from './shared/flags.js';

export default class Seal extends BaseCommand {
  static override summary = "Seal a category's open chunk, so that it can be acknowledged now.";

  static override description =
    'Otherwise a chunk is sealed when it is full, or when the node stops. The next message begins a new one.';

  static override examples = [
    '<%= config.bin %> seal',
    '<%= config.bin %> seal --category web --json',
  ];

  static override flags = {
    category: categoryFlag,
    server: serverFlag,
    ...credentialFlags,
    json: jsonFlag,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Seal);
    const { checkCategoryName } = await import('../protocol/names.js');
    checkCategoryName(flags.category);
    const { withClient } = await import('./shared/with-client.js');
    const receipt = await withClient(flags, (client) => client.seal(flags.category));
    const { category, chunk, size } = receipt;
    if (flags.json) this.log(JSON.stringify(receipt));
    else if (chunk === null) this.say(`Category ${category} has no open chunk on this node.`);
    else this.say(`Sealed ${chunk} of category ${category} with ${size} bytes.`);
  }
}

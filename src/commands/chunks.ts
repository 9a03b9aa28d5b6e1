import { BaseCommand } from './shared/base-command.js';
import { credentialFlags } from './shared/credential-flags.js';
import { categoryFlag, groupFlag, jsonFlag, serverFlag } from './shared/flags.js';

export default class Chunks extends BaseCommand {
  static override summary = 'List the chunks of a category that a group has not acknowledged.';

  static override examples = [
    '<%= config.bin %> chunks',
    '<%= config.bin %> chunks --category web --group archive --json',
  ];

  static override flags = {
    category: categoryFlag,
    group: groupFlag,
    server: serverFlag,
    ...credentialFlags,
    json: jsonFlag,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Chunks);
    const { checkCategoryName, checkGroupName } = await import('../protocol/names.js');
    checkCategoryName(flags.category);
    checkGroupName(flags.group);
    const { withClient } = await import('./shared/with-client.js');
    const { chunks } = await withClient(flags, (client) =>
      client.listChunks(flags.category, { group: flags.group }),
    );
    if (chunks.length === 0)
      this.say(`Category ${flags.category} has no chunks for group ${flags.group}.`);
    const lines = chunks.map(
      (chunk) =>
        `${chunk.name}  ${String(chunk.size).padStart(12)} bytes  ${chunk.complete ? 'sealed' : 'open'}`,
    );
    this.printData(chunks, lines, flags.json);
  }
}

import { Args } from '@oclif/core';
import { formatBytes } from '../../common/quantity.js';
import { BaseCommand } from '../shared/base-command.js';
import { credentialFlags } from '../shared/credential-flags.js';
import { categoryFlag, jsonFlag, serverFlag } from '../shared/flags.js';

export default class GroupsRm extends BaseCommand {
  static override summary = 'Remove a consumer group, and delete what only it still held.';

  static override description =
    'It is done at once, without a question, and what is deleted is gone. What the group has acknowledged is ' +
    'forgotten: registered again, it begins with what is there then. A group that is not there is no failure.';

  static override examples = [
    '<%= config.bin %> groups rm archive',
    '<%= config.bin %> groups rm audit --category web --json',
  ];

  static override args = {
    group: Args.string({ description: 'name of the group', required: true }),
  };

  static override flags = {
    category: categoryFlag,
    server: serverFlag,
    ...credentialFlags,
    json: jsonFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(GroupsRm);
    const { checkCategoryName, checkGroupName } = await import('../../protocol/names.js');
    checkCategoryName(flags.category);
    checkGroupName(args.group);
    const { withClient } = await import('../shared/with-client.js');
    const removal = await withClient(flags, (client) =>
      client.removeGroup(flags.category, args.group),
    );
    const { group, category, removed, freedChunks, freedBytes } = removal;
    if (flags.json) this.log(JSON.stringify(removal));
    else if (!removed) this.say(`Category ${category} has no group ${group}.`);
    else {
      this.say(
        `Removed group ${group} of category ${category}. Chunks that were deleted with it: ${freedChunks} (${formatBytes(freedBytes)}).`,
      );
    }
  }
}

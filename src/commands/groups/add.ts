import { Args, Flags } from '@oclif/core';
import { formatBytes } from '../../common/quantity.js';
import { BaseCommand } from '../shared/base-command.js';
import { credentialFlags } from '../shared/credential-flags.js';
import { categoryFlag, jsonFlag, serverFlag } from '../shared/flags.js';

export default class GroupsAdd extends BaseCommand {
  static override summary = 'Register a consumer group, so that messages wait for it.';

  static override description =
    'A sink registers its group when it begins to read; registering it before keeps the messages that come ' +
    'until then. The category need not exist yet. A group that is registered stays as it is.';

  static override examples = [
    '<%= config.bin %> groups add archive',
    '<%= config.bin %> groups add audit --category web --from latest',
  ];

  static override args = {
    group: Args.string({ description: 'name of the group', required: true }),
  };

  static override flags = {
    category: categoryFlag,
    from: Flags.option({
      description: 'what a new group gets: everything that is there, or only what comes',
      options: ['earliest', 'latest'] as const,
      default: 'earliest' as const,
    })(),
    server: serverFlag,
    ...credentialFlags,
    json: jsonFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(GroupsAdd);
    const { checkCategoryName, checkGroupName } = await import('../../protocol/names.js');
    checkCategoryName(flags.category);
    checkGroupName(args.group);
    const { withClient } = await import('../shared/with-client.js');
    const { from } = flags;
    const registration = await withClient(flags, (client) =>
      client.registerGroup(flags.category, args.group, { from }),
    );
    const { group, category, created, freedChunks, freedBytes } = registration;
    if (flags.json) this.log(JSON.stringify(registration));
    else if (created)
      this.say(
        `Group ${group} of category ${category} begins at the ${from} message.${describeFreed(freedChunks, freedBytes)}`,
      );
    else
      this.say(`Group ${group} of category ${category} was registered before and stays as it is.`);
  }
}

function describeFreed(chunkCount: number, byteCount: number): string {
  if (chunkCount === 0) return '';
  return ` As no other group waits for them, ${chunkCount} earlier chunks (${formatBytes(byteCount)}) were deleted.`;
}

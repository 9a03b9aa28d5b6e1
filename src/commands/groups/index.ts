import { Flags } from '@oclif/core';
import { formatBytes } from '../../common/quantity.js';
import type { GroupBacklog } from '../../protocol/http-api.js';
import { BaseCommand } from '../shared/base-command.js';
import { credentialFlags } from '../shared/credential-flags.js';
import { environmentName, jsonFlag, serverFlag } from '../shared/flags.js';
import { formatTable } from '../shared/format-table.js';

interface CategoryGroup extends GroupBacklog {
  readonly category: string;
}

export default class Groups extends BaseCommand {
  static override summary = 'List the consumer groups and what each has still to acknowledge.';

  static override description =
    'A chunk is deleted when every group of its category has acknowledged it. A group that nobody reads for ' +
    'any more keeps everything: remove it with `groups rm`.';

  static override aliases = ['groups:ls'];

  static override examples = [
    '<%= config.bin %> groups',
    '<%= config.bin %> groups ls --category web --json',
  ];

  static override flags = {
    category: Flags.string({
      description: 'only the groups of this category (default: of all)',
      env: environmentName('category'),
    }),
    server: serverFlag,
    ...credentialFlags,
    json: jsonFlag,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Groups);
    const { checkCategoryName } = await import('../../protocol/names.js');
    if (flags.category !== undefined) checkCategoryName(flags.category);
    const { withClient } = await import('../shared/with-client.js');
    const { categories } = await withClient(flags, (client) => client.status());
    const groups = categories
      .filter(({ name }) => name === (flags.category ?? name))
      .flatMap(({ name, groups }) => groups.map((group) => ({ category: name, ...group })));
    if (groups.length === 0) {
      this.say(
        'There are no groups: one comes into being when a sink reads, or with `groups add`.',
      );
    }
    this.printData(groups, describe(groups), flags.json);
  }
}

function describe(groups: readonly CategoryGroup[]): string[] {
  return formatTable(
    [
      { title: 'CATEGORY', value: ({ category }) => category },
      { title: 'GROUP', value: ({ group }) => group },
      { title: 'CHUNKS', value: ({ chunks }) => String(chunks), align: 'right' },
      { title: 'TO ACKNOWLEDGE', value: ({ bytes }) => formatBytes(bytes), align: 'right' },
    ],
    groups,
  );
}

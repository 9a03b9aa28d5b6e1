import { join, relative } from 'node:path';
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../shared/base-command.js';

export default class PluginsCreate extends BaseCommand {
  static override summary = 'Make a plugin package that works, to go on from.';

  static override description =
    'The package is JavaScript with types in comments, has no build, and comes with the rules of the contract ' +
    'as a test that passes. An input reads the lines of a file, an output appends to one: replace that.';

  static override examples = [
    '<%= config.bin %> plugins create output daily-files',
    '<%= config.bin %> plugins create input gauge --directory ./gauge',
  ];

  static override args = {
    kind: Args.string({
      description: 'input brings lines in, output takes them away',
      required: true,
      options: ['input', 'output'],
    }),
    name: Args.string({ description: 'name in --from or --to', required: true }),
  };

  static override flags = {
    directory: Flags.string({
      description: 'where to make the package (default: ./chukcha-KIND-NAME)',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(PluginsCreate);
    const { createPlugin, pluginPackageName } = await import('../../plugin-host/create-plugin.js');
    const kind = args.kind === 'input' ? 'input' : 'output';
    const directory = flags.directory ?? pluginPackageName(kind, args.name);
    const templates = join(this.config.root, 'templates');
    const files = await createPlugin({ kind, name: args.name, directory, templates });
    const shown = relative('', directory) || '.';
    for (const file of files) this.log(join(shown, file));
    const use = kind === 'input' ? `ship --from ${args.name}:FILE` : `sink --to ${args.name}:FILE`;
    this.say(
      `Next: cd ${shown} && npm install && npm test && chukcha plugins link . && chukcha ${use}`,
    );
  }
}

import { Args } from '@oclif/core';
import { BaseCommand } from '../shared/base-command.js';

export default class PluginsLink extends BaseCommand {
  static override summary = 'Use the plugin package in a directory, where it stands.';

  static override description =
    'For a package that is being worked on: what is changed there is used at the next start. ' +
    '`chukcha plugins uninstall` ends it and leaves the directory as it is.';

  static override examples = ['<%= config.bin %> plugins link ./chukcha-output-daily-files'];

  static override args = {
    directory: Args.string({ description: 'directory with package.json', default: '.' }),
  };

  async run(): Promise<void> {
    const { args } = await this.parse(PluginsLink);
    const { changeUserPlugins, describeAdded } = await import('../shared/added-plugins.js');
    const added = await changeUserPlugins(this.config.dataDir, (plugins) =>
      plugins.link(args.directory),
    );
    for (const line of describeAdded(added)) this.log(line);
  }
}

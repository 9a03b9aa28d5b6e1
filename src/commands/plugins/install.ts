import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../shared/base-command.js';

export default class PluginsInstall extends BaseCommand {
  static override summary = 'Install a plugin package by npm.';

  static override description =
    'The package goes into the data directory of the user and can be used at once. A newer version is installed by the ' +
    'same command. A package runs with the rights of whoever runs chukcha: install what you trust.';

  static override examples = [
    '<%= config.bin %> plugins install chukcha-output-daily-files',
    '<%= config.bin %> plugins install chukcha-output-daily-files@1.2.0',
    '<%= config.bin %> plugins install ./chukcha-output-daily-files-1.2.0.tgz',
  ];

  static override args = {
    package: Args.string({
      description: 'name, name@version, archive or address, as npm takes it',
      required: true,
    }),
  };

  static override flags = {
    'run-scripts': Flags.boolean({
      description: 'let packages run their install scripts, which those with native parts need',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(PluginsInstall);
    const { changeUserPlugins, describeAdded } = await import('../shared/added-plugins.js');
    const added = await changeUserPlugins(this.config.dataDir, (plugins) =>
      plugins.install(args.package, { runScripts: flags['run-scripts'] }),
    );
    for (const line of describeAdded(added)) this.log(line);
  }
}

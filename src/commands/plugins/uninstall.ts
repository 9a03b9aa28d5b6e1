import { Args } from '@oclif/core';
import { closest } from '../../common/closest.js';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import { BaseCommand } from '../shared/base-command.js';

export default class PluginsUninstall extends BaseCommand {
  static override summary = 'Take away a plugin package that was installed or linked.';

  static override examples = [
    '<%= config.bin %> plugins uninstall chukcha-output-daily-files',
    '<%= config.bin %> plugins uninstall daily-files',
  ];

  static override args = {
    name: Args.string({ description: 'name of the package, or of a plugin in it', required: true }),
  };

  async run(): Promise<void> {
    const { args } = await this.parse(PluginsUninstall);
    const { UserPlugins } = await import('../../plugin-host/user-plugins.js');
    const { changeUserPlugins } = await import('../shared/added-plugins.js');
    const { findPlugins } = await import('../shared/plugins.js');
    const packages = (await new UserPlugins(this.config.dataDir).list()).map(({ name }) => name);
    // A package that cannot be loaded is a good reason to take it away, so problems are not told here.
    const { plugins } = await findPlugins(this.config, () => undefined);
    const byPlugin = plugins.find(({ descriptor }) => descriptor.name === args.name)?.packageName;
    const name = packages.find((each) => each === args.name || each === byPlugin);
    if (name === undefined) throw notAdded(args.name, packages, byPlugin !== undefined);
    await changeUserPlugins(this.config.dataDir, (added) => added.remove(name));
    this.log(`${name} is not used any more.`);
  }
}

function notAdded(name: string, packages: readonly string[], isBuiltIn: boolean): ChukchaError {
  const meant = closest(name, packages);
  const hint = isBuiltIn
    ? 'it comes with chukcha.'
    : meant !== undefined
      ? `did you mean ${meant}?`
      : packages.length === 0
        ? 'none was.'
        : `expected one of ${packages.join(', ')}.`;
  return new ChukchaError(
    'plugin_not_found',
    `No plugin package ${JSON.stringify(name)} was installed or linked: ${hint}`,
  );
}

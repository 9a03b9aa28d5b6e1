import type { PluginDescriptor } from '@chukcha/plugin-api';
import { Args } from '@oclif/core';
import { closest } from '../../common/closest.js';
import { describeOptions, type OptionDescription } from '../../plugin-host/describe-options.js';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import { BaseCommand } from '../shared/base-command.js';
import { jsonFlag } from '../shared/flags.js';
import { wrapText } from '../shared/wrap-text.js';

export default class PluginsInspect extends BaseCommand {
  static override summary = 'Show what a plugin does and the options that it takes.';

  static override examples = [
    '<%= config.bin %> plugins inspect file',
    '<%= config.bin %> plugins inspect file --json',
  ];

  static override args = {
    name: Args.string({ description: 'name of the plugin', required: true }),
  };

  static override flags = { json: jsonFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(PluginsInspect);
    const { findPlugins } = await import('../shared/plugins.js');
    const registry = await findPlugins(this.config, (sentence) => this.say(sentence));
    const found = registry.plugins.filter(({ descriptor }) => descriptor.name === args.name);
    if (found.length === 0) {
      const names = [...new Set(registry.plugins.map(({ descriptor }) => descriptor.name))];
      const meant = closest(args.name, names);
      const hint =
        meant === undefined ? `expected one of ${names.join(', ')}.` : `did you mean ${meant}?`;
      throw new ChukchaError(
        'plugin_not_found',
        `There is no plugin ${JSON.stringify(args.name)}: ${hint}`,
      );
    }
    const data = found.map(({ descriptor, packageName }) => ({
      kind: descriptor.kind,
      name: descriptor.name,
      summary: descriptor.summary,
      package: packageName,
      options: describeOptions(descriptor),
      schema: descriptor.options,
    }));
    this.printData(
      data,
      found.flatMap(({ descriptor, packageName }) => describe(descriptor, packageName)),
      flags.json,
    );
  }
}

function describe(descriptor: PluginDescriptor, packageName: string): string[] {
  const { kind, name, summary } = descriptor;
  const flag = kind === 'input' ? '--from' : '--to';
  const address = descriptor.parseAddress === undefined ? name : `${name}:ADDRESS`;
  const lines = [`${kind} ${name} (${packageName})`, `  ${summary}`, `  ${flag} ${address}`];
  const options = describeOptions(descriptor);
  if (options.length === 0) return [...lines, '', '  It takes no options.'];
  return [...lines, ...options.flatMap((option) => ['', ...describeOption(option)])];
}

/** The option with its type, what it means, and how else it can be given. */
function describeOption(option: OptionDescription): string[] {
  const { name, type, required, secret, description, environment, examples = [] } = option;
  const marks = [type, ...(required ? ['required'] : []), ...(secret ? ['secret'] : [])];
  const fallback =
    option.default === undefined ? [] : [`default ${JSON.stringify(option.default)}`];
  return [
    `  --set ${name}=...  (${[...marks, ...fallback].join('; ')})`,
    ...wrapText(description, '      '),
    `      environment: ${environment}`,
    ...examples.map((example) => `      for example: ${name}=${example}`),
  ];
}

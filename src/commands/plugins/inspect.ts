import type { PluginDescriptor } from '@chukcha/plugin-api';
import { Args } from '@oclif/core';
import { closest } from '../../common/closest.js';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import { BaseCommand } from '../shared/base-command.js';
import { jsonFlag } from '../shared/flags.js';

export default class PluginsInspect extends BaseCommand {
  static override summary = 'Show what a plugin does and the options that it takes.';

  static override examples = ['<%= config.bin %> plugins inspect file'];

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
      options: descriptor.options,
    }));
    this.printData(
      data,
      found.flatMap(({ descriptor, packageName }) => describe(descriptor, packageName)),
      flags.json,
    );
  }
}

function describe(descriptor: PluginDescriptor, packageName: string): string[] {
  const { kind, name, summary, options } = descriptor;
  const lines = [`${kind} ${name} (${packageName})`, `  ${summary}`];
  const names = Object.keys(options.properties);
  if (names.length === 0) return [...lines, '  It takes no options.'];
  const width = Math.max(...names.map((option) => option.length));
  for (const [option, schema] of Object.entries(options.properties)) {
    const fallback =
      schema.default === undefined ? '' : ` (default: ${JSON.stringify(schema.default)})`;
    const required = options.required?.includes(option) ? ' (required)' : '';
    lines.push(`  ${option.padEnd(width)}  ${schema.description}${required}${fallback}`);
  }
  return lines;
}

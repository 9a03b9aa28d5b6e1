import type { InputDescriptor, OutputDescriptor, PluginOptions } from '@chukcha/plugin-api';
import {
  parsePluginAddress,
  parseSettings,
  resolvePluginOptions,
} from '../../plugin-host/plugin-options.js';
import {
  type FoundPlugin,
  type HookRunner,
  PluginRegistry,
} from '../../plugin-host/plugin-registry.js';

/** A plugin that was asked for, with the options that its address and settings mean. */
export interface ChosenPlugin<Descriptor extends InputDescriptor | OutputDescriptor> {
  readonly plugin: FoundPlugin<Descriptor>;
  readonly options: PluginOptions;
}

/** Finds the installed plugins and tells of those that cannot be used. */
export async function findPlugins(
  runner: HookRunner,
  warn: (sentence: string) => void,
): Promise<PluginRegistry> {
  const registry = await PluginRegistry.find(runner);
  for (const problem of registry.problems) warn(`Warning: ${problem}`);
  return registry;
}

export function chooseInput(
  registry: PluginRegistry,
  address: string,
  settings: readonly string[],
): ChosenPlugin<InputDescriptor> {
  const parsed = parsePluginAddress(address);
  const plugin = registry.input(parsed.name);
  return {
    plugin,
    options: resolvePluginOptions(plugin.descriptor, parsed, parseSettings(settings)),
  };
}

export function chooseOutput(
  registry: PluginRegistry,
  address: string,
  settings: readonly string[],
): ChosenPlugin<OutputDescriptor> {
  const parsed = parsePluginAddress(address);
  const plugin = registry.output(parsed.name);
  return {
    plugin,
    options: resolvePluginOptions(plugin.descriptor, parsed, parseSettings(settings)),
  };
}

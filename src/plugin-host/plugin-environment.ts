import type { PluginDescriptor } from '@chukcha/plugin-api';

/** The environment variable that gives an option of a plugin: `CHUKCHA_INPUT_FILE_READ_FROM`. */
export function pluginEnvironmentName(
  { kind, name }: Pick<PluginDescriptor, 'kind' | 'name'>,
  option: string,
): string {
  return ['chukcha', kind, name, option].join('_').toUpperCase().replaceAll('-', '_');
}

/** The options of a plugin that the environment gives, as texts. An empty variable gives none. */
export function environmentOptions(
  descriptor: PluginDescriptor,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Record<string, string> {
  const options: Record<string, string> = {};
  for (const option of Object.keys(descriptor.options.properties)) {
    const value = environment[pluginEnvironmentName(descriptor, option)];
    if (value !== undefined && value !== '') options[option] = value;
  }
  return options;
}

import { Flags } from '@oclif/core';
import type { SchemaForOptions } from '../../common/schema-options.js';
import { environmentName } from './flags.js';

type TextFlag = ReturnType<typeof textFlag>;
type SwitchFlag = ReturnType<typeof switchFlag>;

/** The flag of an option: a switch for one that is true or false, a text for all others. */
type SchemaFlag<Option> = Option extends { readonly type: 'boolean' } ? SwitchFlag : TextFlag;

type SchemaFlags<Schema extends SchemaForOptions> = {
  [Name in keyof Schema['properties']]: SchemaFlag<Schema['properties'][Name]>;
};

/**
 * The flags that a schema of options describes, with their environment variables. Their values stay texts
 * here: the schema's own check turns them into numbers and says what is wrong with them.
 */
export function flagsFromSchema<const Schema extends SchemaForOptions>(
  schema: Schema,
): SchemaFlags<Schema> {
  const flags: Record<string, TextFlag | SwitchFlag> = {};
  for (const [name, option] of Object.entries(schema.properties)) {
    flags[name] = option['type'] === 'boolean' ? switchFlag(name, option) : textFlag(name, option);
  }
  return flags as SchemaFlags<Schema>;
}

function textFlag(name: string, option: Readonly<Record<string, unknown>>) {
  const { description, default: value } = option;
  const values = option['enum'] as readonly string[] | undefined;
  return Flags.string({
    ...(values === undefined ? {} : { options: [...values] }),
    description: value === undefined ? String(description) : `${description} (default: ${value})`,
    env: environmentName(name),
  });
}

function switchFlag(name: string, option: Readonly<Record<string, unknown>>) {
  return Flags.boolean({ description: String(option['description']), env: environmentName(name) });
}

import { Flags } from '@oclif/core';
import type { SchemaForOptions } from '../../common/schema-options.js';
import { environmentName } from './flags.js';

type SchemaFlag = ReturnType<typeof textFlag> | ReturnType<typeof switchFlag>;

/**
 * The flags that a schema of options describes, with their environment variables. Their values stay texts
 * here: the schema's own check turns them into numbers and says what is wrong with them.
 */
export function flagsFromSchema(schema: SchemaForOptions): Record<string, SchemaFlag> {
  const flags: Record<string, SchemaFlag> = {};
  for (const [name, option] of Object.entries(schema.properties))
    flags[name] = option['type'] === 'boolean' ? switchFlag(name, option) : textFlag(name, option);
  return flags;
}

function textFlag(name: string, option: Readonly<Record<string, unknown>>) {
  const { description, default: value } = option;
  return Flags.string({
    description: value === undefined ? String(description) : `${description} (default: ${value})`,
    env: environmentName(name),
  });
}

function switchFlag(name: string, { description }: Readonly<Record<string, unknown>>) {
  return Flags.boolean({ description: String(description), env: environmentName(name) });
}

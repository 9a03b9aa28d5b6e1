import { Flags } from '@oclif/core';
import type { SchemaForOptions } from '../../common/schema-options.js';
import { environmentName } from './flags.js';

type TextFlag = ReturnType<typeof textFlag>;

/**
 * The flags that a schema of options describes, with their environment variables. Their values stay texts
 * here: the schema's own check turns them into numbers and says what is wrong with them.
 */
export function flagsFromSchema(schema: SchemaForOptions): Record<string, TextFlag> {
  const flags: Record<string, TextFlag> = {};
  for (const [name, option] of Object.entries(schema.properties))
    flags[name] = textFlag(name, option);
  return flags;
}

function textFlag(name: string, option: Readonly<Record<string, unknown>>) {
  const { description, default: value } = option;
  return Flags.string({
    description: value === undefined ? String(description) : `${description} (default: ${value})`,
    env: environmentName(name),
  });
}

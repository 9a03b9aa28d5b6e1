import type { OptionSchema, PluginDescriptor } from '@chukcha/plugin-api';
import { pluginEnvironmentName } from './plugin-environment.js';

/** An option of a plugin, as people and programs are told of it. */
export interface OptionDescription {
  readonly name: string;
  readonly description: string;
  /** `string`, `integer`, `list of string`, or what is allowed: `one of raw, pretty`. */
  readonly type: string;
  readonly required: boolean;
  /** Whether its value is a secret: `writeOnly` in the schema. */
  readonly secret: boolean;
  readonly environment: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
}

/** The options of a plugin, in the order of their schema. */
export function describeOptions(descriptor: PluginDescriptor): OptionDescription[] {
  const { properties, required = [] } = descriptor.options;
  return Object.entries(properties).map(([name, schema]) => {
    const { examples } = schema as { readonly examples?: readonly unknown[] };
    return {
      name,
      description: schema.description,
      type: optionType(schema),
      required: required.includes(name),
      secret: schema['writeOnly'] === true,
      environment: pluginEnvironmentName(descriptor, name),
      ...(schema.default === undefined ? {} : { default: schema.default }),
      ...(Array.isArray(examples) ? { examples } : {}),
    };
  });
}

/** What values an option takes, in a few words: `string`, `integer from 1`, `list of string`, `one of raw, pretty`. */
export function optionType(schema: Readonly<Record<string, unknown>> | OptionSchema): string {
  const {
    enum: values,
    type,
    items,
    minimum,
    maximum,
    quantity,
  } = schema as {
    readonly enum?: readonly unknown[];
    readonly type?: string;
    readonly items?: Readonly<Record<string, unknown>>;
    readonly minimum?: number;
    readonly maximum?: number;
    readonly quantity?: string;
  };
  if (values !== undefined) return `one of ${values.join(', ')}`;
  if (type === 'array') return items === undefined ? 'list' : `list of ${optionType(items)}`;
  if (quantity !== undefined) return quantity;
  const range = [
    ...(minimum === undefined ? [] : [`from ${minimum}`]),
    ...(maximum === undefined ? [] : [`to ${maximum}`]),
  ];
  return [type ?? 'any', ...range].join(' ');
}

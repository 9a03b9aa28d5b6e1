/**
 * The options of a plugin as a JSON Schema (draft 7) object. From it the host makes `--set` keys, config
 * keys, help and checks, so it is the only place where an option is described.
 */
export interface OptionsSchema {
  readonly type: 'object';
  readonly properties: Readonly<Record<string, OptionSchema>>;
  readonly required?: readonly string[];
  /** MUST be false: a misspelt option is an error. */
  readonly additionalProperties: false;
}

/** One option. Every key of JSON Schema may be used; these are the ones that the host reads itself. */
export interface OptionSchema {
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'array';
  /** What it means, with its unit. MUST be there. */
  readonly description: string;
  readonly default?: unknown;
  readonly items?: Readonly<Record<string, unknown>>;
  readonly [keyword: string]: unknown;
}

/** Options that the host has checked against the schema, with every default filled in. */
export type PluginOptions = Readonly<Record<string, unknown>>;

import { Ajv, type ErrorObject } from 'ajv';
import { closest } from './closest.js';

/** The part of JSON Schema that describes a set of options. */
export interface SchemaForOptions {
  readonly type: 'object';
  readonly properties: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly required?: readonly string[];
  readonly additionalProperties: false;
}

export type ResolvedOptions =
  | { readonly ok: true; readonly options: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly problems: readonly string[] };

/**
 * Checks options against their schema and fills in the defaults. Values may be texts, as they come from
 * flags and the environment: they are turned into what the schema asks for. A problem is a sentence that
 * names the option, its value and what was expected.
 */
export function resolveOptions(
  schema: SchemaForOptions,
  given: Readonly<Record<string, unknown>>,
): ResolvedOptions {
  const ajv = new Ajv({
    allErrors: true,
    useDefaults: true,
    coerceTypes: 'array',
    strict: false,
    verbose: true,
  });
  const options = structuredClone(given);
  const validate = ajv.compile(schema);
  if (validate(options)) return { ok: true, options };
  return { ok: false, problems: (validate.errors ?? []).map((error) => describe(error, schema)) };
}

function describe(error: ErrorObject, schema: SchemaForOptions): string {
  const names = Object.keys(schema.properties);
  if (error.keyword === 'additionalProperties') {
    const name = String(error.params['additionalProperty']);
    const meant = closest(name, names);
    const hint =
      meant === undefined ? `expected one of ${names.join(', ')}` : `did you mean ${meant}?`;
    return `There is no option ${JSON.stringify(name)}: ${hint}.`;
  }
  if (error.keyword === 'required') {
    const name = String(error.params['missingProperty']);
    return `Option ${name} is missing: ${String(schema.properties[name]?.['description'] ?? 'give it a value.')}`;
  }
  const name = error.instancePath.slice(1).split('/')[0] ?? '';
  return `Option ${name} is ${JSON.stringify(error.data)}: it ${expectation(error)}.`;
}

function expectation(error: ErrorObject): string {
  if (error.keyword === 'enum')
    return `must be one of ${(error.params['allowedValues'] as unknown[]).join(', ')}`;
  return error.message ?? 'is not allowed';
}

import {
  Ajv,
  type AnySchemaObject,
  type ErrorObject,
  type FuncKeywordDefinition,
  type SchemaValidateFunction,
} from 'ajv';
import type { DataValidationCxt } from 'ajv/dist/types/index.js';
import { closest } from './closest.js';
import { parseQuantity, type QuantityKind, quantityForms } from './quantity.js';

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
  ajv.addKeyword(quantityKeyword);
  const options = structuredClone(given);
  const validate = ajv.compile(schema);
  if (validate(options)) return { ok: true, options };
  return { ok: false, problems: (validate.errors ?? []).map((error) => describe(error, schema)) };
}

/**
 * `quantity: "bytes"` or `"duration"`: a text such as `20MiB` or `10m`, which becomes a number of bytes or
 * milliseconds; `minimum` beside it is the least that is taken.
 */
const quantityKeyword: FuncKeywordDefinition = {
  keyword: 'quantity',
  type: 'string',
  modifying: true,
  errors: true,
  validate: function checkQuantity(
    kind: QuantityKind,
    text: string,
    parentSchema?: AnySchemaObject,
    context?: DataValidationCxt,
  ): boolean {
    const minimum = (parentSchema?.['minimum'] as number | undefined) ?? 0;
    const value = parseQuantity(kind, text);
    if (value !== undefined && value >= minimum) {
      if (context !== undefined) context.parentData[context.parentDataProperty] = value;
      return true;
    }
    const expected =
      value === undefined ? `must be ${quantityForms[kind]}` : `must be ${minimum} or more`;
    (checkQuantity as SchemaValidateFunction).errors = [{ keyword: 'quantity', message: expected }];
    return false;
  },
};

function describe(error: ErrorObject, schema: SchemaForOptions): string {
  const names = Object.keys(schema.properties);
  if (error.keyword === 'additionalProperties') {
    const name = String(error.params['additionalProperty']);
    const meant = closest(name, names);
    const hint =
      meant === undefined ? `expected one of ${names.join(', ')}.` : `did you mean ${meant}?`;
    return `There is no option ${JSON.stringify(name)}: ${hint}`;
  }
  if (error.keyword === 'required') {
    const name = String(error.params['missingProperty']);
    return `Option ${name} is missing: ${String(schema.properties[name]?.['description'] ?? 'give it a value.')}`;
  }
  const name = error.instancePath.slice(1).split('/')[0] ?? '';
  // A secret must not show in an error.
  const value =
    schema.properties[name]?.['writeOnly'] === true
      ? 'not valid'
      : // Before the @ of an address there may be a password.
        JSON.stringify(error.data)?.replace(/\/\/.*@/s, '//...@');
  return `Option ${name} is ${value}: it ${expectation(error)}.${nearest(error)}`;
}

/** Which of the allowed values was meant, where that can be told. */
function nearest({ keyword, params, data }: ErrorObject): string {
  if (keyword !== 'enum' || typeof data !== 'string') return '';
  const meant = closest(data, (params['allowedValues'] as unknown[]).map(String));
  return meant === undefined ? '' : ` Did you mean ${meant}?`;
}

function expectation(error: ErrorObject): string {
  if (error.keyword === 'enum')
    return `must be one of ${(error.params['allowedValues'] as unknown[]).join(', ')}`;
  // What a `pattern` is about, in words: its text is for machines.
  const { form } = (error.parentSchema ?? {}) as { readonly form?: string };
  if (error.keyword === 'pattern' && form !== undefined) return `must be ${form}`;
  return error.message ?? 'is not allowed';
}

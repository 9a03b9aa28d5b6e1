import type { CheckStep } from '@chukcha/plugin-api';
import type { SampleDocument } from './sample-documents.js';

/** A mapping, or the part of one below a field. */
interface FieldMapping {
  readonly type?: string;
  readonly dynamic?: unknown;
  readonly properties?: Readonly<Record<string, FieldMapping>>;
  readonly ignore_malformed?: boolean;
}

/** How many problems are told at a time. */
const problemsMax = 5;

const wholeNumberTypes = new Set(['long', 'integer', 'short', 'byte', 'unsigned_long']);
const numberTypes = new Set(['double', 'float', 'half_float', 'scaled_float']);
/** Types whose values may be objects. */
const objectTypes = new Set([
  'object',
  'nested',
  'flattened',
  'flat_object',
  'geo_point',
  'geo_shape',
  'completion',
  'join',
  'point',
  'shape',
  'integer_range',
  'float_range',
  'long_range',
  'double_range',
  'date_range',
  'ip_range',
  'histogram',
  'rank_features',
]);

/**
 * Compares the documents of a sample with a mapping: fields that a strict mapping lacks, and values that do not fit the
 * type of their field. Dates and the rarer types are left to the server.
 *
 * @param mappingRequest the request that adds what it is given to the mapping
 */
export function checkMapping(
  mapping: FieldMapping,
  documents: readonly SampleDocument[],
  mappingRequest: (body: unknown) => string,
): CheckStep {
  if (documents.length === 0) {
    return {
      name: 'mapping',
      result: 'ok',
      detail: 'There are no messages yet to compare with the mapping.',
    };
  }
  const missing: Record<string, string> = {};
  const misfits = new Map<string, string>();
  const walk = (
    fields: Readonly<Record<string, unknown>>,
    at: FieldMapping,
    dynamic: unknown,
    path: string,
  ): void => {
    for (const [name, value] of Object.entries(fields)) {
      const known = Object.hasOwn(at.properties ?? {}, name) ? at.properties?.[name] : undefined;
      const fieldPath = `${path}${name}`;
      if (known === undefined) {
        // A name with dots is a path of its own to these servers; those are left to them.
        if (String(dynamic) !== 'strict' || name.includes('.')) continue;
        // Below a field that is new, everything is.
        if (isObject(value) && Object.keys(value).length > 0)
          walk(value, {}, dynamic, `${fieldPath}.`);
        else missing[fieldPath] ??= typeFor(value);
        continue;
      }
      for (const single of Array.isArray(value) ? value.flat(10) : [value]) {
        if (
          isObject(single) &&
          (known.properties !== undefined || objectTypes.has(known.type ?? 'object'))
        ) {
          if (known.properties !== undefined)
            walk(single, known, known.dynamic ?? dynamic, `${fieldPath}.`);
        } else if (!fits(single, known)) {
          misfits.set(
            fieldPath,
            `${fieldPath} is ${known.type ?? 'object'} and the sample has ${JSON.stringify(single).slice(0, 60)}`,
          );
        }
      }
    }
  };
  for (const { fields } of documents) walk(fields, mapping, mapping.dynamic, '');
  return describe(documents.length, missing, [...misfits.values()], mappingRequest);
}

function describe(
  documentCount: number,
  missing: Readonly<Record<string, string>>,
  misfits: readonly string[],
  mappingRequest: (body: unknown) => string,
): CheckStep {
  const name = 'mapping';
  const missingNames = Object.keys(missing);
  if (missingNames.length > 0) {
    return {
      name,
      result: 'failed',
      detail: `The mapping is strict and lacks fields of the sample: ${missingNames.slice(0, problemsMax).join(', ')}. Documents with them would become dead letters.`,
      fix: mappingRequest(nest(missing)),
    };
  }
  if (misfits.length > 0) {
    return {
      name,
      result: 'failed',
      detail: `Values of the sample do not fit the mapping: ${misfits.slice(0, problemsMax).join('; ')}. Such documents would become dead letters; the type of a field cannot be changed, so send them to another index or mend the messages.`,
    };
  }
  return { name, result: 'ok', detail: `${documentCount} messages of the sample fit the mapping.` };
}

/** `{ 'a.b': 'long' }` as a mapping. */
function nest(types: Readonly<Record<string, string>>): unknown {
  const root: { properties: Record<string, unknown> } = { properties: {} };
  for (const [path, type] of Object.entries(types)) {
    let at: { properties?: Record<string, unknown> } = root;
    for (const part of path.split('.')) {
      at.properties ??= {};
      at.properties[part] ??= {};
      at = at.properties[part] as typeof at;
    }
    Object.assign(at, { type });
  }
  return root;
}

function typeFor(value: unknown): string {
  const single: unknown = Array.isArray(value) ? value.flat(10)[0] : value;
  if (typeof single === 'boolean') return 'boolean';
  if (typeof single === 'number') return Number.isInteger(single) ? 'long' : 'double';
  return isObject(single) ? 'object' : 'keyword';
}

function fits(
  value: unknown,
  { type = 'object', ignore_malformed: ignored }: FieldMapping,
): boolean {
  if (value === null || ignored === true) return true;
  if (type === 'object' || type === 'nested') return isObject(value);
  if (isObject(value)) return objectTypes.has(type);
  if (type === 'boolean')
    return typeof value === 'boolean' || /^(?:true|false|)$/.test(String(value));
  if (wholeNumberTypes.has(type) || numberTypes.has(type)) {
    return (
      typeof value !== 'boolean' && String(value).trim() !== '' && Number.isFinite(Number(value))
    );
  }
  return true;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

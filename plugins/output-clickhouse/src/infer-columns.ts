/** A column as a statement declares it. */
export interface ColumnDeclaration {
  readonly name: string;
  readonly type: string;
}

interface Seen {
  count: number;
  hasNull: boolean;
  readonly types: Set<ValueType>;
}

type ValueType =
  | 'Bool'
  | 'Int64'
  | 'UInt64'
  | 'Float64'
  | 'DateTime64(3)'
  | 'DateTime64(9)'
  | 'String';

/** Only what names itself a time becomes one: another text may look like a time by chance, and not stay so. */
const timeName = /^@?(time|timestamp|ts|date|datetime)$|[_.-]?(time|timestamp|_at|At|Time)$/;

const timeText = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.(\d{1,9}))?(?:Z|[+-]\d\d:?\d\d)?$/;

/**
 * Columns for objects such as these, in the order in which their keys come. Numbers, truth values and times become columns
 * of their kind when all values are; everything else is `String`, which also takes objects and arrays. What is null or
 * missing somewhere is `Nullable`, but for the id.
 */
export function inferColumns(
  objects: readonly Readonly<Record<string, unknown>>[],
  idName: string,
): ColumnDeclaration[] {
  const seen = new Map<string, Seen>();
  for (const object of objects) {
    for (const [name, value] of Object.entries(object)) {
      const column = seen.get(name) ?? { count: 0, hasNull: false, types: new Set() };
      seen.set(name, column);
      column.count += 1;
      if (value === null) column.hasNull = true;
      else column.types.add(valueType(name, value));
    }
  }
  return [...seen].map(([name, column]) => {
    const type = joinTypes(column.types);
    const isNullable =
      name !== idName && (column.hasNull || (column.count < objects.length && type !== 'String'));
    return { name, type: isNullable ? `Nullable(${type})` : type };
  });
}

/** The objects among the messages. */
export function parseObjects(bytes: Uint8Array): Record<string, unknown>[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const objects: Record<string, unknown>[] = [];
  for (const line of view.toString().split('\n')) {
    try {
      const value: unknown = JSON.parse(line);
      if (typeof value === 'object' && value !== null && !Array.isArray(value))
        objects.push(value as Record<string, unknown>);
    } catch {
      // What is no object says nothing about columns; the server will judge it.
    }
  }
  return objects;
}

function valueType(name: string, value: unknown): ValueType {
  if (typeof value === 'boolean') return 'Bool';
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) return 'Float64';
    if (Number.isSafeInteger(value)) return 'Int64';
    return value > 0 && value < 2 ** 64 ? 'UInt64' : 'Float64';
  }
  if (typeof value === 'string' && timeName.test(name)) {
    const time = timeText.exec(value);
    if (time !== null) return (time[1]?.length ?? 0) <= 3 ? 'DateTime64(3)' : 'DateTime64(9)';
  }
  return 'String';
}

function joinTypes(types: ReadonlySet<ValueType>): ValueType {
  const [only, ...others] = types;
  if (only === undefined) return 'String';
  if (others.length === 0) return only;
  const all = [...types];
  if (all.every((type) => type === 'Int64' || type === 'UInt64' || type === 'Float64'))
    return all.includes('Float64') ? 'Float64' : 'Int64';
  if (all.every((type) => type.startsWith('DateTime64'))) return 'DateTime64(9)';
  return 'String';
}

import type { TableName } from './clickhouse-engine.js';
import { type ColumnDeclaration, inferColumns, parseObjects } from './infer-columns.js';
import { quoteName, quoteTable } from './quoting.js';

/**
 * How many inserts a created table remembers. A sink repeats what it sent last, so this bounds how many inserts of
 * others may come between; each costs some bytes on disk and in memory.
 */
const deduplicationWindow = 10_000;

export interface NewTable {
  readonly target: TableName;
  readonly format: 'json' | 'text';
  /** The column of text. */
  readonly column: string;
  readonly idColumn: string;
  /** Messages that the columns are made from. */
  readonly sample: Uint8Array;
  /** Servers before 21 have no Bool and no windows. */
  readonly isModern: boolean;
}

/** The statement that creates a table for messages like these; undefined when they do not say what columns there are. */
export function createTableStatement(table: NewTable): string | undefined {
  if (table.format === 'text') {
    return createStatement(
      table,
      [
        { name: table.column, type: 'String' },
        { name: 'received', type: 'DateTime64(3) DEFAULT now64(3)' },
      ],
      'MergeTree',
      'received',
    );
  }
  const objects = parseObjects(table.sample);
  if (objects.length === 0) return undefined;
  const columns = inferColumns(objects, table.idColumn);
  const hasId = objects.every((object) => isId(object[table.idColumn]));
  if (hasId) return createStatement(table, columns, 'ReplacingMergeTree', table.idColumn);
  // Without an id nothing tells equal events from one that came twice.
  const time = columns.find(({ type }) => type.startsWith('DateTime64'));
  return createStatement(table, columns, 'MergeTree', time?.name);
}

/** The statement that adds columns. */
export function addColumnsStatement(
  target: TableName,
  columns: readonly ColumnDeclaration[],
): string {
  const additions = columns.map(({ name, type }) => `ADD COLUMN ${quoteName(name)} ${type}`);
  return `ALTER TABLE ${quoteTable(target)} ${additions.join(', ')}`;
}

/** The statement that makes a table remember its inserts. */
export function deduplicationStatement(target: TableName, setting: string): string {
  return `ALTER TABLE ${quoteTable(target)} MODIFY SETTING ${setting} = ${deduplicationWindow}`;
}

function createStatement(
  { target, isModern }: NewTable,
  columns: readonly ColumnDeclaration[],
  engine: string,
  orderedBy: string | undefined,
): string {
  const declarations = columns.map(({ name, type }) => `${quoteName(name)} ${type}`);
  const order = orderedBy === undefined ? 'tuple()' : quoteName(orderedBy);
  return [
    `CREATE TABLE IF NOT EXISTS ${quoteTable(target)} (${declarations.join(', ')})`,
    `ENGINE = ${engine} ORDER BY ${order}`,
    ...(isModern ? [`SETTINGS non_replicated_deduplication_window = ${deduplicationWindow}`] : []),
  ].join(' ');
}

function isId(value: unknown): boolean {
  return typeof value === 'string' || Number.isSafeInteger(value);
}

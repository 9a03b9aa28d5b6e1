import type { ClickHouseEngine, TableName } from './clickhouse-engine.js';
import { quoteTable, quoteText } from './quoting.js';

export interface TableColumn {
  readonly name: string;
  readonly type: string;
  /** `DEFAULT`, `MATERIALIZED`, `ALIAS`, `EPHEMERAL`, or nothing. */
  readonly defaultKind: string;
}

export interface TableEngine {
  readonly name: string;
  /** How many inserts are remembered to know a repetition by; undefined when that is not known. */
  readonly deduplicationWindow: number | undefined;
  /** The setting that says so. */
  readonly windowSetting: 'replicated_deduplication_window' | 'non_replicated_deduplication_window';
}

/** The columns of a table in their order. Throws what the engine throws, such as code 60 for a table that is missing. */
export async function readColumns(
  engine: ClickHouseEngine,
  target: TableName,
  signal: AbortSignal,
): Promise<TableColumn[]> {
  const rows = await readRows(engine, `DESCRIBE TABLE ${quoteTable(target)}`, signal);
  return rows.map((row) => ({
    name: row['name'] ?? '',
    type: row['type'] ?? '',
    defaultKind: row['default_type'] ?? '',
  }));
}

/** Undefined when the table is not there, or may not be seen. */
export async function readTableEngine(
  engine: ClickHouseEngine,
  { database, table }: TableName,
  signal: AbortSignal,
): Promise<TableEngine | undefined> {
  const [row] = await readRows(
    engine,
    `SELECT engine, engine_full FROM system.tables WHERE database = ${quoteText(database)} AND name = ${quoteText(table)}`,
    signal,
  );
  if (row === undefined) return undefined;
  const name = row['engine'] ?? '';
  const isReplicated = /^(Replicated|Shared)/.test(name);
  const windowSetting = isReplicated
    ? 'replicated_deduplication_window'
    : 'non_replicated_deduplication_window';
  const ofTable = new RegExp(`\\b${windowSetting} = (\\d+)`).exec(row['engine_full'] ?? '')?.[1];
  if (ofTable !== undefined) return { name, windowSetting, deduplicationWindow: Number(ofTable) };
  const [setting] = await readRows(
    engine,
    `SELECT value FROM system.merge_tree_settings WHERE name = ${quoteText(windowSetting)}`,
    signal,
  );
  const value = setting?.['value'];
  return {
    name,
    windowSetting,
    deduplicationWindow: value === undefined ? undefined : Number(value),
  };
}

/** True for the engines that know repeated inserts by their tokens. */
export function isMergeTree(engine: TableEngine): boolean {
  return engine.name.endsWith('MergeTree');
}

/** The rows of an answer, every value as a text. */
async function readRows(
  engine: ClickHouseEngine,
  statement: string,
  signal: AbortSignal,
): Promise<Record<string, string>[]> {
  const text = await engine.query(`${statement} FORMAT JSON`, signal);
  const { data } = JSON.parse(text) as { data: Record<string, unknown>[] };
  return data.map((row) =>
    Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value)])),
  );
}

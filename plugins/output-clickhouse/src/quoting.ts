import type { TableName } from './clickhouse-engine.js';

const plainName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** A name of a database, table or column as statements take it; in backticks only where it has to be. */
export function quoteName(name: string): string {
  if (plainName.test(name)) return name;
  return `\`${name.replace(/[\\`]/g, '\\$&')}\``;
}

/** `database.table`. */
export function quoteTable({ database, table }: TableName): string {
  return `${quoteName(database)}.${quoteName(table)}`;
}

/** A text as statements take it. */
export function quoteText(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}

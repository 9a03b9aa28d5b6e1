import type { LogFields } from './logger.js';
import { cutText } from './printable.js';

/** A longer value, such as the page that a proxy answers with, tells no more and fills the disk. */
export const logValueLengthMax = 2_048;

/**
 * The fields that have a value, as what can be written: numbers that are none, and what plugins give against the
 * contract, become texts. Never throws.
 */
export function writableFields(
  fields: LogFields,
): [name: string, value: string | number | boolean][] {
  return Object.entries(fields).flatMap(([name, value]): [string, string | number | boolean][] => {
    if (value === undefined) return [];
    if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) {
      return [[name, value]];
    }
    return [[name, cutText(textOf(value), logValueLengthMax)]];
  });
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  try {
    return typeof value === 'object' && !(value instanceof Error)
      ? (JSON.stringify(value) ?? String(value))
      : String(value);
  } catch {
    // A cycle, or a toString that fails: a line of the log is no place to fail for that.
    return 'a value that has no text';
  }
}

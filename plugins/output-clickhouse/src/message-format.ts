import { firstBytes } from './message-rows.js';
import type { TableColumn } from './table-facts.js';

export type MessageFormat = 'json' | 'text';

const BRACE = 0x7b;

/** How many messages are looked at. */
const lookedAtMax = 100;

/** Fewer may be bad ones among good ones, as when a batch was halved to find them. */
const strangersMin = 10;

/**
 * By the table: text when the column for it is the only one that takes values, else json. That is the same for every
 * batch and in every run, whatever the messages look like, so a repeated batch is always sent as it was.
 */
export function formatByTable(columns: readonly TableColumn[], textColumn: string): MessageFormat {
  const open = columns.filter(({ defaultKind }) => defaultKind === '');
  const [only] = open;
  const isText =
    open.length === 1 &&
    only?.name === textColumn &&
    /^(LowCardinality\()?(Nullable\()?String/.test(only.type);
  return isText ? 'text' : 'json';
}

/** By messages, where there is no table to go by: undefined when some begin as objects do, and some do not. */
export function formatByMessages(bytes: Uint8Array): MessageFormat | undefined {
  const first = firstBytes(bytes, lookedAtMax);
  const objectCount = first.filter((byte) => byte === BRACE).length;
  if (objectCount === first.length) return 'json';
  return objectCount === 0 ? 'text' : undefined;
}

/** True for many messages of which none begins as an object does: to refuse each of them cannot be what was meant. */
export function areAllStrangers(bytes: Uint8Array): boolean {
  const first = firstBytes(bytes, lookedAtMax);
  return first.length >= strangersMin && !first.includes(BRACE);
}

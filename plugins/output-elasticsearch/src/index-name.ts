import { PluginError } from '@chukcha/plugin-api';

/** Makes the name of the index for a message. */
export interface IndexName {
  /** The one index of all messages; `undefined` for an index by date. */
  readonly fixed: string | undefined;
  /** A pattern for all indexes that may come. */
  readonly pattern: string;
  /** The index of an event of this time. */
  at(time: Date): string;
}

/** What Elasticsearch takes as a name, in bytes. */
const nameBytesMax = 255;

const datePlaceholder = /\{(yyyy(?:[.-]MM(?:[.-]dd)?)?)\}/g;

/** Throws a `PluginError` of kind `operator` for a template that makes no valid names. */
export function createIndexName(template: string, category: string): IndexName {
  const withCategory = template.replaceAll('{category}', category);
  const isDated = withCategory.search(datePlaceholder) !== -1;
  const at = (time: Date): string =>
    withCategory.replace(datePlaceholder, (_, format: string) => formatDate(format, time));
  // The checks of names do not depend on the date.
  checkName(at(new Date(0)), template);
  return {
    fixed: isDated ? undefined : withCategory,
    pattern: withCategory.replace(datePlaceholder, '*'),
    at,
  };
}

/** The date in UTC, as everywhere in these servers. */
function formatDate(format: string, time: Date): string {
  const iso = time.toISOString();
  return format
    .replace('yyyy', iso.slice(0, 4))
    .replace('MM', iso.slice(5, 7))
    .replace('dd', iso.slice(8, 10));
}

function checkName(name: string, template: string): void {
  const valid =
    name === name.toLowerCase() &&
    !/[\\/*?"<>| ,#:{}]/.test(name) &&
    !/^[-_+]/.test(name) &&
    name !== '.' &&
    name !== '..' &&
    Buffer.byteLength(name) <= nameBytesMax;
  if (valid) return;
  throw new PluginError(
    'operator',
    `Index ${JSON.stringify(template)} gives the name ${JSON.stringify(name)}, which is not valid: expected small letters, digits and . - _ (not first), ` +
      `at most ${nameBytesMax} bytes, and dates as {yyyy.MM.dd}; name one with --set index=NAME.`,
  );
}

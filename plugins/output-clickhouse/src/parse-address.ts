const expected =
  'expected //host:port/database/table, https://host:port/database/table, or a directory as ./name or /name';

/** Options by what stands in front of the host. Without a scheme, `tls` stays open for `--set`. */
const schemes: Readonly<Record<string, Readonly<Record<string, boolean>>>> = {
  '': {},
  'http:': { tls: false },
  'https:': { tls: true },
};

/**
 * Options from what stands behind `clickhouse:`. A query string gives further ones, as in `//host/db?format=text`.
 * Throws an `Error` that never has the address in it, because there may be a password there.
 */
export function parseAddress(rest: string): Readonly<Record<string, unknown>> {
  const server = /^(https?:)?(\/\/.*)$/.exec(rest);
  if (server !== null) return parseServer(server[1] ?? '', server[2] ?? '');
  if (/^\.{0,2}\//.test(rest) || rest === '.' || rest === '..') return { directory: rest };
  throw new Error(`${expected}.`);
}

function parseServer(scheme: string, address: string): Readonly<Record<string, unknown>> {
  // URL takes a port away that is the default of its scheme; no scheme of ours has one.
  const url = URL.canParse(`clickhouse:${address}`) ? new URL(`clickhouse:${address}`) : undefined;
  if (url === undefined || url.hostname === '') throw new Error(`${expected}, with a host.`);
  if (url.hash !== '')
    throw new Error('a # ends an address: write it as %23, as in a password or a name.');
  const [database, table, ...more] = url.pathname.split('/').slice(1).map(decode);
  if (more.some((part) => part !== ''))
    throw new Error('there is more behind the table: expected //host:port/database/table.');
  const options: Record<string, unknown> = { ...schemes[scheme], host: hostOf(url) };
  if (url.port !== '') options['port'] = Number(url.port);
  if (url.username !== '') options['user'] = decode(url.username);
  if (url.password !== '') options['password'] = decode(url.password);
  if (database) options['database'] = database;
  if (table) options['table'] = table;
  for (const [name, value] of url.searchParams)
    options[name] = name === 'settings' ? url.searchParams.getAll(name) : value;
  return options;
}

/** Addresses of version 6 stand in brackets only in URLs. */
function hostOf(url: URL): string {
  return decode(url.hostname).replace(/^\[(.*)\]$/, '$1');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error('a % stands without two digits behind it: write a % itself as %25.');
  }
}

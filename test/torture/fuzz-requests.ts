import type { SeededRandom } from '../../src/common/seeded-random.js';
import { headers, nodeChanges } from '../../src/protocol/http-api.js';
import { replicationPath, replicationQueryNames } from '../../src/protocol/replication.js';
import { routes } from '../../src/server/app.js';
import { pipelineReport } from '../support/pipeline-report.js';

/** What the requests have to say to come past the doors of a node. */
export interface FuzzFacts {
  /** Values of `Authorization`, of which one is shown now and then; none when the node asks for no token. */
  readonly authorizations: readonly string[];
  /** What a peer says of itself; empty for a node that is no member of a cluster. */
  readonly hello: Readonly<Record<string, string>>;
}

/** A request that is not yet bytes, so that one part of it can be made odd. */
interface Draft {
  method: string;
  path: string;
  query: [name: string, value: string][];
  headerLines: string[];
  body: string;
}

/** Values that the node takes, by the name of the parameter. A route with another parameter needs a line here. */
const plainValues: Readonly<Record<string, readonly string[]>> = {
  category: ['logs', 'logs', 'a', 'never-written'],
  chunk: ['node1-chunk000000000', 'node1-chunk000000001', 'node2-chunk000000000'],
  off: ['0', '2'],
  max_size: ['1', '4096', '70000'],
  wait_ms: ['0', '1', '30'],
  min_bytes: ['1', '100'],
  group: ['a', 'b', 'default'],
  from: ['earliest', 'latest'],
  owner: ['node1', 'node2'],
  size: ['0', '2', '1048577'],
  version: ['1', 'x'],
  holder: ['h', 'i'],
  ttl_ms: ['1', '1000'],
  // Not `node2`, which the streams of the fuzz come from: it could be replaced.
  node: ['node1', 'node3'],
  // A node that is removed ends, as it should.
  change: nodeChanges.filter((change) => change !== 'remove'),
  force: ['true', 'false'],
  min_sync_replicas: ['0', '1', '2'],
  sync_each_write: ['true', '0'],
  name: ['p', 'host.logs'],
  kind: ['ship', 'sink'],
  file: ['index.html', 'main.js', 'console.css', 'icon.svg', 'none.js'],
};

const goodReport = pipelineReport({ lastError: 'no', lastErrorClass: 'operator' });

/** What pipelines say of themselves. */
const reports: readonly string[] = [
  JSON.stringify(goodReport),
  JSON.stringify({ ...goodReport, group: 'g', state: 'stalled', more: [1] }),
  JSON.stringify({ ...goodReport, host: 'a\u001b[2J' }),
  JSON.stringify({ ...goodReport, lastError: 'e'.repeat(600) }),
  '[]',
];

const oddTexts: readonly string[] = [
  '',
  '-1',
  '9007199254740993',
  '1e9',
  '0x1',
  'NaN',
  ' ',
  '+',
  '*',
  '..',
  '../..',
  '..%2f..%2fetc%2fpasswd',
  '%2e%2e%2f',
  '%00',
  '%0d%0aX-Evil:%201',
  '%',
  '%ff',
  '%c0%ae',
  '%F0%9F%98%80',
  '\u00ff\u0080',
  '__proto__',
  'constructor',
  '<script>',
  '{{',
  '$(id)',
  "'",
  '"',
  'x'.repeat(129),
  'x'.repeat(9_000),
  'x'.repeat(17_000),
];

/** Names of headers that the node, its parser or a proxy looks at, with values; the node's own come from its table. */
const headerValues: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(Object.values(headers).map((name) => [name, ['p', '1', '2', 'a.b', '0']])),
  connection: ['close', 'keep-alive', 'Upgrade', 'close, Upgrade', 'Content-Length'],
  upgrade: ['chukcha/1', 'h2c', 'websocket', 'chukcha/2'],
  expect: ['100-continue', 'more'],
  'content-encoding': ['gzip', 'br', 'identity', 'gzip, gzip'],
  'content-type': ['text/plain', 'multipart/form-data; boundary=x', 'application/json'],
  'transfer-encoding': ['chunked', 'identity', 'gzip, chunked', 'chunked, chunked', 'xchunked'],
  'content-length': ['0', '3', '99999999999', '-1', '3, 3', '0x3', '+3'],
  authorization: ['Bearer x', 'Basic eA==', 'Bearer', 'Digest x', `Bearer ${'y'.repeat(2_000)}`],
  host: ['a', '[::1]', '', 'a@b', 'a:99999'],
  'sec-fetch-site': ['cross-site', 'same-origin'],
  'if-none-match': ['*', '"x"', 'W/"x"'],
  'if-modified-since': ['x'],
  range: ['bytes=0-1', 'bytes=-9999999999'],
  te: ['trailers'],
  trailer: ['Content-Length'],
  'proxy-authorization': ['Bearer x'],
  'x-forwarded-for': ['127.0.0.1'],
  'x-http-method-override': ['DELETE'],
  origin: ['http://evil.example'],
  cookie: ['a=b'],
  'http2-settings': ['AAMAAABkAAQAAP__'],
};

/** Lines of a head that are none, or are two. */
const oddLines: readonly string[] = [
  'A : b',
  ' folded',
  '\tfolded',
  ': empty',
  'no colon',
  'X: \0',
  'X: \x7f',
  'X: \x80\xff',
  'X: a\rX-Evil: 1',
  'X: a\nX-Evil: 1',
  '\rX: a',
  `X: ${'y'.repeat(17_000)}`,
  ...['Content-Length: 3\r\nContent-Length: 3', 'Content-Length: 3\r\nContent-Length: 4'],
  'Transfer-Encoding: chunked\r\nContent-Length: 3',
  'Host: a\r\nHost: b',
];

const methods: readonly string[] = [
  ...['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'TRACE'],
  ...['CONNECT', 'PROPFIND', 'get', 'PRI', 'G@T', ''],
];

const versions: readonly string[] = [
  'HTTP/1.0',
  'HTTP/1.2',
  'HTTP/2.0',
  'http/1.1',
  'HTTP/1.1 ',
  '',
];

const bodies: readonly string[] = [
  'a\n',
  'a\nb\n',
  `${'x'.repeat(300)}\n`,
  `${'y\n'.repeat(2_000)}`,
  `${'x'.repeat(70_000)}\n`,
];

const oddBodies: readonly string[] = [
  '',
  'a',
  '\n',
  '\0\n',
  '3\r\na\n\r\n0\r\n\r\n',
  '5\r\na',
  '3;x=y\r\na\nb\r\n0\r\nX-Evil: 1\r\n\r\n',
  'ffffffffffffffff\r\na\n',
  '\x1f\x8b\x08',
  'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n',
  'x'.repeat(70_000),
];

/** Places that lead nowhere, or should not. */
const oddPaths: readonly string[] = [
  ...['/', '', '*', '//', '/x', '/..', '/../etc/passwd', '/%2e%2e/%2e%2e/etc/passwd', '/./livez'],
  ...['//evil.example/livez', 'http://evil.example/livez', 'http://', 'http://[::1', 'evil:80'],
  ...['/livez/', '/livez%00', '/LIVEZ', '/console/..%2f..%2fpackage.json', '/console/%2e%2e'],
  ...['/groups/', '/groups/a/b', '/groups/%', '/leases/%00', '/nodes/..', replicationPath, '/\xff'],
];

/** Values that a node must not keep for ever; a category and a group are not among them, which are kept on purpose. */
const freshNames: ReadonlySet<string> = new Set(['holder', 'version', headers.producer]);

function plainValue(random: SeededRandom, name: string): string {
  const values = plainValues[name];
  if (values === undefined) {
    throw new Error(`The parameter ${name} has no values here: add some to plainValues.`);
  }
  return freshNames.has(name) && random.integer(0, 1) === 0 ? random.hex(8) : random.pick(values);
}

/** A request that a route takes, most likely. */
function plainDraft(random: SeededRandom): Draft {
  const route = random.pick(routes);
  const method = random.pick(route.methods);
  const path = route.path.replace(/<(\w+)>$/, (_, name: string) => plainValue(random, name));
  const query = route.queryNames
    .filter((name) => name === 'category' || random.integer(0, 9) < 7)
    .map((name): [string, string] => [name, plainValue(random, name)]);
  const takesBody = route.path === '/write';
  const headerLines: string[] = [];
  if (takesBody && random.integer(0, 3) === 0) {
    const producer = random.pick(['p', random.hex(8)]);
    const sequence = random.integer(0, 100);
    headerLines.push(`Chukcha-Producer: ${producer}`, `Chukcha-Sequence: ${sequence}`);
  }
  // Large bodies now and then only: what is written stays on the disk for a while.
  let body = '';
  if (takesBody) body = random.pick(random.integer(0, 19) === 0 ? bodies : bodies.slice(0, 3));
  if (route.path.startsWith('/pipelines/')) body = random.pick(reports);
  return { method, path, query, headerLines, body };
}

/** Makes one part of a request odd. */
const changes: readonly ((draft: Draft, random: SeededRandom) => void)[] = [
  (draft, random) => {
    draft.method = random.pick(methods);
  },
  (draft, random) => {
    draft.path = random.pick(oddPaths);
  },
  (draft, random) => {
    draft.path += random.pick(oddTexts);
  },
  (draft, random) => {
    draft.path = draft.path.replace(/[^/]*$/, random.pick(oddTexts));
  },
  (draft, random) => {
    const entry = random.pick([...draft.query, ['x', '']] as [string, string][]);
    entry[1] = random.pick(oddTexts);
  },
  (draft, random) => {
    draft.query = draft.query.filter(() => random.integer(0, 1) === 0);
  },
  (draft, random) => {
    const names = [...Object.keys(plainValues), ...replicationQueryNames, '__proto__', 'x', ''];
    draft.query.push([random.pick(names), random.pick(oddTexts)]);
  },
  (draft, random) => {
    const name = random.pick(Object.keys(headerValues));
    draft.headerLines.push(`${name}: ${random.pick(headerValues[name] ?? [])}`);
  },
  (draft, random) => {
    const name = random.pick(Object.keys(headerValues));
    draft.headerLines.push(`${name}: ${random.pick(oddTexts)}`);
  },
  (draft, random) => {
    draft.headerLines.push(random.pick(oddLines));
  },
  (draft, random) => {
    draft.body = random.pick(oddBodies);
  },
];

function toText(draft: Draft, random: SeededRandom, facts: FuzzFacts, isOdd: boolean): string {
  const { method, path, query, headerLines, body } = draft;
  const queryText = query.map(([name, value]) => `${name}=${value}`).join('&');
  const version = isOdd && random.integer(0, 19) === 0 ? random.pick(versions) : 'HTTP/1.1';
  const first = `${method} ${path}${queryText === '' ? '' : `?${queryText}`} ${version}`;
  const lines = [first, 'Host: node', ...headerLines];
  const mayLackLength = isOdd && random.integer(0, 4) === 0;
  // The lane takes no read with a length.
  if (!mayLackLength && (body !== '' || method === 'POST')) {
    lines.push(`Content-Length: ${body.length}`);
  }
  if (facts.authorizations.length > 0 && random.integer(0, 19) > 0) {
    lines.push(`Authorization: ${random.pick(facts.authorizations)}`);
  }
  const end = isOdd && random.integer(0, 49) === 0 ? '\n' : '\r\n';
  return `${lines.join(end)}${end}${end}${body}`;
}

/** What a connection may send: a request for one of the routes, as it should be, or with up to three odd parts. */
export function fuzzRequest(random: SeededRandom, facts: FuzzFacts): string {
  const draft = plainDraft(random);
  const oddCount = random.pick([0, 0, 1, 1, 1, 2, 3]);
  for (let left = oddCount; left > 0; left -= 1) random.pick(changes)(draft, random);
  return toText(draft, random, facts, oddCount > 0);
}

import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { ConsumeStream } from '../../src/client/consume-stream.js';
import { ProduceStream } from '../../src/client/produce-stream.js';
import { parseTokens } from '../../src/node/token-file.js';
import { type Right, rights } from '../../src/protocol/rights.js';
import { Access, digestOf } from '../../src/server/access/access.js';
import { testDirectory } from '../support/test-directory.js';
import { call, errorOf, json, startServer, type TestServer } from '../support/test-server.js';
import { until } from '../support/until.js';

const secretOf = (name: string): string => `chukcha_${name}_0123456789`;

function tokensOf(entries: Readonly<Record<string, Partial<Record<Right, string[]>>>>) {
  return Object.entries(entries).map(([name, patterns]) => ({
    name,
    digest: digestOf(secretOf(name)),
    patterns,
  }));
}

const everyToken = tokensOf({
  ...Object.fromEntries(rights.map((right) => [right, { [right]: ['logs'] }])),
  ...Object.fromEntries(rights.map((right) => [`${right}-all`, { [right]: ['*'] }])),
  'write-prefix': { write: ['lo*'] },
  'other-category': { write: ['logs2'], read: ['log'], ack: ['Logs'] },
  nothing: {},
});

/** Every call of the interface, with the right it needs; in the lane where the lane takes it. */
const calls: readonly {
  readonly method: string;
  readonly path: string;
  readonly right: Right | 'open';
  readonly scope: 'logs' | 'node' | 'any';
  readonly body?: string;
}[] = [
  { method: 'POST', path: '/write?category=logs', right: 'write', scope: 'logs', body: 'a\n' },
  { method: 'POST', path: '/write?category=lo%67s', right: 'write', scope: 'logs', body: 'a\n' },
  {
    method: 'GET',
    path: '/read?category=logs&chunk=node1-chunk000000000&off=0&max_size=9',
    right: 'read',
    scope: 'logs',
  },
  {
    method: 'GET',
    path: '/read?category=lo%67s&chunk=node1-chunk000000000&off=0&max_size=9',
    right: 'read',
    scope: 'logs',
  },
  {
    method: 'GET',
    path: '/stream?category=logs&from=earliest&wait_ms=0',
    right: 'read',
    scope: 'logs',
  },
  { method: 'GET', path: '/leases/g?category=logs', right: 'ack', scope: 'logs' },
  { method: 'PUT', path: '/leases/g?category=logs&holder=h&ttl_ms=9', right: 'ack', scope: 'logs' },
  { method: 'DELETE', path: '/leases/g?category=logs&holder=h', right: 'ack', scope: 'logs' },
  { method: 'GET', path: '/console', right: 'open', scope: 'any' },
  { method: 'GET', path: '/console/console.css', right: 'open', scope: 'any' },
  {
    method: 'GET',
    path: '/ack?category=logs&chunk=node1-chunk000000000&size=9',
    right: 'ack',
    scope: 'logs',
  },
  {
    method: 'POST',
    path: '/ack?category=logs&chunk=node1-chunk000000000&size=9',
    right: 'ack',
    scope: 'logs',
  },
  { method: 'GET', path: '/listChunks?category=logs', right: 'read', scope: 'logs' },
  { method: 'GET', path: '/listCategories', right: 'read', scope: 'any' },
  { method: 'GET', path: '/groups?category=logs', right: 'read', scope: 'logs' },
  { method: 'PUT', path: '/groups/g?category=logs', right: 'ack', scope: 'logs' },
  { method: 'DELETE', path: '/groups/g?category=logs', right: 'admin', scope: 'logs' },
  { method: 'POST', path: '/seal?category=logs', right: 'ack', scope: 'logs' },
  { method: 'PUT', path: '/pipelines/p?kind=ship&category=logs', right: 'write', scope: 'logs' },
  { method: 'PUT', path: '/pipelines/p?kind=sink&category=logs', right: 'ack', scope: 'logs' },
  { method: 'GET', path: '/status', right: 'observe', scope: 'node' },
  { method: 'GET', path: '/metrics', right: 'observe', scope: 'node' },
  { method: 'POST', path: '/nodes/node1?change=drain', right: 'admin', scope: 'node' },
  { method: 'GET', path: '/livez', right: 'open', scope: 'node' },
  { method: 'GET', path: '/readyz', right: 'open', scope: 'node' },
  { method: 'GET', path: '/produce?category=logs', right: 'write', scope: 'logs' },
  { method: 'GET', path: '/consume?category=logs', right: 'read', scope: 'logs' },
];

async function start(tt: Test, tokens = everyToken): Promise<TestServer & { access: Access }> {
  const access = new Access(tokens);
  const directory = testDirectory(tt);
  const server = await startServer({ directory, access });
  tt.teardown(() => server.close());
  return { ...server, access };
}

const bearer = (name: string): { Authorization: string } => ({
  Authorization: `Bearer ${secretOf(name)}`,
});

t.test('every call takes exactly the tokens that have its right', async (t) => {
  const server = await start(t);
  await call(server.url, '/write?category=logs', { body: 'a\n', headers: bearer('write') });
  for (const { method, path, right, scope, body } of calls) {
    const options = { method, ...(body === undefined ? {} : { body }) };
    for (const name of [undefined, 'unknown', ...everyToken.map(({ name }) => name)]) {
      const headers = name === undefined ? {} : bearer(name);
      const { status, headers: answered } = await call(server.url, path, { ...options, headers });
      const expected = expectedRefusal(name, right, scope);
      const label = `${method} ${path} with ${name}`;
      if (expected === undefined)
        t.notOk([401, 403].includes(status) && !path.startsWith('/consume'), `${label}: ${status}`);
      else t.equal(status, expected, label);
      if (status === 401) t.match(answered['www-authenticate'], /Bearer/);
    }
  }
});

function expectedRefusal(name: string | undefined, right: Right | 'open', scope: string) {
  if (right === 'open') return undefined;
  const patterns = everyToken.find((token) => token.name === name)?.patterns;
  if (patterns === undefined) return 401;
  const given = [...(patterns[right] ?? []), ...(patterns.admin ?? [])];
  const fits =
    scope === 'any'
      ? given.length > 0
      : given.some(
          (pattern) => pattern === '*' || (scope === 'logs' && ['logs', 'lo*'].includes(pattern)),
        );
  return fits ? undefined : 403;
}

t.test('a token is shown in the ways that clients have, and never said again', async (t) => {
  const server = await start(t);
  const path = '/write?category=logs';
  const basic = (words: string): string => `Basic ${Buffer.from(words).toString('base64')}`;
  const write = async (authorization: string, more = {}) =>
    (
      await call(server.url, path, {
        body: 'a\n',
        headers: { Authorization: authorization, ...more },
      })
    ).status;
  t.equal(await write(`bearer ${secretOf('write')}`), 200);
  t.equal(await write(basic(`anybody:${secretOf('write')}`)), 200);
  t.equal(
    await write(basic(`anybody:${secretOf('write')}`), { 'Sec-Fetch-Site': 'same-origin' }),
    200,
  );
  t.equal(
    await write(basic(`anybody:${secretOf('write')}`), { 'Sec-Fetch-Site': 'cross-site' }),
    403,
  );
  for (const wrong of [
    '',
    'Bearer',
    `Digest ${secretOf('write')}`,
    basic('no colon'),
    `Bearer ${'x'.repeat(5000)}`,
  ]) {
    t.equal(await write(wrong), 401, wrong.slice(0, 20));
  }
  const refused = await call(server.url, path, { body: 'a\n', headers: bearer('unknown') });
  t.match(errorOf(refused), { status: 401, code: 'unauthorized' });
  const said =
    refused.body.toString() +
    JSON.stringify(server.log) +
    (await call(server.url, '/status', { headers: bearer('observe-all') })).body;
  t.notMatch(said, /chukcha_\w+_0123/);
  t.notMatch(said, digestOf(secretOf('write')).toString('hex'));
});

t.test('the list of categories has those that the token may read', async (t) => {
  const server = await start(t, tokensOf({ a: { write: ['*'], read: ['a*'] } }));
  for (const category of ['a1', 'b1', 'a2']) {
    await call(server.url, `/write?category=${category}`, { body: 'a\n', headers: bearer('a') });
  }
  t.same(json(await call(server.url, '/listCategories', { headers: bearer('a') })), ['a1', 'a2']);
});

t.test('a token that is withdrawn ends what it has opened, also in the lane', async (t) => {
  const tokens = tokensOf({ a: { write: ['logs'], read: ['logs'], ack: ['logs'] } });
  const server = await start(t, tokens);
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  t.teardown(() => socket.destroy());
  let answered = '';
  socket.on('data', (bytes) => {
    answered += bytes.toString();
  });
  const head = `POST /write?category=logs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${secretOf('a')}\r\nContent-Length: 2\r\n\r\na\n`;
  socket.write(head);
  await until(() => /200 OK/.test(answered));
  const options = { server: server.url, category: 'logs', token: secretOf('a') };
  const produce = await ProduceStream.open(options);
  t.match(await produce.write([Buffer.from('b\n')]), { size: 2 });
  const consume = await ConsumeStream.open(options);
  server.access.replace([]);
  socket.write(head);
  await until(() => /401 Unauthorized/.test(answered));
  // The sweep of the connections sees it, once in a second.
  await until(() =>
    produce.write([Buffer.from('c\n')]).then(
      () => false,
      () => true,
    ),
  );
  await t.rejects(
    async () => {
      for await (const event of consume) void event;
    },
    { code: 'server_unreachable' },
  );
  await t.rejects(ProduceStream.open(options), { code: 'unauthorized' });
});

t.test('streams are opened with the right for them', async (t) => {
  const server = await start(t);
  const open = { server: server.url, category: 'logs' };
  await t.rejects(ProduceStream.open(open), { code: 'unauthorized' });
  await t.rejects(ProduceStream.open({ ...open, token: secretOf('read') }), { code: 'forbidden' });
  await t.rejects(ConsumeStream.open({ ...open, token: secretOf('read') }), { code: 'forbidden' });
  (await ConsumeStream.open({ ...open, token: secretOf('admin') })).close();
});

t.test('a token file says in which line it is wrong, and repeats no value', (t) => {
  const sha256 = 'a'.repeat(64);
  const refuse = (text: string, expected: RegExp) => {
    t.throws(
      () => parseTokens(text, 'f.yaml'),
      { code: 'invalid_option', message: expected },
      text,
    );
  };
  t.match(
    parseTokens(`tokens:\n  - name: a\n    sha256: ${sha256}\n    write: [logs, app-*]\n`, 'f'),
    [{ name: 'a', patterns: { write: ['logs', 'app-*'] } }],
  );
  refuse('tokens:\n  - name: a\n    sha256: chukcha_secret\n', /line 3: tokens\.0\.sha256/);
  refuse(
    `tokens:\n  - name: a\n    sha256: ${sha256}\n    rite: [x]\n`,
    /"rite", which is none of name/,
  );
  refuse(`tokens:\n  - name: a\n    sha256: ${sha256}\n    write: ['*a']\n`, /line 4/);
  refuse(
    `tokens:\n  - {name: a, sha256: ${sha256}}\n  - {name: b, sha256: ${sha256}}\n`,
    /line 3: this sha256 is there twice/,
  );
  refuse('tokens: [', /not YAML/);
  refuse('', /line 1/);
  t.throws(() => parseTokens('tokens:\n  - chukcha_secret: [', 'f'), {
    message: /^((?!secret).)*$/,
  });
  t.end();
});

import { once } from 'node:events';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { ConsumeStream } from '../../src/client/consume-stream.js';
import { ProduceStream } from '../../src/client/produce-stream.js';
import { parseTokens } from '../../src/node/token-file.js';
import { Access, digestOf } from '../../src/server/access/access.js';
import { ClusterSecret } from '../../src/server/access/cluster-secret.js';
import { RawConnection, writeRequest } from '../support/raw-connection.js';
import {
  everyToken,
  expectedRefusal,
  matrixCalls,
  otherMethodCalls,
  secretOf,
  tokensOf,
  triedTokens,
  undecided,
} from '../support/rights-matrix.js';
import { testDirectory } from '../support/test-directory.js';
import { call, errorOf, json, startServer, type TestServer } from '../support/test-server.js';
import { until } from '../support/until.js';

/** A server that has known another token before. */
async function start(
  tt: Test,
  tokens = everyToken,
  clusterSecret?: ClusterSecret,
): Promise<TestServer & { access: Access }> {
  const access = new Access([...tokens, ...tokensOf({ withdrawn: { admin: ['*'] } })]);
  const directory = testDirectory(tt);
  const server = await startServer({ directory, access, ...(clusterSecret && { clusterSecret }) });
  tt.teardown(() => server.close());
  const withdrawn = await call(server.url, '/status', { headers: bearer('withdrawn') });
  tt.equal(withdrawn.status, 200);
  access.replace(tokens);
  return { ...server, access };
}

/** Many calls take one after another; who asks is decided for each. */
function oneConnection(t: Test): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  return agent;
}

const bearer = (name: string): { Authorization: string } => ({
  Authorization: `Bearer ${secretOf(name)}`,
});

t.test('every route is decided about', (t) => {
  t.same(undecided(), [], 'add it to the decisions of rights-matrix.ts');
  t.end();
});

t.test('every call takes exactly the tokens that have its right', async (t) => {
  const server = await start(t);
  await call(server.url, '/write?category=logs', { body: 'a\n', headers: bearer('write') });
  const kept = oneConnection(t);
  for (const one of matrixCalls()) {
    const { method, path, body } = one;
    // The lane takes only what comes first on a connection.
    const agent = /^\/(write|read)\?/.test(path) ? new Agent() : kept;
    for (const name of triedTokens) {
      const headers = name === undefined ? {} : bearer(name);
      const options = { agent, method, headers, ...(body === undefined ? {} : { body }) };
      const { status, headers: answered } = await call(server.url, path, options);
      const expected = expectedRefusal(name, one);
      const label = `${method} ${path} with ${name}`;
      if (expected === undefined) t.notOk([401, 403, 500].includes(status), `${label}: ${status}`);
      else t.equal(status, expected, label);
      if (status === 401) t.match(answered['www-authenticate'], /Bearer/);
    }
  }
});

t.test('a method that no route has does nothing, whoever asks', async (t) => {
  const server = await start(t);
  const agent = oneConnection(t);
  for (const { method, path } of otherMethodCalls()) {
    for (const name of [undefined, 'nothing', 'admin-all']) {
      const headers = name === undefined ? {} : bearer(name);
      const { status, headers: answered } = await call(server.url, path, {
        agent,
        method,
        headers,
      });
      t.equal(status, 405, `${method} ${path} with ${name}`);
      t.notOk((answered.allow ?? '').split(', ').includes(method));
    }
  }
  t.same(json(await call(server.url, '/listCategories', { headers: bearer('admin') })), []);
});

t.test('streams are opened by exactly the tokens that have their rights', async (t) => {
  const server = await start(t);
  const streams = matrixCalls().filter(({ path }) => /^\/(produce|consume)\?/.test(path));
  t.equal(streams.length, 4);
  for (const one of streams) {
    for (const name of triedTokens) {
      const answer = await openStream(server.url, one.path, name);
      // With percent codes it is not the form that opens a stream, and the application says so.
      const opened = one.path.includes('%') ? 426 : 101;
      t.equal(answer, expectedRefusal(name, one) ?? opened, `${one.path} with ${name}`);
    }
  }
});

t.test('peers show the secret of the cluster, which is no token, and no token is it', async (t) => {
  const secret = 's'.repeat(40);
  const path = '/replication/stream?cluster=cluster1&node=node2&directory=d&boot=b&epoch=0';
  const guarded = await start(t, everyToken, new ClusterSecret(secret));
  for (const name of triedTokens) {
    t.equal(await openStream(guarded.url, path, name), 401, `with ${name}`);
  }
  // It stands alone, which it says to a peer only.
  t.equal(await openStream(guarded.url, path, undefined, `Bearer ${secret}`), 409);
  t.equal(await openStream(guarded.url, path, undefined, `Bearer ${secret}s`), 401);
  const tokensOnly = await start(t);
  t.equal(await openStream(tokensOnly.url, path, 'admin-all'), 401, 'without a secret no peer');
  for (const one of matrixCalls().filter(({ right }) => right !== 'open')) {
    const { method, path: asked, body } = one;
    const headers = { Authorization: `Bearer ${secret}` };
    const options = { method, headers, ...(body === undefined ? {} : { body }) };
    t.equal((await call(guarded.url, asked, options)).status, 401, `${method} ${asked}`);
  }
});

/** The status that the request for a stream is answered with. */
async function openStream(
  url: string,
  path: string,
  name: string | undefined,
  authorization = name === undefined ? undefined : `Bearer ${secretOf(name)}`,
): Promise<number> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  const shown = authorization === undefined ? '' : `Authorization: ${authorization}\r\n`;
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: chukcha/1\r\n${shown}\r\n`,
  );
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(bytes.toString('latin1'))?.[1]);
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

t.test('each request of a connection is judged by the token that it shows itself', async (t) => {
  const server = await start(t);
  const requestWith = (sequence: number, token: string, category = 'logs'): string =>
    writeRequest(
      'a\n',
      category,
      `Authorization: Bearer ${token}\r\nChukcha-Producer: p\r\nChukcha-Sequence: ${sequence}\r\n`,
    );
  const good = secretOf('write');
  const wrong = `${good.slice(0, -1)}x`;
  for (const [token, category, status] of [
    [good, 'logs', 200],
    [wrong, 'logs', 401],
    [`${good}x`, 'logs', 401],
    [secretOf('other-category'), 'logs', 403],
    [good, 'logs2', 403],
  ] as const) {
    const connection = new RawConnection(server.url);
    t.teardown(() => connection.socket.destroy());
    for (const sequence of [1, 2]) connection.send(requestWith(sequence, good));
    t.match(
      [await connection.answer(), await connection.answer()],
      [{ status: 200 }, { status: 200 }],
    );
    connection.send(requestWith(3, token, category));
    t.match(await connection.answer(), { status }, `${token} for ${category}`);
  }
  const connection = new RawConnection(server.url);
  t.teardown(() => connection.socket.destroy());
  connection.send(requestWith(1, good));
  t.match(await connection.answer(), { status: 200 });
  server.access.replace([]);
  connection.send(requestWith(2, good));
  t.match(await connection.answer(), { status: 401 }, 'what was remembered ends with its token');
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

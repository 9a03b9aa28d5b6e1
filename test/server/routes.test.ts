import { existsSync } from 'node:fs';
import t from 'tap';
import { FaultDisk } from '../support/fault-disk.js';
import {
  type Answer,
  call,
  errorOf,
  json,
  startServer,
  type TestServer,
  write,
} from '../support/test-server.js';
import { chunkFiles } from '../support/test-store.js';
import { until } from '../support/until.js';

const first = 'node1-chunk000000000';
const second = 'node1-chunk000000001';

async function seal(server: TestServer): Promise<void> {
  await (await server.store.category('logs')).seal();
}

function ack(server: TestServer, parameters: string, method = 'POST'): Promise<Answer> {
  return call(server.url, `/ack?category=logs&${parameters}`, { method });
}

await t.test('an ack of a sealed chunk deletes it, by POST and by GET', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  for (const [method, chunk] of [
    ['POST', first],
    ['GET', second],
  ] as const) {
    await write(server, 'a\n');
    await seal(server);
    const answer = await ack(server, `chunk=${chunk}&size=2`, method);
    t.equal(answer.status, 200);
    t.same(json(answer), { category: 'logs', chunk, group: 'default' });
    t.same(await chunkFiles(server.directory, 'logs'), []);
    t.equal((await ack(server, `chunk=${chunk}&size=2`, method)).status, 200, 'again');
  }
  await server.close();
});

await t.test('an ack that does not fit is refused with its reason', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'abc\n');
  t.match(errorOf(await ack(server, `chunk=${first}&size=4`)), {
    status: 409,
    code: 'chunk_open',
    size: 4,
  });
  await seal(server);
  t.match(errorOf(await ack(server, `chunk=${first}&size=3`)), {
    status: 409,
    code: 'ack_size_too_small',
    size: 4,
  });
  const refusals: readonly (readonly [string, number, string])[] = [
    [`chunk=${second}&size=4`, 404, 'chunk_not_found'],
    [`chunk=${first}`, 400, 'invalid_request'],
    [`chunk=${first}&size=-1`, 400, 'invalid_request'],
    [`chunk=${first}&size=4.0`, 400, 'invalid_request'],
    [`chunk=${first}&size=4&force=true`, 400, 'invalid_request'],
    ['size=4', 400, 'invalid_request'],
    ['chunk=..&size=4', 400, 'invalid_name'],
    [`chunk=${first}&size=4&group=a/b`, 400, 'invalid_name'],
    [`chunk=${first}&size=4&group=`, 400, 'invalid_name'],
    [`chunk=${first}&size=4&group=${'x'.repeat(300)}`, 400, 'invalid_name'],
  ];
  for (const [parameters, status, code] of refusals) {
    t.match(errorOf(await ack(server, parameters)), { status, code }, parameters.slice(0, 60));
  }
  const elsewhere = await call(server.url, `/ack?category=none&chunk=${first}&size=4`);
  t.match(errorOf(elsewhere), { status: 404, code: 'chunk_not_found' });
  t.notOk(existsSync(`${server.directory}/.chukcha/none`), 'asking creates nothing');
  t.same(await chunkFiles(server.directory, 'logs'), [first]);
  await server.close();
});

await t.test('a full disk refuses an ack, and the next one is good', async (t) => {
  const disk = new FaultDisk();
  const server = await startServer({ directory: t.testdir(), disk });
  await write(server, 'a\n');
  await seal(server);
  disk.inject({ operation: 'createFile', path: /groups\.json/, code: 'ENOSPC' });
  disk.inject({ operation: 'createFile', path: /groups\.json/, code: 'ENOSPC' });
  t.match(errorOf(await ack(server, `chunk=${first}&size=2`)), { status: 507, code: 'disk_full' });
  t.equal((await ack(server, `chunk=${first}&size=2`)).status, 200);
  t.same(await chunkFiles(server.directory, 'logs'), []);
  await server.close();
});

await t.test('chunks are listed by owner and index, as a group sees them', async (t) => {
  const server = await startServer({ directory: t.testdir(), chunkBytesMax: 1 });
  for (const text of ['a\n', 'bb\n', 'ccc\n']) await write(server, text);
  const answer = await call(server.url, '/listChunks?category=logs');
  t.same(json(answer), [
    { name: first, complete: true, size: 2 },
    { name: second, complete: true, size: 3 },
    { name: 'node1-chunk000000002', complete: false, size: 4 },
  ]);
  t.equal(answer.headers['chukcha-cluster-id'], 'cluster1');
  t.type(answer.headers['chukcha-list-version'], 'string');
  const unknown = await call(server.url, '/listChunks?category=never-written');
  t.same(json(unknown), []);
  t.notOk(existsSync(`${server.directory}/.chukcha/never-written`), 'asking creates nothing');
  for (const parameters of [
    '',
    'category=..',
    'category=a&group=a.b',
    'category=a&wait_ms=55001',
  ]) {
    t.equal((await call(server.url, `/listChunks?${parameters}`)).status, 400, parameters);
  }
  await server.close();
});

/** Asks for the list once, then holds the request until the list is another one. */
async function heldList(
  server: TestServer,
  category = 'logs',
): Promise<{ answer: Promise<Answer> }> {
  const path = `/listChunks?category=${category}`;
  const version = (await call(server.url, path)).headers['chukcha-list-version'];
  const held = server.clock.nextTimer();
  const answer = call(server.url, `${path}&version=${version}&wait_ms=50000`);
  await held;
  return { answer };
}

await t.test('a held list answers when a chunk appears, is sealed or goes', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await call(server.url, '/groups/default?category=logs', { method: 'PUT' });
  const appears = await heldList(server);
  await write(server, 'a\n');
  t.match(json(await appears.answer), [{ name: first, complete: false }]);
  const sealed = await heldList(server);
  await seal(server);
  t.match(json(await sealed.answer), [{ name: first, complete: true }]);
  const goes = await heldList(server);
  await ack(server, `chunk=${first}&size=2`);
  t.same(json(await goes.answer), []);
  await server.close();
});

await t.test('a held list of a category that is not known answers when that comes', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const { answer } = await heldList(server);
  await write(server, 'a\n', 'other');
  await write(server, 'a\n');
  const { headers } = await answer;
  const path = `/listChunks?category=logs&version=${headers['chukcha-list-version']}&wait_ms=50000`;
  t.match(
    json(await call(server.url, path)),
    [{ name: first }],
    'at once or with the next version',
  );
  await server.close();
});

await t.test('a held list is not woken by growth or by other categories', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\n');
  const { answer } = await heldList(server);
  await write(server, 'b\n');
  await write(server, 'c\n', 'other');
  let answered = false;
  void answer.then(() => {
    answered = true;
  });
  t.equal((await call(server.url, '/livez')).status, 200);
  t.notOk(answered);
  server.clock.advance(50_000);
  t.match(json(await answer), [{ name: first, size: 4 }], 'its time is over');
  await server.close();
});

await t.test('a list is answered at once when its version is another one', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\n');
  const path = '/listChunks?category=logs&wait_ms=50000';
  t.match(json(await call(server.url, `${path}&version=of-another-start.1`)), [{ name: first }]);
  t.match(json(await call(server.url, path)), [{ name: first }], 'and without a version');
  await server.close();
});

await t.test('held lists answer when the node stops or the client is gone', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\n');
  server.clock.advance(1_000);
  const controller = new AbortController();
  const version = (await call(server.url, '/listChunks?category=logs')).headers[
    'chukcha-list-version'
  ];
  const path = `/listChunks?category=logs&version=${version}&wait_ms=50000`;
  const restingCount = server.clock.timerCount;
  const held = server.clock.nextTimer();
  const gone = call(server.url, path, { signal: controller.signal });
  await held;
  controller.abort();
  await t.rejects(gone, { name: 'AbortError' });
  await until(() => server.clock.timerCount === restingCount);
  const { answer } = await heldList(server);
  server.stop();
  t.match(errorOf(await answer), { status: 503, code: 'draining' });
  await server.close();
});

await t.test('many held requests at once cause no warning', async (t) => {
  const warnings: string[] = [];
  const note = (warning: Error): void => void warnings.push(warning.message);
  process.on('warning', note);
  t.teardown(() => process.off('warning', note));
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\n');
  const restingCount = server.clock.timerCount;
  const held = Array.from({ length: 50 }, () =>
    call(server.url, `/read?category=logs&chunk=${first}&off=2&wait_ms=50000`),
  );
  await until(() => server.clock.timerCount >= restingCount + 50);
  await write(server, 'b\n');
  const bodies = (await Promise.all(held)).map(({ body }) => body.toString());
  t.ok(bodies.every((body) => body === 'b\n'));
  t.same(warnings, []);
  await server.close();
});

await t.test('categories are listed by name once they were written to', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  t.same(json(await call(server.url, '/listCategories')), []);
  for (const category of ['b', 'a', 'C']) await write(server, 'x\n', category);
  t.same(json(await call(server.url, '/listCategories')), ['C', 'a', 'b']);
  t.equal((await call(server.url, '/listCategories?all=true')).status, 400);
  await server.close();
});

await t.test('livez says which node this is and whether it stops', async (t) => {
  const server = await startServer({ directory: t.testdir(), nodeName: 'node-7' });
  const running = {
    node: 'node-7',
    cluster: 'cluster1',
    maxBatch: 4 * 1024 * 1024,
    state: 'running',
  };
  t.same(json(await call(server.url, '/livez')), running);
  server.stop();
  t.same(json(await call(server.url, '/livez')), { ...running, state: 'stopping' });
  await server.close();
});

await t.test('a path or a method that is not there is refused with what is', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  for (const path of [
    '/',
    '/writes',
    '/write/',
    '/Write',
    '//write',
    '/%77rite',
    '/..',
    `/${'x'.repeat(5_000)}`,
  ]) {
    const answer = await call(server.url, path);
    t.match(errorOf(answer), {
      status: 404,
      code: 'not_found',
      message: /expected one of \/write, /,
    });
    t.ok(answer.body.length < 500, 'what was asked is not repeated at length');
  }
  const methods: readonly (readonly [string, string, string])[] = [
    ['GET', '/write?category=a', 'POST'],
    ['POST', '/read', 'GET'],
    ['DELETE', '/ack', 'GET, POST'],
    ['POST', '/groups', 'GET'],
    ['GET', '/groups/a', 'PUT, DELETE'],
    ['OPTIONS', '/livez', 'GET'],
  ];
  for (const [method, path, allowed] of methods) {
    const answer = await call(server.url, path, { method });
    t.match(errorOf(answer), { status: 405, code: 'method_not_allowed' });
    t.equal(answer.headers.allow, allowed);
  }
  t.equal((await call(server.url, '/livez', { method: 'HEAD' })).status, 405);
  await server.close();
});

await t.test(
  'an address that is taken or not of this machine is refused with a sentence',
  async (t) => {
    const server = await startServer({ directory: t.testdir() });
    const { Listener } = await import('../../src/server/listener.js');
    const port = Number(new URL(server.url).port);
    const refusals: readonly (readonly [string, number, RegExp])[] = [
      ['127.0.0.1', port, /^Another process listens on 127\.0\.0\.1:\d+ already: stop it, or /],
      ['192.0.2.1', 0, /^192\.0\.2\.1:0 is not an address of this machine: /],
    ];
    for (const [host, wanted, message] of refusals) {
      const opening = Listener.open(server.ports, { host, port: wanted });
      await t.rejects(opening, { code: 'listen_failed', message });
    }
    const onSixth = await Listener.open(server.ports, { host: '::1', port: 0 });
    t.match(onSixth.url, /^http:\/\/\[::1\]:\d+$/);
    await onSixth.close();
    await t.resolves(onSixth.close(), 'closing again does nothing');
    await server.close();
  },
);

await t.test('readiness says why no writes are taken', async (t) => {
  const disk = new FaultDisk();
  const server = await startServer({ directory: t.testdir(), disk });
  const ready = await call(server.url, '/readyz', {});
  t.equal(ready.status, 200);
  t.same(json(ready), { ready: true, reasons: [] });
  await write(server, 'a\n');
  disk.inject({ operation: 'sync', path: /chunk000000000$/, code: 'EIO' });
  await call(server.url, '/write?category=logs&sync_each_write=true', {
    method: 'POST',
    body: 'b\n',
  });
  const failed = await call(server.url, '/readyz', {});
  t.equal(failed.status, 503);
  t.match((json(failed) as { reasons: string[] }).reasons, [/could not be made durable/]);
  await server.close();
});

await t.test('metrics say what the status says', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\n');
  await (await server.store.category('logs')).registerGroup('audit');
  const answer = await call(server.url, '/metrics', {});
  const text = answer.body.toString();
  t.match(answer.headers['content-type'], /^text\/plain/);
  for (const line of [
    'chukcha_ready 1',
    'chukcha_chunks{category="logs"} 1',
    'chukcha_chunk_bytes{category="logs"} 2',
    'chukcha_group_lag_bytes{category="logs",group="audit"} 2',
  ]) {
    t.ok(text.includes(`${line}\n`), line);
  }
  await server.close();
});

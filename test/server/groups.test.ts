import { existsSync } from 'node:fs';
import t from 'tap';
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

const first = 'node1-chunk000000000';
const second = 'node1-chunk000000001';

function put(server: TestServer, group: string, parameters = ''): Promise<Answer> {
  return call(server.url, `/groups/${group}?category=logs${parameters}`, { method: 'PUT' });
}

function remove(server: TestServer, group: string, category = 'logs'): Promise<Answer> {
  return call(server.url, `/groups/${group}?category=${category}`, { method: 'DELETE' });
}

async function groups(server: TestServer): Promise<unknown> {
  return json(await call(server.url, '/groups?category=logs'));
}

async function seal(server: TestServer): Promise<unknown> {
  return json(await call(server.url, '/seal?category=logs', { method: 'POST' }));
}

function ack(server: TestServer, chunk: string, size: number, group: string): Promise<Answer> {
  const parameters = `category=logs&chunk=${chunk}&size=${size}&group=${group}`;
  return call(server.url, `/ack?${parameters}`, { method: 'POST' });
}

await t.test(
  'a registered group holds what it has not acknowledged, until it is removed',
  async (t) => {
    const server = await startServer({ directory: t.testdir() });
    const registered = {
      category: 'logs',
      group: 'slow',
      from: 'earliest',
      created: true,
      freedChunks: 0,
      freedBytes: 0,
    };
    t.same(json(await put(server, 'slow')), registered);
    t.same(
      json(await put(server, 'slow')),
      { ...registered, created: false },
      'it may be repeated',
    );
    t.same(json(await call(server.url, '/listCategories')), [], 'a group alone is no category');
    await write(server, 'a\n');
    t.same(await seal(server), { category: 'logs', chunk: first, size: 2 });
    await write(server, 'bbb\n');
    t.same(await groups(server), [{ group: 'slow', chunks: 2, bytes: 6 }]);
    await ack(server, first, 2, 'fast');
    t.same(await groups(server), [
      { group: 'fast', chunks: 1, bytes: 4 },
      { group: 'slow', chunks: 2, bytes: 6 },
    ]);
    t.same(await chunkFiles(server.directory, 'logs'), [first, second]);
    const removed = {
      category: 'logs',
      group: 'slow',
      removed: true,
      freedChunks: 1,
      freedBytes: 2,
    };
    t.same(json(await remove(server, 'slow')), removed);
    t.same(await chunkFiles(server.directory, 'logs'), [second]);
    t.same(await groups(server), [{ group: 'fast', chunks: 1, bytes: 4 }]);
    const nothing = { ...removed, removed: false, freedChunks: 0, freedBytes: 0 };
    t.same(json(await remove(server, 'slow')), nothing, 'it may be repeated');
    await server.close();
  },
);

await t.test(
  'a group that begins at the latest message has nothing of what was there',
  async (t) => {
    const server = await startServer({ directory: t.testdir() });
    await write(server, 'a\n');
    t.match(json(await put(server, 'late', '&from=latest')), { from: 'latest', created: true });
    t.same(await groups(server), [{ group: 'late', chunks: 0, bytes: 0 }]);
    await write(server, 'b\n');
    const list = await call(server.url, '/listChunks?category=logs&group=late');
    t.same(json(list), [{ name: second, complete: false, size: 2 }]);
    await server.close();
  },
);

await t.test('a category that is not known has no groups and nothing to seal', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  t.same(await groups(server), []);
  t.match(json(await remove(server, 'a')), { removed: false });
  t.same(await seal(server), { category: 'logs', chunk: null, size: null });
  t.notOk(existsSync(`${server.directory}/.chukcha/logs`), 'asking creates nothing');
  await server.close();
});

await t.test('sealing makes the open chunk one that can be acknowledged', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\n');
  t.match(errorOf(await ack(server, first, 2, 'default')), { code: 'chunk_open' });
  t.same(await seal(server), { category: 'logs', chunk: first, size: 2 });
  t.same(await seal(server), { category: 'logs', chunk: null, size: null }, 'nothing is open now');
  t.equal((await ack(server, first, 2, 'default')).status, 200);
  t.same(await chunkFiles(server.directory, 'logs'), []);
  await server.close();
});

await t.test('a group cannot be named in a way that has no meaning', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const refusals: readonly (readonly [string, number, string])[] = [
    ['/groups/a', 400, 'invalid_request'],
    ['/groups/a?category=logs&group=b', 400, 'invalid_request'],
    ['/groups/a?category=logs&from=now', 400, 'invalid_request'],
    ['/groups/a?category=logs&category=logs', 400, 'invalid_request'],
    ['/groups/a?category=%', 400, 'invalid_name'],
    ['/groups/a?category=a.b', 400, 'invalid_name'],
    ['/groups/..%2fa?category=logs', 400, 'invalid_name'],
    ['/groups/a%00?category=logs', 400, 'invalid_name'],
    [`/groups/${'x'.repeat(300)}?category=logs`, 400, 'invalid_name'],
    ['/groups/%zz?category=logs', 400, 'invalid_request'],
    ['/groups/%ff?category=logs', 400, 'invalid_request'],
    ['/groups/a/b?category=logs', 404, 'not_found'],
    ['/groups/?category=logs', 404, 'not_found'],
    ['/groups?category=logs', 405, 'method_not_allowed'],
  ];
  for (const [path, status, code] of refusals) {
    t.match(errorOf(await call(server.url, path, { method: 'PUT' })), { status, code }, path);
  }
  const escaped = await call(server.url, '/groups/%61-b?category=logs', { method: 'PUT' });
  t.match(json(escaped), { group: 'a-b' }, 'a name may be percent-encoded');
  await server.close();
});

await t.test('the status tells of the node, its categories and their groups', async (t) => {
  const server = await startServer({ directory: t.testdir(), nodeName: 'node-7' });
  t.match(json(await call(server.url, '/status')), { uptimeSeconds: 0, categories: [] });
  await write(server, 'a\n', 'b');
  await write(server, 'aaa\n', 'a');
  await put(server, 'early');
  await call(server.url, '/groups/slow?category=a', { method: 'PUT' });
  server.clock.advance(61_500);
  t.match(json(await call(server.url, '/status')), {
    node: 'node-7',
    cluster: 'cluster1',
    version: /^\d+\.\d+\.\d+/,
    state: 'running',
    startedAt: '2026-01-01T00:00:00.000Z',
    uptimeSeconds: 61,
    categories: [
      { name: 'a', chunks: 1, bytes: 4, groups: [{ group: 'slow', chunks: 1, bytes: 4 }] },
      { name: 'b', chunks: 1, bytes: 2, groups: [] },
      { name: 'logs', chunks: 0, bytes: 0, groups: [{ group: 'early', chunks: 0, bytes: 0 }] },
    ],
  });
  server.stop();
  t.match(json(await call(server.url, '/status')), { state: 'stopping' });
  t.equal((await call(server.url, '/status?category=a')).status, 400);
  await server.close();
});

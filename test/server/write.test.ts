import { existsSync, readdirSync } from 'node:fs';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import {
  batchBytesMaxDefault,
  chunkBytesMaxDefault,
  messageBytesMax,
} from '../../src/protocol/limits.js';
import { FaultDisk } from '../support/fault-disk.js';
import {
  type Answer,
  call,
  errorOf,
  json,
  messageOf,
  startServer,
  write,
} from '../support/test-server.js';
import { append, chunkFiles, readChunk } from '../support/test-store.js';
import { until } from '../support/until.js';

const first = 'node1-chunk000000000';

await t.test('a write says where the batch is', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const answer = await call(server.url, '/write?category=logs', { body: 'a\nb\n' });
  t.equal(answer.status, 200);
  t.match(answer.headers, { 'content-type': 'application/json' });
  t.same(json(answer), { chunk: first, offset: 0, size: 4, duplicate: false });
  const durable = await call(server.url, '/write?category=logs&sync_each_write=true', {
    body: 'c\n',
  });
  t.same(json(durable), { chunk: first, offset: 4, size: 2, duplicate: false });
  t.equal((await readChunk(server.directory, 'logs', first)).toString(), 'a\nb\nc\n');
  await server.close();
});

await t.test('bytes are stored as they came', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const body = Buffer.concat([
    Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
    Buffer.from('\r\n\n\0\n'),
  ]);
  const chunk = await write(server, body);
  t.ok((await readChunk(server.directory, 'logs', chunk)).equals(body));
  await server.close();
});

await t.test('sync_each_write makes the batch durable before the answer', async (t) => {
  const disk = new FaultDisk();
  const server = await startServer({ directory: t.testdir(), disk });
  await call(server.url, '/write?category=logs&sync_each_write=0', { body: 'a\n' });
  t.equal(disk.count('sync', /chunk\d+$/), 0);
  await call(server.url, '/write?category=logs&sync_each_write=1', { body: 'a\n' });
  t.equal(disk.count('sync', /chunk\d+$/), 1);
  await server.close();
});

await t.test('a message of exactly 1 MiB is taken, one byte more is refused whole', async (t) => {
  const server = await startServer({
    directory: t.testdir(),
    chunkBytesMax: chunkBytesMaxDefault,
  });
  await write(server, messageOf(messageBytesMax));
  await write(server, Buffer.concat([messageOf(messageBytesMax), messageOf(messageBytesMax)]));
  const refused = await call(server.url, '/write?category=logs', {
    body: Buffer.concat([messageOf(10), messageOf(messageBytesMax + 1), messageOf(10)]),
  });
  t.match(errorOf(refused), {
    status: 413,
    code: 'message_too_large',
    line: 2,
    offset: 10,
    limit: messageBytesMax,
  });
  const stored = await readChunk(server.directory, 'logs', first);
  t.equal(stored.length, 3 * messageBytesMax, 'nothing of the refused batch is there');
  await server.close();
});

await t.test('a batch of exactly the limit is taken, one byte more is refused', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const lines = Buffer.concat(Array.from({ length: 64 }, () => messageOf(64 * 1024)));
  t.equal(lines.length, batchBytesMaxDefault);
  await write(server, lines);
  const more = Buffer.concat([lines, Buffer.from('\n')]);
  const expected = { status: 413, code: 'batch_too_large', limit: batchBytesMaxDefault };
  t.match(errorOf(await call(server.url, '/write?category=logs', { body: more })), expected);
  const chunked = await call(server.url, '/write?category=logs', {
    body: [lines, Buffer.from('\n')],
  });
  t.match(errorOf(chunked), expected, 'also when its length is not declared');
  t.equal((await readChunk(server.directory, 'logs', first)).length, batchBytesMaxDefault);
  await server.close();
});

await t.test('a body that arrives in any pieces is one batch', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const sizes = [1, 17_000, 3, 16_383, 16_384, 70_000, 1, 1, 200_000];
  const pieces = sizes.map((size, index) => Buffer.alloc(size, String(index)));
  const body = [...pieces, Buffer.from('\n')];
  const answer = await call(server.url, '/write?category=logs', { body });
  t.match(json(answer), { offset: 0, size: Buffer.concat(body).length });
  t.ok((await readChunk(server.directory, 'logs', first)).equals(Buffer.concat(body)));
  await server.close();
});

await t.test('a batch that has no whole messages is refused', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const cases: readonly (readonly [string, string])[] = [
    ['', 'batch_empty'],
    ['a', 'batch_unterminated'],
    ['a\nb', 'batch_unterminated'],
  ];
  for (const [body, code] of cases) {
    const answer = await call(server.url, '/write?category=logs', { method: 'POST', body });
    t.match(errorOf(answer), { status: 400, code });
  }
  t.notOk(existsSync(`${server.directory}/logs`), 'nothing was created');
  t.same(await server.store.listCategories(), []);
  await server.close();
});

await t.test('names that are not valid are refused, and nothing appears outside', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const names = ['..', '../evil', '/etc', 'a/b', 'a\0b', '.chukcha', 'a b', 'é', 'x'.repeat(300)];
  for (const name of names) {
    const path = `/write?category=${encodeURIComponent(name)}`;
    t.match(errorOf(await call(server.url, path, { body: 'a\n' })), {
      status: 400,
      code: 'invalid_name',
      kind: 'category',
    });
  }
  for (const path of ['/write', '/write?category=']) {
    t.match(errorOf(await call(server.url, path, { body: 'a\n' })), { code: 'invalid_request' });
  }
  t.same(await server.store.listCategories(), []);
  await server.close();
});

await t.test('parameters that could weaken a promise by a typing error are refused', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  for (const parameters of [
    'sync_each_writes=true',
    'sync_each_write=yes',
    'sync_each_write=true&sync_each_write=false',
    'min_sync_replicas=-1',
    'min_sync_replicas=1.5',
    'min_sync_replicas=',
    'Sync_Each_Write=true',
  ]) {
    const answer = await call(server.url, `/write?category=logs&${parameters}`, { body: 'a\n' });
    t.match(errorOf(answer), { status: 400, code: 'invalid_request' }, parameters);
  }
  t.notOk(existsSync(`${server.directory}/logs`));
  await server.close();
});

await t.test('a node without peers refuses to promise replicas', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const answer = await call(server.url, '/write?category=logs&min_sync_replicas=1', {
    body: 'a\n',
  });
  t.match(errorOf(answer), { status: 503, code: 'too_few_replicas', wanted: 1, replicas: 0 });
  t.match(answer.headers, { 'retry-after': '1' });
  t.equal(
    (await call(server.url, '/write?category=logs&min_sync_replicas=0', { body: 'a\n' })).status,
    200,
  );
  t.equal((await readChunk(server.directory, 'logs', first)).toString(), 'a\n');
  await server.close();
});

await t.test('a body in gzip is unpacked, and the limit holds for what is in it', async (t) => {
  const server = await startServer({ directory: t.testdir(), chunkBytesMax: chunkBytesMaxDefault });
  const send = (body: Buffer | Buffer[], encoding = 'gzip'): Promise<Answer> =>
    call(server.url, '/write?category=logs', {
      body,
      headers: { 'Content-Encoding': encoding },
    });
  const lines = Buffer.from('a line that repeats\n'.repeat(50_000));
  const packed = gzipSync(lines);
  t.match(json(await send(packed)), { offset: 0, size: lines.length });
  const halves = [packed.subarray(0, 11), packed.subarray(11)];
  t.match(json(await send(halves, 'X-GZIP')), { offset: lines.length });
  const noise = messageOf(batchBytesMaxDefault / 8);
  for (let at = 0; at < noise.length - 1; at += 1) noise[at] = 11 + ((at * at * 31) % 240);
  t.match(json(await send(gzipSync(noise, { level: 0 }))), { size: noise.length });
  const stored = await readChunk(server.directory, 'logs', first);
  t.ok(stored.equals(Buffer.concat([lines, lines, noise])));
  const bomb = gzipSync(Buffer.alloc(20 * batchBytesMaxDefault, '\n'));
  t.match(errorOf(await send(bomb)), { status: 413, code: 'batch_too_large' });
  const emptyMembers = Buffer.concat(Array<Buffer>(250_000).fill(gzipSync('')));
  t.match(errorOf(await send([emptyMembers])), { status: 413, code: 'batch_too_large' });
  t.equal(server.ports.budget.usedBytes, 0);
  await server.close();
});

await t.test('a body that is not whole and valid gzip is refused', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const packed = gzipSync('a\nb\n'.repeat(1_000));
  const flipped = Buffer.from(packed);
  flipped[flipped.length - 6] = (flipped.at(-6) ?? 0) ^ 1;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  for (const [name, body] of [
    ['plain lines', Buffer.from('a\n')],
    ['a cut end', packed.subarray(0, -1)],
    ['a wrong checksum', flipped],
    ['lines behind the end', Buffer.concat([packed, Buffer.from('c\n')])],
    ['lines behind the end, later', [packed, Buffer.from('c\n'), Buffer.alloc(300_000, '\n')]],
  ] as const) {
    const headers = { 'Content-Encoding': 'gzip' };
    const answer = await call(server.url, '/write?category=logs', { body, headers, agent });
    t.match(errorOf(answer), { status: 400, code: 'invalid_encoding' }, name);
  }
  t.match(await call(server.url, '/write?category=logs', { body: 'a\n', agent }), { status: 200 });
  t.equal((await readChunk(server.directory, 'logs', first)).toString(), 'a\n');
  t.equal(server.ports.budget.usedBytes, 0);
  await server.close();
});

await t.test(
  'a write names its producer and the place among its batches, or neither',
  async (t) => {
    const server = await startServer({ directory: t.testdir() });
    const send = (headers: Record<string, string>): Promise<Answer> =>
      call(server.url, '/write?category=logs', { body: 'a\n', headers });
    const longest = 'p'.repeat(64);
    for (const sequence of ['0', String(Number.MAX_SAFE_INTEGER)]) {
      const answer = await send({ 'Chukcha-Producer': longest, 'Chukcha-Sequence': sequence });
      t.match(json(answer), { duplicate: false });
    }
    for (const [headers, code] of [
      [{ 'Chukcha-Producer': 'p' }, 'invalid_request'],
      [{ 'Chukcha-Sequence': '1' }, 'invalid_request'],
      [{ 'Chukcha-Producer': '', 'Chukcha-Sequence': '1' }, 'invalid_name'],
      [{ 'Chukcha-Producer': `${longest}p`, 'Chukcha-Sequence': '1' }, 'invalid_name'],
      [{ 'Chukcha-Producer': 'a.b', 'Chukcha-Sequence': '1' }, 'invalid_name'],
      [{ 'Chukcha-Producer': 'p', 'Chukcha-Sequence': '-1' }, 'invalid_request'],
      [{ 'Chukcha-Producer': 'p', 'Chukcha-Sequence': '9007199254740992' }, 'invalid_request'],
    ] as const) {
      t.match(errorOf(await send(headers)), { status: 400, code }, JSON.stringify(headers));
    }
    await server.close();
  },
);

await t.test('what would not fit beside the bodies that are held is refused for now', async (t) => {
  const server = await startServer({ directory: t.testdir(), inFlightBytesMax: 1024 * 1024 });
  const { hostname, port } = new URL(server.url);
  const held = connect(Number(port), hostname);
  held.on('error', () => undefined);
  held.write('POST /write?category=logs HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n');
  held.write(Buffer.alloc(600_000));
  await until(() => server.ports.budget.usedBytes > 600_000);
  const body = messageOf(500_000);
  const refused = await call(server.url, '/write?category=logs', { body });
  t.match(errorOf(refused), { status: 429, code: 'too_many_bytes', limit: 1024 * 1024 });
  t.equal(refused.headers['retry-after'], '1');
  t.equal((await call(server.url, '/write?category=logs', { body: 'small\n' })).status, 200);
  held.destroy();
  await until(() => server.ports.budget.usedBytes === 0);
  t.equal((await call(server.url, '/write?category=logs', { body })).status, 200);
  await server.close();
});

await t.test('an encoded body is refused rather than stored as bytes', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  for (const encoding of ['deflate', 'br', 'x'.repeat(300)]) {
    const answer = await call(server.url, '/write?category=logs', {
      body: 'a\n',
      headers: { 'Content-Encoding': encoding },
    });
    t.match(errorOf(answer), { status: 415, code: 'unsupported_encoding' });
  }
  const plain = { body: 'a\n', headers: { 'Content-Encoding': 'identity' } };
  t.equal((await call(server.url, '/write?category=logs', plain)).status, 200);
  await server.close();
});

await t.test('a disk that is full or broken is told apart', async (t) => {
  const disk = new FaultDisk();
  const server = await startServer({ directory: t.testdir(), disk });
  await write(server, 'a\n');
  disk.inject({ operation: 'write', path: /chunk\d+$/, code: 'ENOSPC' });
  const full = await call(server.url, '/write?category=logs', { body: 'b\n' });
  t.match(errorOf(full), { status: 507, code: 'disk_full' });
  t.match(full.headers, { 'retry-after': '1' });
  disk.inject({ operation: 'sync', path: /chunk\d+$/, code: 'EIO' });
  const broken = await call(server.url, '/write?category=logs&sync_each_write=1', { body: 'b\n' });
  t.match(errorOf(broken), { status: 503, code: 'storage_failed' });
  t.ok(server.log.entries.some(({ level }) => level === 'error'));
  const read = await call(server.url, `/read?category=logs&chunk=${first}`);
  t.match(read.body.toString(), /^a\n/, 'reads go on');
  await server.close();
});

await t.test('who asks before sending a body is refused before it', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const { hostname, port } = new URL(server.url);
  const talk = (path: string, length: number, body?: Buffer): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname);
      let heard = '';
      socket.on('error', reject);
      socket.on('data', (piece) => {
        heard += piece;
        if (body !== undefined && heard.endsWith('100 Continue\r\n\r\n')) socket.write(body);
        else if (/HTTP\/1\.1 [2-5]\d\d/.test(heard)) socket.end();
      });
      socket.on('close', () => resolve(heard));
      socket.write(
        `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\nExpect: 100-continue\r\n\r\n`,
      );
    });
  t.match(
    await talk('/write?category=logs', 2, Buffer.from('a\n')),
    /^HTTP\/1\.1 100 .*HTTP\/1\.1 200 /s,
  );
  t.match(await talk('/write?category=logs', batchBytesMaxDefault + 1), /^HTTP\/1\.1 413 /);
  t.match(await talk('/write?category=a.b', 2), /^HTTP\/1\.1 400 /);
  t.match(await talk('/write?category=logs&min_sync_replicas=2', 2), /^HTTP\/1\.1 503 /);
  t.match(await talk('/nowhere', 2), /^HTTP\/1\.1 404 /);
  t.equal((await readChunk(server.directory, 'logs', first)).toString(), 'a\n');
  await server.close();
});

await t.test('writes to many categories and chunks at once keep every batch whole', async (t) => {
  const server = await startServer({ directory: t.testdir(), chunkBytesMax: 5_000 });
  const batch = (index: number): string => `${index} first\n${index} second\n`;
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const category = `c${index % 3}`;
      const body = batch(index).repeat(10);
      const answer = await call(server.url, `/write?category=${category}`, { body });
      return {
        category,
        body,
        ...(json(answer) as { chunk: string; offset: number; size: number }),
      };
    }),
  );
  let found = 0;
  for (const { category, body, chunk, offset, size } of answers) {
    const content = await readChunk(server.directory, category, chunk);
    if (content.subarray(offset, offset + size).toString() === body) found += 1;
  }
  t.equal(found, answers.length);
  t.ok((await chunkFiles(server.directory, 'c0')).length > 1, 'several chunks were written');
  await server.close();
});

await t.test('a write that is refused for want of room makes no category', async (t) => {
  const directory = t.testdir();
  const server = await startServer({ directory, diskReserve: Number.MAX_SAFE_INTEGER });
  const ways = { lane: {}, koa: { 'Transfer-Encoding': 'chunked' } };
  for (const [way, headers] of Object.entries(ways)) {
    const answer = await call(server.url, `/write?category=${way}`, { body: 'a\n', headers });
    t.match(errorOf(answer), { status: 507, code: 'disk_full' });
  }
  t.same(await server.store.categories(), []);
  t.same(readdirSync(`${directory}/.chukcha`), ['ballast']);
  await server.close();
});

await t.test(
  'with as many categories as it takes a node makes no new one for a client',
  async (t) => {
    const directory = t.testdir();
    const server = await startServer({ directory, categoryCountMax: 2 });
    const post = (path: string) => call(server.url, path, { body: 'a\n' });
    for (const category of ['a', 'b', 'a']) await write(server, 'a\n', category);
    const calls = [
      post('/write?category=c'),
      post('/write?category=%63'),
      call(server.url, '/groups/g?category=c', { method: 'PUT' }),
    ];
    for (const answer of await Promise.all(calls)) {
      t.match(errorOf(answer), {
        status: 429,
        code: 'too_many_categories',
        message: /has 2 categories and makes no new one \(c\): write to those/,
      });
    }
    t.same(readdirSync(directory).sort(), ['.chukcha', 'a', 'b']);
    t.same(readdirSync(`${directory}/.chukcha`).sort(), ['a', 'b', 'ballast']);
    t.match(errorOf(await post('/write?category=..')), { code: 'invalid_name' });
    const group = await call(server.url, '/groups/g?category=b', { method: 'PUT' });
    t.equal(group.status, 200, 'those that there are go on');
    await append(await server.store.category('of-a-peer'), 'a\n');
    await server.close();
    const again = await startServer({ directory, categoryCountMax: 1 });
    for (const category of ['a', 'of-a-peer']) await write(again, 'b\n', category);
    await again.close();
  },
);

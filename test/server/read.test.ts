import assert from 'node:assert/strict';
import { connect } from 'node:net';
import t from 'tap';
import { messageBytesMax, readBytesDefault, readBytesMax } from '../../src/protocol/limits.js';
import { type DiskOperation, FaultDisk } from '../support/fault-disk.js';
import { RawConnection } from '../support/raw-connection.js';
import { checkProperty } from '../support/seeded-random.js';
import {
  type Answer,
  beginRead,
  call,
  errorOf,
  messageOf,
  startServer,
  write,
} from '../support/test-server.js';
import { readChunk } from '../support/test-store.js';
import { until } from '../support/until.js';

const first = 'node1-chunk000000000';
const second = 'node1-chunk000000001';
const chunkBytesMax = 20 * 1024 * 1024;

/** The files of the first chunk that were not closed: one is its writer's, until it is flushed. */
function stillOpen(disk: FaultDisk): number {
  const count = (operation: DiskOperation): number => disk.count(operation, /chunk000000000$/);
  return count('createFile') + count('openFile') - count('close');
}

function read(url: string, parameters = '', chunk = first): Promise<Answer> {
  return call(url, `/read?category=logs&chunk=${chunk}${parameters}`);
}

await t.test('a read gives the messages from an offset on, and where to go on', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\nbb\nccc\n');
  const answer = await read(server.url, '&off=2');
  t.equal(answer.status, 200);
  t.equal(answer.body.toString(), 'bb\nccc\n');
  t.match(answer.headers, {
    'content-type': 'application/octet-stream',
    'content-length': '7',
    'chukcha-chunk-state': 'open',
    'chukcha-chunk-size': '9',
    'chukcha-next-offset': '9',
  });
  const end = await read(server.url, '&off=9');
  t.equal(end.status, 200, 'the end of a chunk is an empty answer');
  t.equal(end.body.length, 0);
  t.match(end.headers, { 'chukcha-chunk-state': 'open', 'chukcha-next-offset': '9' });
  await (await server.store.category('logs')).seal();
  t.match((await read(server.url, '&off=9')).headers, { 'chukcha-chunk-state': 'sealed' });
  await server.close();
});

await t.test('a read is cut at the end of a message', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\nbb\nccc\n');
  const cuts: readonly (readonly [number, number, string])[] = [
    [0, 2, 'a\n'],
    [0, 4, 'a\n'],
    [0, 5, 'a\nbb\n'],
    [2, 1, 'bb\n'],
    [0, 1, 'a\n'],
    [5, 1_000, 'ccc\n'],
  ];
  for (const [offset, size, expected] of cuts) {
    const answer = await read(server.url, `&off=${offset}&max_size=${size}`);
    t.equal(answer.body.toString(), expected, `${offset} +${size}`);
    t.equal(answer.headers['chukcha-next-offset'], String(offset + expected.length));
  }
  await server.close();
});

await t.test('a message larger than max_size is given whole', async (t) => {
  const server = await startServer({ directory: t.testdir(), chunkBytesMax });
  await write(server, messageOf(messageBytesMax));
  await write(server, 'b\n');
  const answer = await read(server.url, '&max_size=10');
  t.equal(answer.body.length, messageBytesMax);
  t.equal((await read(server.url, `&off=${messageBytesMax}&max_size=1`)).body.toString(), 'b\n');
  await server.close();
});

await t.test('an answer has at most the default size, and never more than allowed', async (t) => {
  const server = await startServer({ directory: t.testdir(), chunkBytesMax });
  for (let count = 0; count < 5; count += 1) {
    await write(server, Buffer.concat(Array.from({ length: 40 }, () => messageOf(100_000))));
  }
  const plain = await read(server.url);
  t.ok(plain.body.length <= readBytesDefault && plain.body.length > readBytesDefault - 100_000);
  const largest = await read(server.url, `&max_size=${readBytesMax}`);
  t.ok(largest.body.length > readBytesMax - 100_000);
  t.equal(largest.headers['content-length'], String(largest.body.length));
  const content = await readChunk(server.directory, 'logs', first);
  t.ok(largest.body.equals(content.subarray(0, largest.body.length)), 'it equals the file');
  const tooMuch = await read(server.url, `&max_size=${readBytesMax + 1}`);
  t.match(errorOf(tooMuch), { status: 400, code: 'invalid_request' });
  await server.close();
});

await t.test('answer after answer, a reader gets exactly the file', async (t) => {
  const server = await startServer({ directory: t.testdir(), chunkBytesMax });
  const lines = Array.from(
    { length: 3_000 },
    (_, index) => `${index} ${'x'.repeat(index % 997)}\n`,
  );
  await write(server, lines.join(''));
  await write(server, messageOf(messageBytesMax));
  const content = await readChunk(server.directory, 'logs', first);
  await checkProperty(t, 10, async (random) => {
    const pieces: Buffer[] = [];
    for (let offset = 0; offset < content.length; ) {
      const size = random.integer(1, random.pick([100_000, 1_000_000, 2_000_000]));
      const answer = await read(server.url, `&off=${offset}&max_size=${size}`);
      pieces.push(answer.body);
      offset = Number(answer.headers['chukcha-next-offset']);
    }
    assert.ok(Buffer.concat(pieces).equals(content));
  });
  await server.close();
});

await t.test('a long poll answers when there is more to read', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\n');
  const held = server.clock.nextTimer();
  const answer = read(server.url, '&off=2&wait_ms=50000');
  await held;
  await write(server, 'b\n');
  t.equal((await answer).body.toString(), 'b\n');
  const ready = await read(server.url, '&off=2&wait_ms=50000');
  t.equal(ready.body.toString(), 'b\n', 'it does not wait for what is there');
  await server.close();
});

await t.test('a long poll for some bytes waits until they are there', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\n');
  const held = server.clock.nextTimer();
  const answer = read(server.url, '&off=0&wait_ms=50000&min_bytes=6');
  await held;
  const heldAgain = server.clock.nextTimer();
  await write(server, 'b\n');
  await heldAgain;
  await write(server, 'c\n');
  t.equal((await answer).body.toString(), 'a\nb\nc\n');
  await server.close();
});

await t.test('a long poll answers when its chunk is sealed, and says so', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\n');
  const held = server.clock.nextTimer();
  const answer = read(server.url, '&off=2&wait_ms=50000');
  await held;
  await (await server.store.category('logs')).seal();
  const { status, body, headers } = await answer;
  t.equal(status, 200);
  t.equal(body.length, 0);
  t.equal(headers['chukcha-chunk-state'], 'sealed');
  const again = await read(server.url, '&off=2&wait_ms=50000');
  t.equal(again.headers['chukcha-chunk-state'], 'sealed', 'a sealed chunk is not waited for');
  await server.close();
});

await t.test('a long poll answers with nothing when its time is over', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\n');
  const held = server.clock.nextTimer();
  const answer = read(server.url, '&off=2&wait_ms=30000');
  await held;
  server.clock.advance(30_000);
  const { status, body, headers } = await answer;
  t.equal(status, 200);
  t.equal(body.length, 0);
  t.match(headers, { 'chukcha-chunk-state': 'open', 'chukcha-next-offset': '2' });
  await server.close();
});

await t.test('a long poll answers when the node begins to stop', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\n');
  const held = server.clock.nextTimer();
  const answer = read(server.url, '&off=2&wait_ms=50000');
  await held;
  server.stop();
  t.match(errorOf(await answer), { status: 503, code: 'draining' });
  await server.close();
});

await t.test('a client that gives up its long poll leaves nothing behind', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\n');
  server.clock.advance(1_000);
  const restingCount = server.clock.timerCount;
  const held = server.clock.nextTimer();
  const controller = new AbortController();
  const path = `/read?category=logs&chunk=${first}&off=2&wait_ms=50000`;
  const answer = call(server.url, path, { signal: controller.signal });
  await held;
  t.equal(server.clock.timerCount, restingCount + 1);
  controller.abort();
  await t.rejects(answer, { name: 'AbortError' });
  await until(() => server.clock.timerCount === restingCount);
  await server.close();
});

await t.test('what cannot be read is refused with its reason', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\n');
  const refusals: readonly (readonly [string, number, string])[] = [
    [`category=logs&chunk=${first}&off=3`, 416, 'offset_out_of_range'],
    [`category=logs&chunk=${first}&off=-1`, 400, 'invalid_request'],
    [`category=logs&chunk=${first}&off=1e3`, 400, 'invalid_request'],
    [`category=logs&chunk=${first}&off=99999999999999999999`, 400, 'invalid_request'],
    [`category=logs&chunk=${first}&max_size=0`, 400, 'invalid_request'],
    [`category=logs&chunk=${first}&wait_ms=55001`, 400, 'invalid_request'],
    [`category=logs&chunk=${first}&max_size=10&min_bytes=11`, 400, 'invalid_request'],
    [`category=logs&chunk=${first}&from=1`, 400, 'invalid_request'],
    [`category=logs&chunk=${first}&chunk=${first}`, 400, 'invalid_request'],
    ['category=logs', 400, 'invalid_request'],
    [`chunk=${first}`, 400, 'invalid_request'],
    [`category=..&chunk=${first}`, 400, 'invalid_name'],
    ['category=logs&chunk=../logs/node1-chunk000000000', 400, 'invalid_name'],
    ['category=logs&chunk=node1-chunk000000000%00', 400, 'invalid_name'],
    [`category=logs&chunk=${'x'.repeat(300)}`, 400, 'invalid_name'],
    [`category=logs&chunk=${second}`, 404, 'chunk_not_found'],
    [`category=nothing&chunk=${first}`, 404, 'chunk_not_found'],
  ];
  for (const [parameters, status, code] of refusals) {
    const answer = await call(server.url, `/read?${parameters}`);
    t.match(errorOf(answer), { status, code }, parameters.slice(0, 60));
  }
  await server.close();
});

await t.test('a chunk that is gone is told from one that is not there yet', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\n');
  const category = await server.store.category('logs');
  await category.seal();
  await category.ack(first, 2, 'default');
  t.equal((await read(server.url)).headers['chukcha-chunk-state'], 'acked');
  t.equal((await read(server.url, '', second)).headers['chukcha-chunk-state'], 'pending');
  const unknown = await call(server.url, `/read?category=none&chunk=${first}`);
  t.equal(unknown.headers['chukcha-chunk-state'], 'pending');
  await server.close();
});

await t.test('a chunk that is removed while it is looked up is not found', async (t) => {
  const disk = new FaultDisk();
  const server = await startServer({ directory: t.testdir(), disk });
  await write(server, 'a\n');
  const category = await server.store.category('logs');
  await category.seal();
  const opening = disk.hold('openFile', /chunk000000000$/);
  const answer = read(server.url);
  await opening.reached;
  await category.ack(first, 2, 'default');
  opening.release();
  t.match(errorOf(await answer), { status: 404, code: 'chunk_not_found' });
  await server.close();
});

await t.test('a chunk that is removed while it is read is read to its end', async (t) => {
  const server = await startServer({ directory: t.testdir(), chunkBytesMax });
  const batch = Buffer.concat(Array.from({ length: 40 }, () => messageOf(100_000)));
  for (let count = 0; count < 4; count += 1) await write(server, batch);
  const category = await server.store.category('logs');
  await category.seal();
  const path = `/read?category=logs&chunk=${first}&max_size=${readBytesMax}`;
  const rest = await beginRead(server.url, path);
  await category.ack(first, 4 * batch.length, 'default');
  t.ok((await rest()).equals(Buffer.concat([batch, batch, batch, batch])));
  await server.close();
});

await t.test('a disk that fails in the middle of an answer breaks the connection', async (t) => {
  const disk = new FaultDisk();
  const server = await startServer({ directory: t.testdir(), disk, chunkBytesMax });
  await write(server, Buffer.concat(Array.from({ length: 40 }, () => messageOf(100_000))));
  disk.inject({ operation: 'read', path: /chunk000000000$/, after: 3, code: 'EIO' });
  await t.rejects(read(server.url, `&max_size=${readBytesMax}`), 'the answer must not look whole');
  t.match(await server.log.first('error'), { fields: { path: '/read' } });
  t.ok((await read(server.url)).body.length > 0, 'the next read is fine');
  await server.close();
  t.same(stillOpen(disk), 0);
});

await t.test('a disk that fails before the answer gives an error', async (t) => {
  const disk = new FaultDisk();
  const server = await startServer({ directory: t.testdir(), disk });
  await write(server, 'a\n');
  disk.inject({ operation: 'openFile', path: /chunk000000000$/, code: 'EMFILE', times: 2 });
  t.match(errorOf(await read(server.url)), { status: 503, code: 'storage_failed' });
  disk.inject({ operation: 'openFile', path: /chunk000000000$/, code: 'EIO' });
  t.match(errorOf(await read(server.url)), { status: 500, code: 'internal' });
  t.match(await server.log.first('error'), { fields: { cause: /EMFILE/ } });
  await server.close();
});

await t.test('clients that go away in the middle of an answer leave no open file', async (t) => {
  const disk = new FaultDisk();
  const server = await startServer({ directory: t.testdir(), disk, chunkBytesMax });
  for (let count = 0; count < 4; count += 1) {
    await write(server, Buffer.concat(Array.from({ length: 40 }, () => messageOf(100_000))));
  }
  const { hostname, port } = new URL(server.url);
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const socket = connect(Number(port), hostname);
      socket.on('error', () => undefined);
      socket.write(
        `GET /read?category=logs&chunk=${first}&max_size=${readBytesMax} HTTP/1.1\r\nHost: x\r\n\r\n`,
      );
      await new Promise((resolve) => socket.once('data', resolve));
      socket.destroy();
    }),
  );
  t.equal(disk.count('openFile', /chunk000000000$/), 1, 'they shared one');
  const category = await server.store.category('logs');
  await category.seal();
  await category.ack(first, readBytesMax, 'default');
  await until(() => stillOpen(disk) === 1);
  t.same(server.log.entries, [], 'that is no error of the node');
  await server.close();
  t.equal(stillOpen(disk), 0);
});

await t.test(
  'reads that a client sends at once, and does not take, are not all read',
  async (t) => {
    const disk = new FaultDisk();
    const server = await startServer({ directory: t.testdir(), disk, chunkBytesMax });
    const content = Buffer.concat(Array.from({ length: 8 }, () => messageOf(512 * 1024)));
    for (let count = 0; count < 3; count += 1) await write(server, content);
    const connection = new RawConnection(server.url);
    connection.socket.pause();
    // With this header it is the application that answers.
    const path = `/read?category=logs&chunk=${first}&max_size=${8 * 1024 * 1024}`;
    const request = `GET ${path} HTTP/1.1\r\nHost: x\r\nX-Other: 1\r\n\r\n`;
    connection.send(request.repeat(50));
    let readCount = 0;
    await until(() => {
      const isSettled = disk.count('read') > 0 && disk.count('read') === readCount;
      readCount = disk.count('read');
      return isSettled;
    });
    t.ok(readCount < 60, `${readCount} reads of 256 KiB at most`);
    connection.socket.destroy();
    await connection.closed;
    await server.close();
  },
);

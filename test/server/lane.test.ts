import { once } from 'node:events';
import t, { type Test } from 'tap';
import type { LaneOptions } from '../../src/server/lane/lane.js';
import { FaultDisk } from '../support/fault-disk.js';
import { RawConnection, readRequest, writeRequest } from '../support/raw-connection.js';
import { messageOf, startServer, type TestServer } from '../support/test-server.js';
import { readChunk } from '../support/test-store.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;
const first = 'node1-chunk000000000';
const chunkBytesMax = 20 * MIB;

/** A request that is not the lane's. */
const livez = 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n';

function open(t: Test, server: TestServer): RawConnection {
  const connection = new RawConnection(server.url);
  t.teardown(() => connection.socket.destroy());
  return connection;
}

function stored(server: TestServer): Promise<string> {
  return readChunk(server.directory, 'logs', first).then((content) => content.toString('latin1'));
}

const ways: readonly LaneOptions['reading'][] = ['direct', 'copied'];

for (const reading of ways) {
  const start = (t: Test, options: object = {}): Promise<TestServer> =>
    startServer({ directory: t.testdir(), chunkBytesMax, lane: { reading }, ...options });

  await t.test(`writes and reads on one connection, ${reading}`, async (t) => {
    const server = await start(t);
    const connection = open(t, server);
    const bodies = [10, 4096, 64 * 1024, 64 * 1024 + 1, MIB, 4 * MIB, 3, 300_000].map((size) => {
      const lines = 'x'
        .repeat(999)
        .concat('\n')
        .repeat(Math.ceil(size / 1000));
      return `${lines.slice(0, size - 1)}\n`;
    });
    let offset = 0;
    for (const body of bodies) {
      connection.send(writeRequest(body));
      const answer = await connection.answer();
      t.equal(answer.status, 200);
      t.same(JSON.parse(answer.body), {
        chunk: first,
        offset,
        size: body.length,
        duplicate: false,
      });
      t.ok(Number.isFinite(Date.parse(answer.headers.get('date') ?? '')), 'it has a date');
      t.match(answer.headers.get('keep-alive'), /^timeout=\d+$/);
      offset += body.length;
    }
    const content = await stored(server);
    t.ok(content === bodies.join(''), 'all bytes are there');
    let read = '';
    for (let off = 0; off < content.length; ) {
      connection.send(readRequest(`&off=${off}&max_size=${off === 0 ? 1 : 2 * MIB}`));
      const { status, headers, body } = await connection.answer();
      t.equal(status, 200);
      read += body;
      off += body.length;
      t.equal(headers.get('chukcha-next-offset'), String(off));
      t.equal(headers.get('chukcha-owner'), 'node1');
      t.equal(headers.get('chukcha-lag'), String(content.length - off));
    }
    t.ok(read === content);
    connection.send(readRequest(`&off=${content.length}`));
    t.match(await connection.answer(), { status: 200, body: '' });
    t.equal(server.ports.budget.usedBytes, 0);
    await server.close();
  });

  await t.test(`requests behind each other, and in any pieces, ${reading}`, async (t) => {
    const server = await start(t);
    const bodies = Array.from({ length: 300 }, (_, index) => `${index} ${'y'.repeat(index)}\n`);
    const large = `${'z'.repeat(200_000)}\n`;
    const all = bodies.map((body) => writeRequest(body)).join('') + writeRequest(large);
    const atOnce = open(t, server);
    atOnce.send(all);
    const inPieces = open(t, server);
    const send = async (): Promise<void> => {
      for (let at = 0; at < all.length; at += 997) {
        inPieces.send(all.slice(at, at + 997));
        await new Promise(setImmediate);
      }
    };
    const sent = send();
    for (const connection of [atOnce, inPieces]) {
      let last = -1;
      for (const body of [...bodies, large]) {
        const { offset, size } = JSON.parse((await connection.answer()).body);
        t.ok(offset > last && size === body.length) || t.fail(body.slice(0, 10));
        last = offset;
      }
    }
    await sent;
    t.equal((await stored(server)).length, 2 * (bodies.join('').length + large.length));
    await server.close();
  });

  await t.test(`the HTTP server gets a connection with its bytes unread, ${reading}`, async (t) => {
    const server = await start(t);
    const connection = open(t, server);
    // The write before it is answered first, and what follows belongs to the HTTP server for good.
    connection.send(writeRequest('a\n') + writeRequest('b\n') + livez + writeRequest('c\n'));
    t.match(JSON.parse((await connection.answer()).body), { offset: 0 });
    t.match(JSON.parse((await connection.answer()).body), { offset: 2 });
    t.match(JSON.parse((await connection.answer()).body), { state: 'running' });
    t.match(JSON.parse((await connection.answer()).body), { offset: 4 });
    for (let count = 0; count < 3; count += 1) {
      connection.send(writeRequest('d\n'));
      t.equal((await connection.answer()).status, 200);
      connection.send(livez);
      t.equal((await connection.answer()).status, 200);
    }
    const body = messageOf(MIB).toString('latin1');
    connection.send(writeRequest(body));
    t.match(JSON.parse((await connection.answer()).body), { size: MIB });
    t.equal(await stored(server), `a\nb\nc\nd\nd\nd\n${body}`);
    await server.close();
  });

  await t.test(`a client that goes away in a body gives its memory back, ${reading}`, async (t) => {
    const server = await start(t);
    for (const sentBytes of [1, 5_000, 100_000, 900_000]) {
      const connection = open(t, server);
      const text = writeRequest(messageOf(MIB).toString('latin1'));
      connection.send(text.slice(0, text.length - MIB + sentBytes));
      await until(() => server.ports.budget.usedBytes >= sentBytes);
      t.ok(server.ports.budget.usedBytes <= Math.max(2 * sentBytes + 4_096, MIB), `${sentBytes}`);
      connection.socket.destroy();
      await until(() => server.ports.budget.usedBytes === 0);
    }
    await server.close();
  });

  await t.test(`too many bytes are refused in the middle of a body, ${reading}`, async (t) => {
    const server = await start(t, { inFlightBytesMax: MIB });
    const connection = open(t, server);
    connection.send(writeRequest(messageOf(3 * MIB).toString('latin1')) + writeRequest('a\n'));
    const refused = await connection.answer();
    t.match(JSON.parse(refused.body), { error: { code: 'too_many_bytes', limit: MIB } });
    t.equal(refused.status, 429);
    t.equal(refused.headers.get('retry-after'), '1');
    t.equal((await connection.answer()).status, 200, 'the next request of the connection is fine');
    t.equal(await stored(server), 'a\n');
    t.equal(server.ports.budget.usedBytes, 0);
    await server.close();
  });
}

await t.test('a head that comes byte by byte is the same request', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const connection = open(t, server);
  for (const character of writeRequest('a\n')) {
    connection.send(character);
    await new Promise(setImmediate);
  }
  t.match(JSON.parse((await connection.answer()).body), { offset: 0, size: 2 });
  await server.close();
});

await t.test('an error of a batch is answered as the application does', async (t) => {
  const disk = new FaultDisk();
  const server = await startServer({ directory: t.testdir(), disk, chunkBytesMax });
  // With the other header it is the application that answers.
  for (const extra of ['', 'X-Other: 1\r\n']) {
    const connection = open(t, server);
    // Failures of one kind are logged once in a second.
    server.clock.advance(1_000);
    disk.inject({ operation: 'write', path: /chunk\d+$/, code: 'ENOSPC' });
    connection.send(writeRequest('a\n', 'logs', extra));
    const full = await connection.answer();
    t.equal(full.status, 507);
    t.equal(full.headers.get('retry-after'), '1');
    connection.send(writeRequest('a', 'logs', extra) + writeRequest('a\n', 'logs', extra));
    const cut = await connection.answer();
    t.match(JSON.parse(cut.body), { error: { code: 'batch_unterminated', size: 1 } });
    t.equal(cut.status, 400);
    t.equal((await connection.answer()).status, 200);
    connection.send(readRequest('&off=1000'));
    t.match(JSON.parse((await connection.answer()).body), {
      error: { code: 'offset_out_of_range' },
    });
    connection.send('GET /read?category=none&chunk=n-chunk000000007 HTTP/1.1\r\nHost: x\r\n\r\n');
    const missing = await connection.answer();
    t.equal(missing.status, 404);
    t.equal(missing.headers.get('chukcha-chunk-state'), 'pending');
  }
  // A full disk is not a fault of the node.
  t.equal(server.log.entries.filter(({ level }) => level === 'warn').length, 2);
  await server.close();
});

await t.test('a read behind writes sees them, and a held one hears of the next', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const connection = open(t, server);
  connection.send(writeRequest('a\n') + writeRequest('b\n') + readRequest('&off=0'));
  await connection.answer();
  await connection.answer();
  t.equal((await connection.answer()).body, 'a\nb\n');
  const held = server.clock.nextTimer();
  connection.send(readRequest('&off=4&wait_ms=50000'));
  await held;
  const other = open(t, server);
  other.send(writeRequest('c\n'));
  t.equal((await connection.answer()).body, 'c\n');
  const again = server.clock.nextTimer();
  connection.send(readRequest('&off=6&wait_ms=50000'));
  const timerCount = server.clock.timerCount;
  await again;
  connection.socket.destroy();
  await until(() => server.clock.timerCount === timerCount);
  await server.close();
});

await t.test('a client that does not read its answers is not read from either', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const connection = open(t, server);
  connection.socket.pause();
  await once(connection.socket, 'connect');
  const requests = writeRequest('a\n').repeat(1_000);
  let sentCount = 0;
  let blocked = false;
  while (!blocked && sentCount < 1_000_000) {
    connection.send(requests);
    sentCount += 1_000;
    if (!connection.socket.writableNeedDrain) continue;
    const drained = once(connection.socket, 'drain').then(() => true);
    const waited = new Promise((resolve) => setTimeout(resolve, 500, false));
    blocked = !(await Promise.race([drained, waited]));
  }
  t.ok(blocked, 'the node stopped reading');
  const size = (await stored(server)).length;
  t.ok(size / 2 < sentCount);
  connection.socket.resume();
  for (let count = 0; count < sentCount; count += 1) {
    if ((await connection.answer()).status !== 200) t.fail('an answer is no 200');
  }
  t.equal((await stored(server)).length, 2 * sentCount);
  await server.close();
});

await t.test('time limits end slow heads and bodies, and idle connections', async (t) => {
  const limits = { headMs: 60, requestMs: 120, keepAliveMs: 180, stillMs: 60_000 };
  const lane = { limits, tickMs: 5 };
  const server = await startServer({ directory: t.testdir(), lane });
  const silent = open(t, server);
  const inHead = open(t, server);
  inHead.send('POST /wri');
  const inBody = open(t, server);
  inBody.send(writeRequest('a\n').slice(0, -1));
  const idle = open(t, server);
  idle.send(writeRequest('b\n'));
  t.same(await silent.answersUntilClose(), []);
  t.match(await inHead.answersUntilClose(), [{ status: 408, body: /"request_timeout"/ }]);
  t.match(await inBody.answersUntilClose(), [{ status: 408, body: /"request_timeout"/ }]);
  t.match(await idle.answersUntilClose(), [{ status: 200 }]);
  t.equal(server.ports.budget.usedBytes, 0);
  t.equal(await stored(server), 'b\n');
  await server.close();
});

await t.test('a client that only reads at last gets what it is owed', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const connection = open(t, server);
  connection.socket.end(writeRequest('a\n') + writeRequest('b\n'));
  t.match(await connection.answersUntilClose(), [{ status: 200 }, { status: 200 }]);
  await server.close();
});

await t.test('a stopping node answers what is under way, and closes', async (t) => {
  const server = await startServer({ directory: t.testdir(), chunkBytesMax });
  const idle = open(t, server);
  idle.send(writeRequest('a\n'));
  await idle.answer();
  const inBody = open(t, server);
  const text = writeRequest(messageOf(MIB).toString('latin1'));
  inBody.send(text.slice(0, 500_000));
  await until(() => server.ports.budget.usedBytes > 400_000);
  const closed = server.close();
  t.same(await idle.answersUntilClose(), []);
  inBody.send(text.slice(500_000));
  const [answer, ...more] = await inBody.answersUntilClose();
  t.match(answer, { status: 503, body: /"draining"/ });
  t.equal(answer?.headers.get('connection'), 'close');
  t.same(more, []);
  await closed;
});

await t.test('what Node parses and refuses is answered in JSON too', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  for (const [bytes, status, code] of [
    ['\0\x01\r\n\r\n', 400, 'invalid_request'],
    ['POST /write?category=logs HTTP/1.1\r\nHost: x\r\nContent-Length: z\r\n\r\n', 400, ''],
    [`GET /livez HTTP/1.1\r\nHost: x\r\nA: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'head_too_large'],
  ] as const) {
    const connection = open(t, server);
    connection.send(bytes);
    const [answer] = await connection.answersUntilClose();
    t.equal(answer?.status, status);
    t.match(JSON.parse(answer?.body ?? ''), { error: { code: code || String } });
    t.equal(answer?.headers.get('connection'), 'close');
  }
  await server.close();
});

await t.test('a thousand idle connections cost little', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const beforeBytes = process.memoryUsage().external;
  const connections = Array.from({ length: 1_000 }, () => open(t, server));
  for (const connection of connections) connection.send(writeRequest('a\n'));
  for (const connection of connections) t.equal((await connection.answer()).status, 200) || t.end();
  t.ok(process.memoryUsage().external - beforeBytes < 16 * MIB, 'no buffer for each');
  t.equal(server.ports.budget.usedBytes, 0);
  await server.close();
});

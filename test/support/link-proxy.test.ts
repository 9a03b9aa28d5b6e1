import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { LinkProxy } from './link-proxy.js';
import { RawConnection } from './raw-connection.js';
import { until } from './until.js';

/** Long enough that what comes through at once has come. */
const quietMs = 60;

interface Echo {
  readonly proxy: LinkProxy;
  readonly sockets: readonly Socket[];
  /** What the target has heard of all connections. */
  readonly heard: () => string;
}

/** A target that answers every byte with the same, behind a proxy. */
async function startEcho(t: Test): Promise<Echo> {
  const sockets: Socket[] = [];
  let heard = '';
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      heard += bytes.toString('latin1');
    });
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The target has no port');
  const proxy = await LinkProxy.start(address.port);
  t.teardown(async () => {
    await proxy.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { proxy, sockets, heard: () => heard };
}

function open(t: Test, { proxy }: Echo): RawConnection & { heardText(): string } {
  const connection = new RawConnection(proxy.url);
  t.teardown(() => connection.socket.destroy());
  let text = '';
  connection.socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
  });
  return Object.assign(connection, { heardText: () => text });
}

await t.test('a link passes what is sent, and the end of it', async (t) => {
  const echo = await startEcho(t);
  const connection = open(t, echo);
  connection.send('one');
  await until(() => connection.heardText() === 'one');
  connection.socket.end('two');
  await connection.closed;
  t.equal(connection.heardText(), 'onetwo', 'the answer comes after the end of the question');
  await until(() => echo.proxy.connectionCount === 0);
});

await t.test('much goes through in both directions, whole and in order', async (t) => {
  const echo = await startEcho(t);
  const connection = open(t, echo);
  const sent = randomBytes(64 * 1024 * 1024);
  const startedMs = performance.now();
  connection.socket.end(sent);
  await connection.closed;
  const bytesPerMs = sent.length / (performance.now() - startedMs);
  t.ok(Buffer.from(connection.heardText(), 'latin1').equals(sent));
  t.comment(`${Math.round(bytesPerMs / 1024)} MiB/s there and back`);
});

await t.test('a reader that is slow makes the writer wait', async (t) => {
  const echo = await startEcho(t);
  const connection = open(t, echo);
  connection.socket.pause();
  const sent = Buffer.alloc(64 * 1024 * 1024, 'x');
  connection.socket.write(sent);
  let heardLength = -1;
  await until(async () => {
    const last = heardLength;
    heardLength = echo.heard().length;
    await delay(quietMs);
    return last === heardLength;
  });
  t.ok(heardLength < sent.length / 2, `${heardLength} bytes are on the way`);
  connection.socket.resume();
  await until(() => connection.heardText().length === sent.length);
});

await t.test('a link that delays is late, and keeps the order', async (t) => {
  const echo = await startEcho(t);
  const connection = open(t, echo);
  await echo.proxy.set({ kind: 'delay', delayMs: 100 });
  const startedMs = performance.now();
  for (let index = 0; index < 10; index += 1) {
    connection.send(String(index));
    await delay(2);
  }
  await until(() => connection.heardText() === '0123456789');
  t.ok(performance.now() - startedMs >= 199, 'each direction takes its time');
  connection.send('late');
  await until(() => echo.heard().endsWith('late'));
  await echo.proxy.set({ kind: 'pass' });
  connection.send(', and soon');
  await until(() => connection.heardText().endsWith('late, and soon'));
});

await t.test('a link that is cut breaks connections and refuses new ones', async (t) => {
  const echo = await startEcho(t);
  const connection = open(t, echo);
  connection.send('one');
  await until(() => connection.heardText() === 'one');
  await echo.proxy.set({ kind: 'cut' });
  await connection.closed;
  await until(() => echo.sockets.every((socket) => socket.destroyed));
  const refused = open(t, echo);
  const [error] = (await once(refused.socket, 'error')) as [NodeJS.ErrnoException];
  t.equal(error.code, 'ECONNREFUSED');
  await echo.proxy.set({ kind: 'pass' });
  const next = open(t, echo);
  next.send('two');
  await until(() => next.heardText() === 'two');
});

await t.test('a link that hangs accepts, and passes nothing', async (t) => {
  const echo = await startEcho(t);
  const old = open(t, echo);
  old.send('one');
  await until(() => old.heardText() === 'one');
  await echo.proxy.set({ kind: 'hang' });
  old.send('two');
  echo.sockets[0]?.write('three');
  const fresh = open(t, echo);
  await once(fresh.socket, 'connect');
  fresh.send('four');
  await delay(quietMs);
  t.equal(echo.heard(), 'one');
  t.same([old.heardText(), fresh.heardText()], ['one', '']);
  t.equal(echo.sockets.length, 1, 'the target knows nothing of the new connection');
  echo.sockets[0]?.resetAndDestroy();
  await delay(quietMs);
  t.equal(old.socket.closed, false, 'nor is it told that the target has gone');
  await echo.proxy.set({ kind: 'pass' });
  await until(() => fresh.heardText() === 'four');
  await old.closed;
});

await t.test('a link drops one direction only', async (t) => {
  const echo = await startEcho(t);
  const connection = open(t, echo);
  await echo.proxy.set({ kind: 'drop', direction: 'fromTarget' });
  connection.send('one');
  await until(() => echo.heard() === 'one');
  await delay(quietMs);
  t.equal(connection.heardText(), '');
  await echo.proxy.set({ kind: 'drop', direction: 'toTarget' });
  await until(() => connection.heardText() === 'one');
  connection.send('two');
  echo.sockets[0]?.write('three');
  await until(() => connection.heardText() === 'onethree');
  await delay(quietMs);
  t.equal(echo.heard(), 'one');
  await echo.proxy.set({ kind: 'pass' });
  await until(() => connection.heardText() === 'onethreetwo');
});

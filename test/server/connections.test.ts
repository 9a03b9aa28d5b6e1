import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { Agent } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createDeferred } from '../../src/common/deferred.js';
import { batchBytesMaxDefault } from '../../src/protocol/limits.js';
import type { ServerProcessMessage } from '../support/server-process.js';
import {
  beginRead,
  call,
  errorOf,
  json,
  messageOf,
  startServer,
  write,
} from '../support/test-server.js';
import { openStore, readChunk } from '../support/test-store.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;
const first = 'node1-chunk000000000';

function openSocket(url: string): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  return socket;
}

/** All that the server says until the connection is closed, in whatever way. */
function heardFrom(socket: Socket): Promise<string> {
  let heard = '';
  socket.on('data', (piece) => {
    heard += piece;
  });
  return new Promise((resolve) => socket.once('close', () => resolve(heard)));
}

function writeHead(length: number): string {
  return `POST /write?category=logs HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`;
}

await t.test('a client that goes away in the middle of a body leaves nothing', async (t) => {
  const printed = t.capture(console, 'error');
  const server = await startServer({ directory: t.testdir() });
  for (const sent of ['', 'a\n', 'whole line\n'.repeat(100_000)]) {
    const socket = openSocket(server.url);
    await once(socket, 'connect');
    socket.write(writeHead(2 * MIB) + sent);
    const seen = once(socket, 'drain').catch(() => undefined);
    if (socket.writableNeedDrain) await seen;
    socket.destroy();
  }
  await write(server, 'after\n', 'other');
  await server.close();
  t.notOk(existsSync(`${server.directory}/logs`));
  t.same(server.log.entries, [], 'that is no error of the node');
  t.same(printed(), [], 'and nothing is printed');
});

await t.test('a chunked body without end is refused, and the node stays well', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const socket = openSocket(server.url);
  const heard = heardFrom(socket);
  socket.write(
    'POST /write?category=logs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n',
  );
  const piece = Buffer.concat([Buffer.from('100000\r\n'), messageOf(MIB), Buffer.from('\r\n')]);
  for (let sentMiB = 0; sentMiB < 100 && !socket.destroyed; sentMiB += 1) {
    if (!socket.write(piece))
      await Promise.race([once(socket, 'drain'), heard]).catch(() => undefined);
  }
  t.match(await heard, /^HTTP\/1\.1 413 .*"code":"batch_too_large"/s);
  t.notOk(existsSync(`${server.directory}/logs`));
  await write(server, 'after\n');
  t.equal((await readChunk(server.directory, 'logs', first)).toString(), 'after\n');
  await server.close();
});

await t.test('a refused body that ends leaves its connection usable', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  const body = Buffer.alloc(batchBytesMaxDefault + 1_000, '\n');
  const refused = await call(server.url, '/write?category=logs', { body, agent });
  t.match(errorOf(refused), { status: 413 });
  const badName = await call(server.url, '/write?category=a.b', { body: messageOf(MIB), agent });
  t.match(errorOf(badName), { status: 400 });
  t.equal((await call(server.url, '/write?category=logs', { body: 'a\n', agent })).status, 200);
  await server.close();
});

await t.test('requests behind each other on one connection are answered in order', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const socket = openSocket(server.url);
  const heard = heardFrom(socket);
  socket.write(`${writeHead(2)}a\n${writeHead(2)}b\n${writeHead(1)}c${writeHead(2)}d\n`);
  socket.write('GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  t.match(
    await heard,
    /"offset":0,.* 200 .*"offset":2,.* 400 .*"batch_unterminated".* 200 .*"offset":4,.* 200 .*"running"/s,
  );
  await server.close();
});

await t.test('what is no HTTP is refused, and the node stays well', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  for (const bytes of [
    '\0\x01\x02\r\n\r\n',
    'GET\r\n\r\n',
    `GET /${'x'.repeat(100_000)} HTTP/1.1\r\n\r\n`,
  ]) {
    const socket = openSocket(server.url);
    const heard = heardFrom(socket);
    socket.write(bytes);
    t.match(await heard, /^HTTP\/1\.1 4\d\d /);
  }
  t.equal((await call(server.url, '/livez')).status, 200);
  await server.close();
});

await t.test('a stopping node refuses writes and says when to come again', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'before\n');
  server.stop();
  await server.store.close();
  for (const category of ['logs', 'never-seen-before']) {
    const answer = await call(server.url, `/write?category=${category}`, { body: 'a\n' });
    t.match(errorOf(answer), { status: 503, code: 'draining' }, category);
    t.match(answer.headers, { 'retry-after': '1', connection: 'close' });
  }
  const read = await call(server.url, `/read?category=logs&chunk=${first}`);
  t.equal(read.body.toString(), 'before\n', 'reads go on');
  await server.close();
  t.same(await server.store.listCategories(), ['logs']);
});

await t.test('a closed store takes no writes to a category that is new', async (t) => {
  const directory = t.testdir();
  const store = await openStore({ directory });
  await store.close();
  const writing = async (): Promise<unknown> =>
    (await store.category('new')).append({
      pieces: [Buffer.from('a\n')],
      byteCount: 2,
      sync: false,
    });
  await t.rejects(writing, { code: 'draining' });
  t.notOk(existsSync(`${directory}/new`));
});

await t.test('a read under way is finished while the node stops', async (t) => {
  const server = await startServer({ directory: t.testdir(), chunkBytesMax: 20 * MIB });
  const content = Buffer.concat(Array.from({ length: 8 }, () => messageOf(512 * 1024)));
  for (let count = 0; count < 4; count += 1) await write(server, content);
  const path = `/read?category=logs&chunk=${first}&max_size=${16 * MIB}`;
  const rest = await beginRead(server.url, path);
  const closed = server.close();
  t.ok((await rest()).equals(Buffer.concat([content, content, content, content])));
  await closed;
});

await t.test('a held request does not keep a stopping node waiting', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  await write(server, 'a\n');
  const held = server.clock.nextTimer();
  const path = `/read?category=logs&chunk=${first}&off=2&wait_ms=50000`;
  const answer = call(server.url, path, { agent });
  await held;
  const startMs = performance.now();
  const closed = server.close();
  const { status, headers } = await answer;
  t.equal(status, 503);
  t.equal(headers.connection, 'close', 'the client is told to let the connection go');
  await closed;
  t.ok(performance.now() - startMs < 3_000, 'the connection was not kept until it was cut');
});

await t.test('a silent connection does not keep a stopping node waiting', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const socket = openSocket(server.url);
  await once(socket, 'connect');
  await call(server.url, '/livez');
  const startMs = performance.now();
  await Promise.all([server.close(), once(socket, 'close')]);
  t.ok(performance.now() - startMs < 3_000, 'it was not kept until it was cut');
});

class ServerProcess {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  static async start(t: Test, directory: string): Promise<ServerProcess> {
    const module = join(import.meta.dirname, '..', 'support', 'server-process.js');
    const child = fork(module, [directory], { execArgv: [...process.execArgv, '--expose-gc'] });
    t.teardown(() => child.kill('SIGKILL'));
    const [message] = (await once(child, 'message')) as [ServerProcessMessage];
    if (message.kind !== 'ready')
      throw new Error(`Expected to hear its address, got ${message.kind}`);
    return new ServerProcess(child, message.url);
  }

  /** What it holds of heap, buffers and other memory outside the heap after a collection, in bytes. */
  async heldBytes(): Promise<number> {
    this.#child.send('memory');
    const [message] = (await once(this.#child, 'message')) as [ServerProcessMessage];
    if (message.kind !== 'memory') throw new Error(`Expected its memory, got ${message.kind}`);
    return message.heldBytes;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}

await t.test('a batch sent in tiny pieces costs less than twice the limit', async (t) => {
  const server = await ServerProcess.start(t, t.testdir());
  await call(server.url, '/write?category=logs', { body: 'warm\n' });
  const beforeBytes = await server.heldBytes();
  const socket = openSocket(server.url);
  socket.setNoDelay(true);
  await once(socket, 'connect');
  const heard = createDeferred<string>();
  socket.once('data', (piece) => heard.resolve(String(piece)));
  socket.write(
    'POST /write?category=logs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n',
  );
  // HTTP chunks of four bytes reach the node's parser one by one, whatever the network joins.
  const frame = Buffer.from('4\r\n\n\n\n\n\r\n'.repeat(16 * 1024));
  for (let sent = 0; sent < batchBytesMaxDefault; sent += 64 * 1024) {
    if (!socket.write(frame)) await once(socket, 'drain');
  }
  let heldBytes = 0;
  const measure = async (): Promise<number> => {
    heldBytes = Math.max(heldBytes, (await server.heldBytes()) - beforeBytes);
    return heldBytes;
  };
  await until(async () => (await measure()) > 0.9 * batchBytesMaxDefault);
  for (let round = 0; round < 5; round += 1) await measure();
  t.ok(heldBytes < 2 * batchBytesMaxDefault, `${heldBytes} bytes are held for it`);
  socket.write('0\r\n\r\n');
  t.match(await heard.promise, /^HTTP\/1\.1 200 .*"size":4194304/s);
  socket.destroy();
});

await t.test('clients that do not read hold a few slabs each', async (t) => {
  const server = await ServerProcess.start(t, t.testdir());
  const batch = Buffer.concat(Array.from({ length: 40 }, () => messageOf(100_000)));
  for (let count = 0; count < 4; count += 1) {
    await call(server.url, '/write?category=logs', { body: batch });
  }
  const beforeBytes = await server.heldBytes();
  const clientCount = 40;
  const sockets = await Promise.all(
    Array.from({ length: clientCount }, async () => {
      const socket = openSocket(server.url);
      socket.pause();
      await once(socket, 'connect');
      socket.write(
        `GET /read?category=logs&chunk=${first}&max_size=${16 * MIB} HTTP/1.1\r\nHost: x\r\n\r\n`,
      );
      await once(socket, 'readable');
      return socket;
    }),
  );
  let heldBytes = 0;
  for (let round = 0; round < 5; round += 1) {
    heldBytes = Math.max(heldBytes, (await server.heldBytes()) - beforeBytes);
  }
  t.ok(heldBytes < clientCount * MIB, `${heldBytes} bytes are held for ${clientCount} clients`);
  for (const socket of sockets) socket.destroy();
  t.equal((await call(server.url, '/livez')).status, 200);
});

await t.test('a killed node has lost nothing that it answered, and tore no line', async (t) => {
  const directory = t.testdir();
  const server = await ServerProcess.start(t, directory);
  const answered: { readonly text: string; readonly chunk: string; readonly offset: number }[] = [];
  let running = true;
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    for (let index = 0; running; index += 1) {
      const text = `${writer}-${index} ${'x'.repeat((index * 37) % 5_000)}\n`;
      try {
        const answer = await call(server.url, '/write?category=logs', {
          body: text.repeat(3),
          agent,
        });
        const { chunk, offset } = json(answer) as { chunk: string; offset: number };
        answered.push({ text: text.repeat(3), chunk, offset });
      } catch {
        // The node was killed under this write, which may be stored or not.
        return;
      }
    }
  });
  await until(() => answered.length > 300);
  await server.kill();
  running = false;
  await Promise.all(writers);
  const store = await openStore({ directory });
  const chunks = (await store.category('logs')).view.list('default').map(({ name }) => name);
  const contents = new Map<string, Buffer>();
  for (const name of chunks) contents.set(name, await readChunk(directory, 'logs', name));
  const lost = answered.filter(({ text, chunk, offset }) => {
    const length = Buffer.byteLength(text);
    return (
      contents
        .get(chunk)
        ?.subarray(offset, offset + length)
        .toString() !== text
    );
  });
  t.same(lost, []);
  const lines = [...contents.values()].flatMap((content) =>
    content.toString().trimEnd().split('\n'),
  );
  t.ok(
    lines.every((line) => /^\d+-\d+ x*$/.test(line)),
    'every line is whole',
  );
  await store.close();
});

import { getEventListeners, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { FaultDisk } from '../support/fault-disk.js';
import { call, errorOf, startServer, write } from '../support/test-server.js';

/** What is answered to bytes that need not be HTTP, until the connection is closed. */
async function raw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let answer = '';
  socket.on('data', (piece: Buffer) => {
    answer += piece.toString();
  });
  socket.on('error', () => undefined);
  socket.end(text, 'latin1');
  await once(socket, 'close');
  return answer;
}

function head(method: string, target: string): string {
  return `${method} ${target} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n`;
}

await t.test('every strange target is answered with a 4xx and a sentence', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const targets: readonly (readonly [string, string, number])[] = [
    ['OPTIONS', '*', 404],
    ['OPTIONS', '/write', 405],
    ['TRACE', '/read', 405],
    ['PATCH', '/groups/a', 405],
    ['GET', 'http://[::1', 404],
    ['GET', 'http://', 404],
    ['GET', '/%', 404],
    ['PUT', '/groups/%?category=a', 400],
    ['GET', 'http://node/livez/', 404],
    ['GET', '/listChunks?category=%', 400],
    ['GET', '/listChunks?category=%c0%80', 400],
    ['GET', '/listChunks?category=a&category=a', 400],
    ['GET', '/listChunks?category=a&%=1', 400],
    ['GET', '/listChunks?category=a&__proto__=1', 400],
    ['GET', '/listChunks?&&&=', 400],
    ['GET', `/listChunks?category=${'x'.repeat(10_000)}`, 400],
    ['GET', `/listChunks?${'x'.repeat(10_000)}=1`, 400],
    ['POST', `/write?category=a&sync_each_write=${'x'.repeat(10_000)}`, 400],
    ['GET', `/read?category=a&chunk=b&off=${'9'.repeat(10_000)}`, 400],
    ['GET', `/${'%'.repeat(10_000)}`, 404],
    ['PUT', `/groups/${'%'.repeat(10_000)}`, 400],
  ];
  for (const [method, target, status] of targets) {
    const answer = await raw(server.url, head(method, target));
    const name = `${method} ${target.slice(0, 60)}`;
    t.match(answer, new RegExp(`^HTTP/1.1 ${status} `), name);
    t.match(answer, /\r\n\r\n\{"error":\{"code":"\w+","message":"[A-Za-z].*\."/, name);
    t.ok(answer.length < 700, `${name}: what was asked is not repeated at length`);
  }
  t.match(await raw(server.url, 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /);
  const long = await raw(server.url, head('GET', `/livez?${'x'.repeat(20_000)}`));
  t.match(long, /^HTTP\/1\.1 431 /);
  const unread = await raw(server.url, head('HEAD', '/livez'));
  t.match(
    unread,
    /^HTTP\/1\.1 405 (.*\r\n)+Allow: GET\r\n(.+\r\n)+\r\n$/,
    'an answer to HEAD has no body',
  );
  t.same(server.log.entries, [], 'none of this is a fault of the node');
  await server.close();
});

await t.test('a form is refused, and any other type of content is taken as lines', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const form = '--x\r\nContent-Disposition: form-data; name="f"\r\n\r\na\n\r\n--x--\r\n';
  const refused = await call(server.url, '/write?category=logs', {
    body: form,
    headers: { 'Content-Type': 'multipart/form-data; boundary=x' },
  });
  t.match(errorOf(refused), { status: 400, code: 'invalid_request', message: /--data-binary/ });
  for (const type of ['application/x-www-form-urlencoded', 'application/json', 'text/plain', '']) {
    const headers = { 'Content-Type': type };
    const taken = await call(server.url, '/write?category=logs', { body: 'a\n', headers });
    t.equal(taken.status, 200, type);
  }
  await server.close();
});

await t.test('what refers to a request goes with it, also when it was refused', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\n');
  const chunk = 'chunk=node1-chunk000000000';
  const targets = [
    `/read?category=logs&${chunk}&off=x`,
    `/read?category=logs&${chunk}&off=99`,
    '/read?category=lo%67s',
    `/read?category=lo%67s&${chunk}&off=0&max_size=9`,
    '/stream?category=logs&from=x',
    '/stream?category=logs&from=earliest&wait_ms=0',
    '/listChunks?category=logs&version=x&wait_ms=1',
    '/listChunks?category=logs&wait_ms=x',
    '/consume?category=logs',
    '/write?category=logs',
  ];
  for (const target of targets) await raw(server.url, head('GET', target));
  // The signal lives as long as the node: each listener that stays would keep its request and its connection.
  t.equal(getEventListeners(server.ports.stopping, 'abort').length, 0);
  await server.close();
});

/** Bytes in use after a collection. */
function keptBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // Twice: what has a finalizer goes with the second.
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

await t.test('what a node remembers of a request is not the whole request', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const count = 1_000;
  // Less than the 4 KiB of a head that the lane reads.
  const padding = 'x'.repeat(3_500);
  const ways: Readonly<Record<string, (index: number) => string>> = {
    producers: (index) =>
      `POST /write?category=logs HTTP/1.1\r\nHost: node\r\nUser-Agent: ${padding}\r\nContent-Length: 2\r\n` +
      `Chukcha-Producer: producer-with-a-name-${index}\r\nChukcha-Sequence: 1\r\n\r\na\n`,
    leases: (index) =>
      `PUT http://${padding}/leases/group-with-a-name-${index}?category=logs&holder=holder-with-a-name-${index}` +
      '&ttl_ms=9000 HTTP/1.1\r\nHost: node\r\n\r\n',
  };
  for (const [what, requestOf] of Object.entries(ways)) {
    const send = async (from: number, before: number): Promise<void> => {
      for (let index = from; index < before; index += 50) {
        const texts = Array.from({ length: 50 }, (_, at) => requestOf(index + at));
        const answers = await raw(server.url, texts.join('') + head('GET', '/livez'));
        t.equal(answers.match(/^HTTP\/1\.1 200 /gm)?.length, 51);
      }
    };
    // Code that is compiled meanwhile is kept too.
    await send(0, count / 2);
    const before = keptBytes();
    await send(count / 2, count);
    const grownBytes = keptBytes() - before;
    t.ok(grownBytes < (count / 2) * 2_500, `${what}: ${grownBytes} bytes`);
  }
  await server.close();
});

await t.test(
  'a connection that Node has taken over keeps nothing of its first request',
  async (t) => {
    const server = await startServer({ directory: t.testdir() });
    const { hostname, port } = new URL(server.url);
    const body = `${'y'.repeat(50_000)}\n`;
    const count = 50;
    const before = keptBytes();
    const sockets: Socket[] = [];
    for (let index = 0; index < count; index += 1) {
      const socket = connect(Number(port), hostname);
      sockets.push(socket);
      // The header is not the lane's.
      socket.write(
        `POST /write?category=logs HTTP/1.1\r\nHost: node\r\nX: y\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      const [answer] = (await once(socket, 'data')) as [Buffer];
      t.match(answer.toString(), /^HTTP\/1\.1 200 /);
    }
    const grownBytes = keptBytes() - before;
    t.ok(grownBytes < (count * body.length) / 2, `${grownBytes} bytes`);
    for (const socket of sockets) socket.destroy();
    await server.close();
  },
);

await t.test('a disk that fails every request fills no log', async (t) => {
  const disk = new FaultDisk();
  const server = await startServer({ directory: t.testdir(), disk });
  await write(server, 'a\n');
  disk.inject({ operation: 'write', code: 'ENOSPC', times: 1_000 });
  const refuse = async (count: number): Promise<void> => {
    for (let left = count; left > 0; left -= 1) {
      const answer = await call(server.url, '/write?category=logs', { body: 'b\n' });
      t.match(errorOf(answer), { status: 507, code: 'disk_full' });
    }
  };
  await refuse(20);
  server.clock.advance(1_000);
  await refuse(1);
  const failures = server.log.entries.filter(({ sentence }) => sentence === 'A request failed.');
  t.same(
    failures.map(({ fields }) => fields['leftOut']),
    [undefined, 19],
  );
  disk.heal();
  await write(server, 'c\n');
  await server.close();
});

import { getEventListeners, once } from 'node:events';
import { connect } from 'node:net';
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
  socket.end(text);
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

import t, { type Test } from 'tap';
import { RawConnection, readRequest } from '../support/raw-connection.js';
import { startServer, type TestServer, write } from '../support/test-server.js';
import { type RawAnswers, readAnswers } from '../torture/read-answers.js';

/** What must never be answered as a request of its own, nor stored. */
const smuggled =
  'POST /write?category=smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nx\n';

/** What a client asks for behind a crafted request; its answer is told from all others. */
const probe = 'GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';

async function start(t: Test): Promise<TestServer> {
  const server = await startServer({ directory: t.testdir(), batchBytesMax: 100_000 });
  t.teardown(() => server.close());
  await write(server, 'a\n');
  return server;
}

/** Sends the bytes, before them what the lane takes when that is wanted, and all that is answered until the end. */
async function talk(
  server: TestServer,
  text: string,
  isInLane: boolean,
  endsItsSide = true,
): Promise<RawAnswers> {
  const connection = new RawConnection(server.url);
  connection.send((isInLane ? readRequest('&off=0') : '') + text);
  if (endsItsSide) connection.socket.end();
  let heard = '';
  connection.socket.on('data', (piece: Buffer) => {
    heard += piece.toString('latin1');
  });
  await connection.closed;
  return readAnswers(heard, !isInLane && text.startsWith('HEAD '));
}

/** Checks that a crafted request was refused, and that what followed was answered rightly or not at all. */
async function checkRefused(t: Test, server: TestServer, text: string, name: string) {
  for (const isInLane of [false, true]) {
    const { answers, fault } = await talk(server, text + probe, isInLane);
    const label = `${name}${isInLane ? ', behind a request in the lane' : ''}`;
    t.equal(fault, undefined, label);
    const ofCrafted = isInLane ? answers.slice(1) : answers;
    if (isInLane) t.match(answers[0], { status: 200, body: 'a\n' }, label);
    const [first, second, ...more] = ofCrafted;
    t.ok(
      (first?.status ?? 400) >= 400 && (first?.status ?? 400) < 500,
      `${label}: ${first?.status}`,
    );
    if (second !== undefined && second.status < 400) t.match(second.body, /"node":"node1"/, label);
    t.same(more, [], label);
  }
}

await t.test('crafted paths lead nowhere, and what follows them is answered rightly', async (t) => {
  const server = await start(t);
  const targets = [
    '/../../etc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/..%2f..%2fetc%2fpasswd',
    '/console/../../package.json',
    '/console/..%2f..%2fpackage.json',
    '/console/%2e%2e%5c%2e%2e%5cpackage.json',
    '/console/main.js%00.css',
    '/console//main.js',
    '/livez%00',
    '/livez;x=y',
    '/livez/..',
    '/./livez',
    '//livez',
    '//evil.example/livez',
    'https://evil.example/livez',
    'ftp://evil.example/livez',
    'file:///etc/passwd',
    '/LIVEZ',
    '/%6civez',
    '*',
    'livez',
    '\\livez',
    `/${'a/'.repeat(4_000)}`,
    `/console/${'x'.repeat(8_000)}`,
    '/\xc3\xa9',
    '/\xff\xfe',
    '/listChunks?category=..',
    '/listChunks?category=%2e%2e',
    '/listChunks?category=..%2f.chukcha',
    '/listChunks?category=.chukcha',
    '/listChunks?category=a%00b',
    '/listChunks?category=a%0d%0aX-Evil:%201',
    '/listChunks?category=\xff',
    '/read?category=logs&chunk=..%2f..%2fidentity.json',
    '/read?category=logs&chunk=node1-chunk000000000%00',
    '/read?category=logs/../logs&chunk=node1-chunk000000000',
    '/groups?category=logs%2f..',
  ];
  for (const target of targets) {
    await checkRefused(t, server, `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`, target.slice(0, 60));
  }
  for (const target of [
    '/groups/%2e%2e',
    '/groups/..',
    '/groups/a%2fb',
    '/groups/%00',
    '/groups/a/b',
  ]) {
    const text = `PUT ${target}?category=logs HTTP/1.1\r\nHost: x\r\n\r\n`;
    await checkRefused(t, server, text, `PUT ${target}`);
  }
  const absolute = `GET http://other.example/livez HTTP/1.1\r\nHost: x\r\n\r\n${probe}`;
  const { answers } = await talk(server, absolute, false);
  t.same(
    answers.map(({ status }) => status),
    [200, 200],
    'a proxy may hand a whole address on',
  );
});

await t.test('a request within another one is never taken for one', async (t) => {
  const server = await start(t);
  const size = smuggled.length;
  const chunked = `${size.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`;
  const post = 'POST /write?category=logs HTTP/1.1\r\nHost: x\r\n';
  const crafted: Readonly<Record<string, string>> = {
    'a length and chunks': `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    'chunks and a length': `${post}Transfer-Encoding: chunked\r\nContent-Length: ${size + 5}\r\n\r\n0\r\n\r\n${smuggled}`,
    'two lengths': `${post}Content-Length: 2\r\nContent-Length: ${size + 2}\r\n\r\na\n${smuggled}`,
    'the same length twice': `${post}Content-Length: 2\r\nContent-Length: 2\r\n\r\na\n`,
    'a list of lengths': `${post}Content-Length: 2, ${size}\r\n\r\na\n${smuggled}`,
    'a signed length': `${post}Content-Length: +2\r\n\r\na\n${smuggled}`,
    'a length in hex': `${post}Content-Length: 0x2\r\n\r\na\n${smuggled}`,
    'a blank before the colon': `${post}Content-Length : ${size}\r\n\r\n${smuggled}`,
    'a folded length': `${post}Content-Length:\r\n ${size}\r\n\r\n${smuggled}`,
    'a folded header': `${post}X: a\r\n\tContent-Length: ${size}\r\nContent-Length: 0\r\n\r\n${smuggled}`,
    'a bare LF in the head': `${post}X: a\nContent-Length: ${size}\r\n\r\n${smuggled}`,
    'a bare CR in the head': `${post}X: a\rContent-Length: ${size}\r\n\r\n${smuggled}`,
    'a bare LF at the end of the head': `${post}Content-Length: ${size}\r\n\n${smuggled}`,
    'a NUL in a header': `${post}X: a\0b\r\nContent-Length: ${size}\r\n\r\n${smuggled}`,
    'an unknown coding': `${post}Transfer-Encoding: xchunked\r\n\r\n${chunked}`,
    'a coding behind chunks': `${post}Transfer-Encoding: chunked, identity\r\n\r\n${chunked}`,
    'chunks twice': `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
    'a tab in the coding': `${post}Transfer-Encoding: \x0bchunked\r\n\r\n${chunked}`,
    'a size that is no number': `${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n${smuggled}\r\n0\r\n\r\n`,
    'a size of many digits': `${post}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n${smuggled}`,
    'a negative size': `${post}Transfer-Encoding: chunked\r\n\r\n-1\r\n${smuggled}`,
    'a size ended by LF': `${post}Transfer-Encoding: chunked\r\n\r\n2\na\n\r\n0\r\n\r\n`,
    'more bytes than the size': `${post}Transfer-Encoding: chunked\r\n\r\n2\r\na\nb${smuggled}`,
    'a length behind the chunks': `${post}Transfer-Encoding: chunked\r\n\r\n2\r\na\n\r\n0\r\nContent-Length: ${size}\r\n\r\n${smuggled}`,
    'an old version with chunks': `${post.replace('1.1', '1.0')}Transfer-Encoding: chunked\r\n\r\n${chunked}`,
    'a body of a read': `GET /read?category=none&chunk=node1-chunk000000000 HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n${smuggled}`,
    'chunks of a read': `GET /read?category=none&chunk=node1-chunk000000000 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
    'a body of a refusal': `DELETE /write?category=logs HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n${smuggled}`,
    'a body of what is not there': `POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n${smuggled}`,
    'a body that is too large': `${post}Content-Length: 200000\r\n\r\n${'x'.repeat(200_000 - size)}${smuggled}`,
    'an expectation that is refused': `POST /write?category=.. HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: ${size}\r\n\r\n${smuggled}`,
    'two hosts': `${post}Host: y\r\nContent-Length: ${size}\r\nX: \x01\r\n\r\n${smuggled}`,
    'a stream behind another request': `GET /produce?category=logs HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: ${size}\r\n\r\n${smuggled}`,
  };
  for (const [name, text] of Object.entries(crafted)) await checkRefused(t, server, text, name);
  t.same(await server.store.listCategories(), ['logs'], 'nothing within them was stored');
});

await t.test(
  'extensions and trailers of chunks mean nothing, and end where they should',
  async (t) => {
    const server = await start(t);
    const post =
      'POST /write?category=logs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
    for (const body of [
      '2;name=value\r\nb\n\r\n0\r\n\r\n',
      '2;name="a;b"\r\nb\n\r\n0;last\r\n\r\n',
      '2\r\nb\n\r\n0\r\nX: 1\r\nAuthorization: Bearer x\r\n\r\n',
      '1\r\nb\r\n1\r\n\n\r\n000\r\n\r\n',
    ]) {
      for (const isInLane of [false, true]) {
        const { answers, fault } = await talk(server, post + body + probe, isInLane);
        t.equal(fault, undefined, body);
        t.same(
          answers.slice(isInLane ? 1 : 0).map(({ status }) => status),
          [200, 200],
          body,
        );
      }
    }
  },
);

await t.test('no header of an answer has anything from a request', async (t) => {
  const server = await start(t);
  const evil = 'evil7';
  const odd = [evil, `${evil}%0d%0aX-${evil}:%201`, `${evil}\x80`, `%22${evil}`];
  const chunk = 'node1-chunk000000000';
  const lines = [
    `Host: ${evil}`,
    `Chukcha-Producer: ${evil}`,
    `Chukcha-Sequence: 1`,
    `If-None-Match: "${evil}"`,
    `Origin: http://${evil}`,
    `X-Forwarded-Host: ${evil}`,
    `Accept-Encoding: ${evil}`,
    'Connection: close',
  ].join('\r\n');
  for (const word of odd) {
    for (const target of [
      `GET /${word}`,
      `GET /console/${word}`,
      'GET /console',
      `GET /read?category=${word}&chunk=${chunk}`,
      `GET /read?category=logs&chunk=${chunk}&off=${word}`,
      `GET /read?category=logs&chunk=${evil}-chunk000000000`,
      `GET /listChunks?category=logs&group=${word}&version=${word}`,
      `GET /leases/${word}?category=${word}`,
      `PUT /leases/g?category=logs&holder=${word}&ttl_ms=9`,
      `PUT /groups/${word}?category=logs`,
      `POST /write?category=${word}`,
      `GET /stream?category=${word}&wait_ms=0`,
      `GET /produce?category=${word}`,
      `${evil} /livez`,
      `OPTIONS /livez?${word}`,
    ]) {
      const body = target.startsWith('POST') ? 'a\n' : '';
      const text = `${target} HTTP/1.1\r\n${lines}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      const { answers, fault } = await talk(server, text, false, false);
      t.equal(fault, undefined, target);
      const said = answers.flatMap(({ headers }) => [...headers].flat()).join('\n');
      t.notMatch(said, evil, target);
      t.ok(answers.length > 0, target);
    }
  }
});

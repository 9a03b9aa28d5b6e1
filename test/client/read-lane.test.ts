import { type AddressInfo, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { parseAnswerHead } from '../../src/client/answer-head.js';
import { Client, type ReadAnswer } from '../../src/index.js';

/** Says what a connection hears when the request with this number, from 0, has come over it. */
type Script = (socket: Socket, requestNumber: number, request: string) => void;

interface Bed {
  readonly client: Client;
  readonly requests: string[];
  connectionCount: number;
}

/** A stand-in for a node, or for what stands in front of one, of which the test says every byte. */
async function startBed(t: Test, script: Script, timeoutMs = 30_000): Promise<Bed> {
  const sockets = new Set<Socket>();
  const requests: string[] = [];
  const server = createServer((socket) => {
    bed.connectionCount += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    let heard = '';
    socket.on('data', (piece) => {
      heard += piece.toString('latin1');
      for (let end = heard.indexOf('\r\n\r\n'); end !== -1; end = heard.indexOf('\r\n\r\n')) {
        const request = heard.slice(0, end);
        heard = heard.slice(end + 4);
        requests.push(request);
        script(socket, requests.length - 1, request);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const client = new Client({ server: `http://127.0.0.1:${port}`, timeoutMs, token: 'secret' });
  t.teardown(() => {
    client.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const bed: Bed = { client, requests, connectionCount: 0 };
  return bed;
}

function head(fields: string, status = '200 OK'): string {
  return `HTTP/1.1 ${status}\r\nChukcha-Chunk-State: open\r\nChukcha-Chunk-Size: 9\r\nChukcha-Next-Offset: 9\r\n${fields}\r\n\r\n`;
}

const plain = (text: string): string => `${head(`Content-Length: ${text.length}`)}${text}`;
const chunked = (text: string): string =>
  `${head('Transfer-Encoding: chunked')}${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;

function read(
  { client }: Bed,
  options: { readonly signal?: AbortSignal; readonly bufferBytes?: number } = {},
): Promise<ReadAnswer> {
  const { signal, bufferBytes = 1_000 } = options;
  return client.read('logs', {
    chunk: 'node1-chunk000000000',
    offset: 0,
    byteCountMax: 1_000,
    takeBuffer: (byteCount) => Buffer.alloc(Math.max(bufferBytes, byteCount)),
    ...(signal === undefined ? {} : { signal }),
  });
}

async function readText(bed: Bed): Promise<string> {
  return (await read(bed)).bytes.toString();
}

t.test('an answer comes whole however it is cut, into the buffer of the caller', async (t) => {
  const answer = plain('one\ntwo\n');
  let cut = 0;
  const bed = await startBed(t, (socket) => {
    socket.setNoDelay(true);
    socket.write(answer.slice(0, cut), 'latin1', () => socket.write(answer.slice(cut), 'latin1'));
  });
  for (; cut < answer.length; cut += 1) t.equal(await readText(bed), 'one\ntwo\n');
  const { bytes, chunkSize, nextOffset, state } = await read(bed);
  t.same({ chunkSize, nextOffset, state }, { chunkSize: 9, nextOffset: 9, state: 'open' });
  t.equal(bytes.buffer.byteLength, 1_000);
  t.equal(bed.connectionCount, 1, 'one connection for all');
  t.match(bed.requests[0], /\r\nHost: 127\.0\.0\.1:\d+\r\nAuthorization: Bearer secret$/);
});

t.test('an empty answer, and one that ends the connection', async (t) => {
  const bed = await startBed(t, (socket, number) => {
    if (number === 1) socket.end(`${head('Content-Length: 2\r\nConnection: close')}b\n`);
    else socket.write(number === 0 ? plain('') : plain('c\n'));
  });
  t.equal(await readText(bed), '');
  t.equal(await readText(bed), 'b\n');
  t.equal(bed.connectionCount, 1);
  t.equal(await readText(bed), 'c\n');
  t.equal(bed.connectionCount, 2);
});

t.test(
  'what is not answered as a node answers is asked once more in the general way',
  async (t) => {
    for (const odd of [
      chunked('a\n'),
      `${head('X-Long: '.padEnd(20_000, 'x'))}`,
      `${head('Content-Length: 2\r\nContent-Length: 2')}a\n`,
      `${head('Content-Length: 2')}a\nsurplus`,
      `HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\na\n`,
      'no HTTP at all\r\n\r\n',
    ]) {
      const bed = await startBed(t, (socket, number) => {
        socket.write(number === 0 ? odd : chunked('a\n'));
      });
      t.equal(await readText(bed), 'a\n', odd.slice(0, 200));
      t.equal(bed.requests.length, 2);
      t.equal(await readText(bed), 'a\n');
      t.equal(bed.requests.length, 3, 'and the next ones at once so');
    }
  },
);

t.test('a kept connection that has gone says nothing of the node', async (t) => {
  const bed = await startBed(t, (socket, number) => {
    if (number === 1) socket.destroy();
    else socket.write(plain('a\n'));
  });
  t.equal(await readText(bed), 'a\n');
  t.equal(await readText(bed), 'a\n');
  t.equal(bed.requests.length, 3);
});

t.test('what is said without being asked ends the connection, and nothing else', async (t) => {
  const bed = await startBed(t, (socket, number) => {
    socket.write(plain('a\n'));
    if (number === 0) setImmediate(() => socket.write(plain('stale\n')));
    socket.once('close', () => closed());
  });
  let closed: () => void = () => undefined;
  const isClosed = new Promise<void>((resolve) => {
    closed = resolve;
  });
  t.equal(await readText(bed), 'a\n');
  await isClosed;
  t.equal(await readText(bed), 'a\n');
});

t.test('failures are told as those of every other call', async (t) => {
  const failing = async (
    script: Script,
    options: { readonly timeoutMs?: number; readonly abort?: boolean } = {},
  ) => {
    const bed = await startBed(t, script, options.timeoutMs);
    const stop = new AbortController();
    if (options.abort === true) setTimeout(() => stop.abort(), 20);
    return read(bed, { signal: stop.signal });
  };
  await t.rejects(
    failing((socket) => socket.end(`${head('Content-Length: 9')}half`)),
    { code: 'server_unreachable', message: /closed early/ },
  );
  await t.rejects(
    failing((socket) => socket.destroy()),
    { code: 'server_unreachable' },
  );
  await t.rejects(
    failing(() => undefined, { timeoutMs: 50 }),
    { code: 'timeout', message: /within 50 ms/ },
  );
  await t.rejects(
    failing(() => undefined, { abort: true }),
    { code: 'aborted' },
  );
  await t.rejects(
    failing((socket) => socket.write(head('Content-Length: 99999999999'))),
    { code: 'invalid_response', message: /larger than/ },
  );
  const refused = JSON.stringify({ error: { code: 'chunk_not_found', message: 'It is gone.' } });
  await t.rejects(
    failing((socket) =>
      socket.write(`${head(`Content-Length: ${refused.length}`, '404 Not Found')}${refused}`),
    ),
    { code: 'chunk_not_found', message: 'It is gone.', fields: { chunkState: 'open' } },
  );
});

t.test('heads of answers that are understood, and others', (t) => {
  t.same(parseAnswerHead('HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX-Name:  a b \r\nY:'), {
    status: 200,
    headers: { 'content-length': '12', 'x-name': 'a b', y: '' },
    bodyBytes: 12,
    isKept: true,
  });
  t.match(parseAnswerHead('HTTP/1.1 503 \r\ncontent-length: 0\r\nConnection: close'), {
    status: 503,
    isKept: false,
  });
  for (const text of [
    '',
    'HTTP/1.1 200 OK',
    'HTTP/1.1 204 No Content\r\nContent-Length: 0',
    'HTTP/1.1 101 Switching Protocols\r\nContent-Length: 0',
    'HTTP/2 200\r\nContent-Length: 0',
    'HTTP/1.1 2000 OK\r\nContent-Length: 0',
    'HTTP/1.1 200 OK\r\nContent-Length: -1',
    'HTTP/1.1 200 OK\r\nContent-Length: 1, 1',
    'HTTP/1.1 200 OK\r\nContent-Length: 1e3',
    'HTTP/1.1 200 OK\r\nContent-Length : 1',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n folded',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: identity',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX: a\r\nx: b',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nno header',
  ]) {
    t.equal(parseAnswerHead(text), undefined, JSON.stringify(text));
  }
  t.end();
});

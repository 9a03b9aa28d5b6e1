import { once } from 'node:events';
import { type ClientRequest, createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { messageBytesMax } from '../../src/protocol/limits.js';
import { FaultDisk } from '../support/fault-disk.js';
import {
  call,
  errorOf,
  messageOf,
  startServer,
  type TestServer,
  write,
} from '../support/test-server.js';
import { until } from '../support/until.js';

const first = 'node1-chunk000000000';
const chunkBytesMax = 20 * 1024 * 1024;

/** A stream as a client sees it, from its head on. */
class OpenStream {
  readonly request: ClientRequest;
  readonly response: IncomingMessage;
  text = '';
  /** Whether the answer came to its regular end. */
  readonly ended: Promise<boolean>;
  #wake: () => void = () => undefined;

  private constructor(outgoing: ClientRequest, response: IncomingMessage) {
    this.request = outgoing;
    this.response = response;
    response.on('data', (piece: Buffer) => {
      this.text += piece.toString('latin1');
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      response.on('error', () => undefined);
      response.on('close', () => resolve(response.complete));
    });
  }

  static open({ url }: { url: string }, parameters = '', category = 'logs'): Promise<OpenStream> {
    return new Promise((resolve, reject) => {
      const outgoing = request(`${url}/stream?category=${category}${parameters}`);
      outgoing.on('error', reject);
      outgoing.on('response', (response) => resolve(new OpenStream(outgoing, response)));
      outgoing.end();
    });
  }

  /** Resolves when so many bytes have come. */
  async bytes(count: number): Promise<string> {
    while (this.text.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.text;
  }
}

async function start(
  t: Test,
  options: Partial<Parameters<typeof startServer>[0]> = {},
): Promise<TestServer> {
  return startServer({ directory: t.testdir(), ...options });
}

async function seal(server: TestServer): Promise<void> {
  await (await server.store.category('logs')).seal();
}

await t.test('a stream has what is there and then what comes, over many chunks', async (t) => {
  const server = await start(t, { chunkBytesMax: 4 });
  for (const text of ['a\n', 'bb\n', 'ccc\n', 'd\n']) await write(server, text);
  const stream = await OpenStream.open(server);
  t.equal(stream.response.headers['transfer-encoding'], 'chunked');
  t.equal(await stream.bytes(11), 'a\nbb\nccc\nd\n');
  for (const text of ['e\n', 'f\n', 'g\n']) await write(server, text);
  t.equal(await stream.bytes(17), 'a\nbb\nccc\nd\ne\nf\ng\n');
  await seal(server);
  await write(server, 'h\n');
  t.equal(await stream.bytes(19), 'a\nbb\nccc\nd\ne\nf\ng\nh\n');
  stream.request.destroy();
  await server.close();
});

await t.test(
  'a stream from the latest message has exactly what is written after its head',
  async (t) => {
    const server = await start(t, { chunkBytesMax: 100 });
    await write(server, 'before\n');
    const inside = await OpenStream.open(server, '&from=latest');
    await write(server, 'after\n');
    t.equal(await inside.bytes(6), 'after\n', 'also inside an open chunk');
    await seal(server);
    const behind = await OpenStream.open(server, '&from=latest');
    await write(server, 'last\n');
    t.equal(await behind.bytes(5), 'last\n', 'and behind a sealed one');
    t.equal(await inside.bytes(11), 'after\nlast\n');
    const category = await server.store.category('logs');
    t.same(
      category.view.list('x').map(({ complete }) => complete),
      [true, false],
      'nothing was sealed for it',
    );
    for (const stream of [inside, behind]) stream.request.destroy();
    await server.close();
  },
);

await t.test('a stream of a category that is not there yet gets its first message', async (t) => {
  const server = await start(t);
  const streams = [
    await OpenStream.open(server, '&from=latest'),
    await OpenStream.open(server),
    await OpenStream.open(server, '&owner=node1'),
  ];
  await write(server, 'elsewhere\n', 'other');
  await write(server, 'a\n');
  for (const stream of streams) {
    t.equal(await stream.bytes(2), 'a\n');
    stream.request.destroy();
  }
  await server.close();
});

await t.test(
  'a group is not sent what it has acknowledged, and nothing is registered',
  async (t) => {
    const server = await start(t, { chunkBytesMax: 1 });
    for (const text of ['a\n', 'b\n', 'c\n']) await write(server, text);
    const category = await server.store.category('logs');
    await category.registerGroup('holding');
    await category.ack(first, 2, 'reader');
    const stream = await OpenStream.open(server, '&group=reader&wait_ms=0');
    t.equal(await stream.ended, true);
    t.equal(stream.text, 'b\nc\n');
    const other = await OpenStream.open(server, '&group=new&wait_ms=0');
    await other.ended;
    t.equal(other.text, 'a\nb\nc\n');
    t.same(
      category.view.groups().map(({ group }) => group),
      ['holding', 'reader'],
    );
    await server.close();
  },
);

await t.test('a stream can be of one owner alone, and has each owner in order', async (t) => {
  const directory = t.testdir({
    logs: {
      'node2-chunk000000003': 'x\ny\n',
      'node2-chunk000000007': 'z\n',
    },
  });
  const server = await startServer({ directory });
  await write(server, 'a\n');
  const lines = async (parameters: string): Promise<string[]> => {
    const stream = await OpenStream.open(server, `&wait_ms=0${parameters}`);
    await stream.ended;
    return stream.text.split('\n').slice(0, -1);
  };
  t.same(await lines('&owner=node2'), ['x', 'y', 'z']);
  t.same(await lines('&owner=node1'), ['a']);
  t.same(await lines('&owner=node3'), []);
  const all = await lines('');
  t.same(
    all.filter((line) => line > 'w'),
    ['x', 'y', 'z'],
  );
  t.same(all.toSorted(), ['a', 'x', 'y', 'z']);
  t.same(await lines('&from=latest'), []);
  await server.close();
});

await t.test('owners take turns, and no message is cut between them', async (t) => {
  const long = messageOf(messageBytesMax);
  const many = Buffer.from('2222\n'.repeat(600_000));
  const directory = t.testdir({ logs: { 'node2-chunk000000000': many } });
  const server = await startServer({ directory, chunkBytesMax });
  for (let count = 0; count < 3; count += 1) await write(server, long);
  const stream = await OpenStream.open(server, '&wait_ms=0');
  t.equal(await stream.ended, true);
  const lines = stream.text.split('\n').slice(0, -1);
  t.equal(lines.length, 600_003);
  t.equal(lines.filter((line) => line === '2222').length, 600_000);
  const longLines = lines.flatMap((line, index) => (line.length > 4 ? [{ line, index }] : []));
  t.ok(longLines.every(({ line }) => `${line}\n` === String(long)));
  t.ok((longLines[1]?.index ?? 0) > 100_000, 'the other owner was not kept waiting');
  await server.close();
});

await t.test(
  'a chunk that is acknowledged and removed before its turn is passed over',
  async (t) => {
    const disk = new FaultDisk();
    const server = await start(t, { disk, chunkBytesMax: 1 });
    for (const text of ['a\n', 'b\n', 'c\n']) await write(server, text);
    const opening = disk.hold('openFile', /chunk000000000$/);
    const stream = await OpenStream.open(server, '&wait_ms=0');
    await opening.reached;
    const category = await server.store.category('logs');
    await category.ack(first, 2, 'default');
    await category.ack('node1-chunk000000001', 2, 'default');
    opening.release();
    t.equal(await stream.ended, true);
    t.equal(stream.text, 'c\n');
    await server.close();
  },
);

await t.test('an idle stream ends after its time, and each message puts that off', async (t) => {
  const server = await start(t);
  await write(server, 'a\n');
  const held = server.clock.nextTimer();
  const stream = await OpenStream.open(server, '&wait_ms=1000');
  await held;
  server.clock.advance(900);
  const heldAgain = server.clock.nextTimer();
  await write(server, 'b\n');
  await heldAgain;
  server.clock.advance(900);
  t.equal(await stream.bytes(4), 'a\nb\n');
  server.clock.advance(100);
  t.equal(await stream.ended, true);
  t.equal(stream.text, 'a\nb\n');
  await server.close();
});

await t.test(
  'a stream without a time costs no timer, and nothing is left of one that broke',
  async (t) => {
    const server = await start(t);
    await write(server, 'a\n');
    server.clock.advance(1_000);
    const restingCount = server.clock.timerCount;
    const streams = await Promise.all(Array.from({ length: 50 }, () => OpenStream.open(server)));
    for (const stream of streams) await stream.bytes(2);
    t.equal(server.clock.timerCount, restingCount);
    const timed = await OpenStream.open(server, '&wait_ms=50000');
    await until(() => server.clock.timerCount === restingCount + 1);
    timed.request.destroy();
    await until(() => server.clock.timerCount === restingCount);
    for (const stream of streams.slice(25)) stream.request.destroy();
    await write(server, 'b\n');
    for (const stream of streams.slice(0, 25)) {
      t.equal(await stream.bytes(4), 'a\nb\n');
      stream.request.destroy();
    }
    await server.close();
  },
);

await t.test('a stream ends cleanly when the node begins to stop', async (t) => {
  const server = await start(t);
  await write(server, 'a\n');
  const streams = [await OpenStream.open(server), await OpenStream.open(server, '', 'nothing')];
  await streams[0]?.bytes(2);
  server.stop();
  for (const stream of streams) t.equal(await stream.ended, true);
  t.match(errorOf(await call(server.url, '/stream?category=logs')), {
    status: 503,
    code: 'draining',
  });
  await server.close();
});

await t.test(
  'a client that does not read holds one slab, and one that leaves frees its file',
  async (t) => {
    const disk = new FaultDisk();
    const server = await start(t, { disk, chunkBytesMax });
    for (let count = 0; count < 4; count += 1) {
      await write(server, Buffer.concat(Array.from({ length: 40 }, () => messageOf(100_000))));
    }
    const streams = await Promise.all(Array.from({ length: 10 }, () => OpenStream.open(server)));
    for (const stream of streams) stream.response.pause();
    const readCount = (): number => disk.count('read', /chunk000000000$/);
    let seen = -1;
    await until(() => {
      const isStill = readCount() === seen;
      seen = readCount();
      return isStill && seen > 0;
    });
    t.ok(readCount() < 10 * 60, 'the rest was not read');
    for (const stream of streams) stream.request.destroy();
    await until(
      () => disk.count('close', /chunk000000000$/) >= disk.count('openFile', /chunk000000000$/),
    );
    t.same(server.log.entries, [], 'that is no error of the node');
    await server.close();
  },
);

await t.test('a disk that fails in the middle of a stream breaks the connection', async (t) => {
  const disk = new FaultDisk();
  const server = await start(t, { disk });
  await write(server, 'a\n');
  const stream = await OpenStream.open(server);
  await stream.bytes(2);
  disk.inject({ operation: 'read', path: /chunk000000000$/, code: 'EIO' });
  await write(server, 'b\n');
  t.equal(await stream.ended, false, 'it must not look whole');
  t.match(await server.log.first('error'), { fields: { path: '/stream' } });
  await server.close();
});

await t.test('the limit for silent connections cuts a held call, but not a stream', async (t) => {
  const server = await start(t);
  const strict = createServer({}, server.app.callback()).listen(0, '127.0.0.1');
  strict.timeout = 50;
  await once(strict, 'listening');
  const url = `http://127.0.0.1:${(strict.address() as AddressInfo).port}`;
  const stream = await OpenStream.open({ url });
  await write(server, 'a\n');
  t.equal(await stream.bytes(2), 'a\n');
  const held = call(url, `/read?category=logs&chunk=${first}&off=2&wait_ms=50000`);
  await t.rejects(held, 'this one was silent for as long as the stream');
  await write(server, 'b\n');
  t.equal(await stream.bytes(4), 'a\nb\n');
  stream.request.destroy();
  strict.close();
  await server.close();
});

await t.test('a stream that makes no sense is refused', async (t) => {
  const server = await start(t);
  const refusals: readonly (readonly [string, string])[] = [
    ['', 'invalid_request'],
    ['category=..', 'invalid_name'],
    ['category=logs&group=a.b', 'invalid_name'],
    ['category=logs&owner=', 'invalid_name'],
    ['category=logs&from=', 'invalid_request'],
    ['category=logs&from=5', 'invalid_request'],
    ['category=logs&wait_ms=55001', 'invalid_request'],
    ['category=logs&offset=1', 'invalid_request'],
  ];
  for (const [parameters, code] of refusals) {
    const answer = await call(server.url, `/stream?${parameters}`);
    t.match(errorOf(answer), { status: 400, code }, parameters);
  }
  await server.close();
});

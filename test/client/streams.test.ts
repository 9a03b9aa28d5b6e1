import t, { type Test } from 'tap';
import { type ConsumeEvent, ConsumeStream } from '../../src/client/consume-stream.js';
import { ProduceStream } from '../../src/client/produce-stream.js';
import { FaultDisk } from '../support/fault-disk.js';
import { messageOf, startServer, type TestServer, write } from '../support/test-server.js';
import { chunkFiles, readChunk } from '../support/test-store.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;
const first = 'node1-chunk000000000';
const second = 'node1-chunk000000001';
const chunkBytesMax = 20 * MIB;

async function produce(t: Test, server: TestServer, options: object = {}): Promise<ProduceStream> {
  const stream = await ProduceStream.open({ server: server.url, category: 'logs', ...options });
  t.teardown(() => stream.close());
  return stream;
}

async function consume(t: Test, server: TestServer, options: object = {}): Promise<ConsumeStream> {
  const stream = await ConsumeStream.open({ server: server.url, category: 'logs', ...options });
  t.teardown(() => stream.close());
  return stream;
}

/** The events until one that the test waits for, data as text. */
async function eventsUntil(
  stream: ConsumeStream,
  isLast: (event: ConsumeEvent) => boolean,
): Promise<unknown[]> {
  const events: unknown[] = [];
  for await (const event of stream) {
    events.push(event.kind === 'data' ? { ...event, bytes: String(event.bytes) } : event);
    if (isLast(event)) return events;
  }
  return events;
}

await t.test('batches on a stream are stored and answered in order', async (t) => {
  const server = await startServer({ directory: t.testdir(), chunkBytesMax });
  const stream = await produce(t, server);
  const bodies = Array.from({ length: 600 }, (_, index) =>
    index % 100 === 99 ? messageOf(700_000) : Buffer.from(`${index}\n`),
  );
  const receipts = await Promise.all(bodies.map((body) => stream.write([body])));
  let offset = 0;
  for (const [index, receipt] of receipts.entries()) {
    const size = bodies[index]?.length ?? 0;
    t.same(receipt, { chunk: first, offset, size, duplicate: false }) || t.fail(`${index}`);
    offset += size;
  }
  t.ok((await readChunk(server.directory, 'logs', first)).equals(Buffer.concat(bodies)));
  await until(() => server.ports.budget.usedBytes === 0);
  await stream.close();
  await t.rejects(stream.write([Buffer.from('late\n')]), { code: 'aborted' });
  await server.close();
});

await t.test('a refused batch does not end the stream', async (t) => {
  const disk = new FaultDisk();
  const server = await startServer({ directory: t.testdir(), disk, batchBytesMax: MIB });
  const stream = await produce(t, server, { producer: 'p' });
  const outcomes = await Promise.allSettled([
    stream.write([Buffer.from('a\n')]),
    stream.write([Buffer.from('cut')]),
    stream.write([messageOf(MIB), Buffer.from('\n')]),
    stream.write([]),
    stream.write([Buffer.from('b'), Buffer.from('\n')], { sync: true }),
  ]);
  t.match(outcomes, [
    { value: { offset: 0 } },
    { reason: { code: 'batch_unterminated', fields: { size: 3 } } },
    { reason: { code: 'batch_too_large', fields: { limit: MIB } } },
    { reason: { code: 'batch_empty' } },
    { value: { offset: 2 } },
  ]);
  t.equal(disk.count('sync', /chunk\d+$/), 1);
  disk.inject({ operation: 'write', path: /chunk\d+$/, code: 'ENOSPC' });
  await t.rejects(stream.write([Buffer.from('c\n')]), { code: 'disk_full', retryable: true });
  t.match(await stream.write([Buffer.from('d\n')]), { offset: 4 });
  await server.close();
});

await t.test('a stream waits for room before it sends more', async (t) => {
  const server = await startServer({ directory: t.testdir(), chunkBytesMax });
  const stream = await produce(t, server, { inFlightBytesMax: 1_000 });
  const receipts = await Promise.all(
    Array.from({ length: 50 }, () => stream.write([messageOf(900)])),
  );
  t.equal(receipts.at(-1)?.offset, 49 * 900);
  await server.close();
});

await t.test('what a stream cannot be opened for is refused with its reason', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const { url } = server;
  const path = '/produce?category=logs';
  const plain = await fetch(url + path);
  t.equal(plain.status, 426);
  t.equal(plain.headers.get('upgrade'), 'chukcha/1');
  t.match(await plain.json(), { error: { code: 'upgrade_required' } });
  for (const wrong of ['/consume?category=logs&group=a.b', '/consume?group=a', '/produce?x=1']) {
    t.equal((await fetch(url + wrong)).status, 400, wrong);
  }
  await t.rejects(ProduceStream.open({ server: url, category: 'logs', producer: 'a.b' }), {
    code: 'invalid_name',
  });
  await t.rejects(ProduceStream.open({ server: 'http://127.0.0.1:1', category: 'logs' }), {
    code: 'server_unreachable',
  });
  await server.close();
});

await t.test('a consumer gets what is there, and then what comes', async (t) => {
  const server = await startServer({ directory: t.testdir(), chunkBytesMax });
  await write(server, 'a\nb\n');
  const stream = await consume(t, server);
  const iterator = stream[Symbol.asyncIterator]();
  const data = { kind: 'data', chunk: first };
  t.match((await iterator.next()).value, { ...data, offset: 0, bytes: Buffer.from('a\nb\n') });
  const next = iterator.next();
  await write(server, 'c\n');
  t.match((await next).value, { ...data, offset: 4, bytes: Buffer.from('c\n') });
  const sealed = iterator.next();
  await (await server.store.category('logs')).seal();
  t.same((await sealed).value, { kind: 'sealed', chunk: first, size: 6 });
  await write(server, 'd\n');
  t.match((await iterator.next()).value, { chunk: second, offset: 0 });
  await t.rejects(stream.ack(second, 2), { code: 'chunk_open' });
  await stream.ack(first, 6);
  t.same(await chunkFiles(server.directory, 'logs'), [second]);
  await server.close();
  t.same((await iterator.next()).value, { kind: 'sealed', chunk: second, size: 2 });
  await t.rejects(iterator.next(), { code: 'draining' });
});

await t.test('a consumer may wait for a category that does not exist yet', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const stream = await consume(t, server, { group: 'g' });
  const events = eventsUntil(stream, () => true);
  await write(server, 'a\n');
  t.match(await events, [{ kind: 'data', bytes: 'a\n' }]);
  await server.close();
});

await t.test('a consumer starts where it says, and hears of chunks that went', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const category = await server.store.category('logs');
  for (const text of ['a\nb\n', 'c\nd\n', 'e\n']) {
    await write(server, text);
    await category.seal();
  }
  const isLast = (event: ConsumeEvent): boolean =>
    event.kind === 'sealed' && event.chunk === 'node1-chunk000000002';
  const start = { node1: { index: 0, offset: 2 } };
  t.match(await eventsUntil(await consume(t, server, { start }), isLast), [
    { kind: 'data', chunk: first, offset: 2, bytes: 'b\n' },
    { kind: 'sealed', chunk: first, size: 4 },
    { kind: 'data', chunk: second, bytes: 'c\nd\n' },
    { kind: 'sealed' },
    { kind: 'data', bytes: 'e\n' },
    { kind: 'sealed' },
  ]);
  await category.ack(second, 4, 'default');
  const inSecond = await consume(t, server, { start: { node1: { index: 1, offset: 2 } } });
  t.match(await eventsUntil(inSecond, isLast), [
    { kind: 'gone', chunk: second },
    { kind: 'data', bytes: 'e\n' },
    { kind: 'sealed' },
  ]);
  t.match(await eventsUntil(await consume(t, server), isLast), [
    { kind: 'data', chunk: first },
    { kind: 'sealed', chunk: first },
    { kind: 'data', bytes: 'e\n' },
    { kind: 'sealed' },
  ]);
  const cut = await consume(t, server, { start: { node1: { index: 0, offset: 9 } } });
  t.match(
    await eventsUntil(cut, isLast),
    [{ kind: 'sealed', chunk: first, size: 4 }, { bytes: 'e\n' }, { kind: 'sealed' }],
    'a sealed chunk may have lost its end to a power failure',
  );
  await write(server, 'f\n');
  const beyond = await consume(t, server, { start: { node1: { index: 3, offset: 9 } } });
  await t.rejects(
    eventsUntil(beyond, () => false),
    { code: 'offset_out_of_range' },
  );
  await server.close();
});

await t.test('a consumer that takes nothing is sent a window and no more', async (t) => {
  const server = await startServer({ directory: t.testdir(), chunkBytesMax });
  const line = messageOf(1_000).toString();
  await write(server, line.repeat(3_000));
  await write(server, messageOf(MIB));
  const stream = await consume(t, server, { windowBytes: 10_000 });
  let byteCount = 0;
  const iterator = stream[Symbol.asyncIterator]();
  const { value: event } = await iterator.next();
  t.equal(event.kind === 'data' && event.bytes.length, 10_000);
  byteCount += 10_000;
  const content = await readChunk(server.directory, 'logs', first);
  while (byteCount < content.length) {
    const { value } = await iterator.next();
    if (value.kind !== 'data') continue;
    if (!value.bytes.equals(content.subarray(byteCount, byteCount + value.bytes.length))) {
      t.fail(`other bytes at ${byteCount}`);
    }
    byteCount += value.bytes.length;
  }
  t.equal(byteCount, 3_000_000 + MIB, 'a message above the window comes whole');
  await server.close();
});

await t.test('one stream feeds another while chunks rotate, and nothing is missed', async (t) => {
  const server = await startServer({ directory: t.testdir(), chunkBytesMax: 2_000 });
  const producer = await produce(t, server, { producer: 'p' });
  const consumer = await consume(t, server, { windowBytes: 5_000 });
  const lineCount = 3_000;
  const writing = (async () => {
    for (let line = 0; line < lineCount; line += 3) {
      const text = `${line}\n${line + 1}\n${line + 2}\n`;
      const receipt = producer.write([Buffer.from(text)]);
      if (line % 300 === 0) await receipt;
      else receipt.catch(() => undefined);
    }
  })();
  let text = '';
  const acks: Promise<void>[] = [];
  for await (const event of consumer) {
    if (event.kind === 'data') text += event.bytes;
    if (event.kind === 'sealed') acks.push(consumer.ack(event.chunk, event.size));
    if (text.endsWith(`\n${lineCount - 1}\n`)) break;
  }
  await writing;
  await Promise.all(acks);
  t.same(text.trimEnd().split('\n').map(Number), [...Array(lineCount).keys()]);
  t.ok(acks.length > 5);
  t.ok((await chunkFiles(server.directory, 'logs')).length <= 2, 'what was read is gone');
  await server.close();
});

await t.test('a stream that breaks tells everybody who waits', async (t) => {
  const disk = new FaultDisk();
  const server = await startServer({ directory: t.testdir(), disk });
  await write(server, 'a\n');
  const producer = await produce(t, server);
  const consumer = await consume(t, server);
  const held = disk.hold('sync', /chunk\d+$/);
  const waiting = producer.write([Buffer.from('b\n')], { sync: true });
  await held.reached;
  producer.close().catch(() => undefined);
  consumer.close();
  await t.resolves(
    eventsUntil(consumer, () => false),
    'a reader that closed ends quietly',
  );
  await t.rejects(consumer.ack(first, 2), { code: 'aborted' });
  held.release();
  t.match(await waiting, { offset: 2 });
  await server.close();
});

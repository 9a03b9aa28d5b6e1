import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import {
  encodeFrame,
  type FrameHead,
  frameFlags,
  frameHeadBytes,
  frameKinds,
  readFrameHead,
  writeFrameHead,
} from '../../src/protocol/frames.js';
import { messageOf, startServer, type TestServer, write } from '../support/test-server.js';
import { readChunk } from '../support/test-store.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;
const first = 'node1-chunk000000000';
const switching = /^HTTP\/1\.1 101 Switching Protocols\r\n(?:[^\r]+\r\n)*\r\n/;

interface Frame extends FrameHead {
  readonly payload: string;
}

/** A client of a stream that decides about every byte. */
class RawStream {
  readonly socket: Socket;
  #heard = Buffer.alloc(0);
  #isOpen = false;

  constructor(t: Test, server: TestServer, path: string, extra = '') {
    const { hostname, port } = new URL(server.url);
    this.socket = connect({ port: Number(port), host: hostname, noDelay: true });
    this.socket.on('error', () => undefined);
    this.socket.on('data', (piece) => {
      this.#heard = Buffer.concat([this.#heard, piece]);
    });
    this.socket.write(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: chukcha/1\r\n${extra}\r\n`,
    );
    t.teardown(() => this.socket.destroy());
  }

  send(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  /** The next frame; `undefined` when the connection is closed before it. */
  async frame(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#take();
      if (frame !== undefined || this.socket.closed) return frame;
      await Promise.race([once(this.socket, 'data'), once(this.socket, 'close')]);
    }
  }

  #take(): Frame | undefined {
    if (!this.#isOpen) {
      const [head] = switching.exec(this.#heard.toString('latin1')) ?? [];
      if (head === undefined) return undefined;
      this.#isOpen = true;
      this.#heard = this.#heard.subarray(head.length);
    }
    if (this.#heard.length < frameHeadBytes) return undefined;
    const head = readFrameHead(this.#heard, 0);
    const end = frameHeadBytes + head.payloadBytes;
    if (this.#heard.length < end) return undefined;
    const payload = this.#heard.toString('latin1', frameHeadBytes, end);
    this.#heard = this.#heard.subarray(end);
    return { ...head, payload };
  }
}

function batch(text: string, number = 0): Buffer {
  return encodeFrame(frameKinds.batch, { number, text });
}

const produce = '/produce?category=logs';
const consume = '/consume?category=logs';

await t.test('frames that come byte by byte, or with the request, are understood', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const slow = new RawStream(t, server, produce, 'X-Forwarded-For: 10.0.0.1\r\n');
  for (const byte of Buffer.concat([batch('a\n', 7), batch('bb\n', 8)])) {
    slow.send(Buffer.of(byte));
    await new Promise(setImmediate);
  }
  t.match(await slow.frame(), { kind: frameKinds.stored, number: 7, offset: 0, payload: first });
  t.match(await slow.frame(), { kind: frameKinds.stored, number: 8, offset: 2, payload: first });
  const eager = new RawStream(t, server, produce);
  eager.send(batch('c\n', Number.MAX_SAFE_INTEGER));
  t.match(await eager.frame(), { number: Number.MAX_SAFE_INTEGER, offset: 5 });
  await server.close();
  t.match(await slow.frame(), { kind: frameKinds.draining });
  t.equal(await slow.frame(), undefined);
});

await t.test('a frame that is not valid ends the stream with its reason', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  await write(server, 'a\n');
  const head = (over: Partial<FrameHead>): Buffer => {
    const frame = Buffer.alloc(frameHeadBytes);
    writeFrameHead(frame, 0, {
      kind: frameKinds.batch,
      flags: 0,
      nameBytes: 0,
      payloadBytes: 0,
      number: 0,
      offset: 0,
      ...over,
    });
    return frame;
  };
  const unsafe = head({});
  unsafe.fill(0xff, 8, 16);
  const cases: readonly (readonly [string, Buffer])[] = [
    [produce, head({ kind: 200 as never })],
    [produce, head({ payloadBytes: 2 ** 32 - 1 })],
    [produce, head({ payloadBytes: 2, nameBytes: 3 })],
    [produce, encodeFrame(frameKinds.batch, { name: 'n', text: 'a\n' })],
    [produce, unsafe],
    [produce, encodeFrame(frameKinds.credit, { number: 1 })],
    [produce, head({ kind: frameKinds.start, payloadBytes: 100_000 })],
    [consume, batch('a\n')],
    [consume, encodeFrame(frameKinds.start, { text: '{' })],
    [consume, encodeFrame(frameKinds.start, { text: '{"owners":{"a":{"index":-1.5}}}' })],
    [consume, Buffer.concat([encodeFrame(frameKinds.start), encodeFrame(frameKinds.start)])],
  ];
  for (const [path, bytes] of cases) {
    const stream = new RawStream(t, server, path);
    stream.send(bytes);
    const frame = await stream.frame();
    t.match(frame, { kind: frameKinds.refused, flags: frameFlags.last });
    t.match(JSON.parse(frame?.payload ?? ''), { error: { code: 'invalid_frame' } });
    t.equal(await stream.frame(), undefined);
  }
  await until(() => server.ports.budget.usedBytes === 0);
  await server.close();
});

await t.test(
  'a batch that does not fit into memory is refused, and the next is taken',
  async (t) => {
    const server = await startServer({ directory: t.testdir(), inFlightBytesMax: MIB });
    const stream = new RawStream(t, server, produce);
    stream.send(batch(messageOf(3 * MIB).toString('latin1'), 1));
    stream.send(batch('a\n', 2));
    const frame = await stream.frame();
    t.match(frame, { kind: frameKinds.refused, flags: 0, number: 1 });
    t.match(JSON.parse(frame?.payload ?? ''), { error: { code: 'too_many_bytes' } });
    t.match(await stream.frame(), { kind: frameKinds.stored, number: 2 });
    t.equal((await readChunk(server.directory, 'logs', first)).toString(), 'a\n');
    stream.send(batch(messageOf(MIB).toString('latin1'), 3).subarray(0, 400_000));
    await until(() => server.ports.budget.usedBytes >= 400_000);
    stream.socket.destroy();
    await until(() => server.ports.budget.usedBytes === 0);
    await server.close();
  },
);

await t.test('a producer that only reads at last gets its answers', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const stream = new RawStream(t, server, produce);
  stream.socket.end(Buffer.concat([batch('a\n', 1), batch('b\n', 2)]));
  t.match(await stream.frame(), { number: 1, kind: frameKinds.stored });
  t.match(await stream.frame(), { number: 2, kind: frameKinds.stored });
  t.match(await stream.frame(), { kind: frameKinds.draining });
  t.equal(await stream.frame(), undefined);
  await server.close();
});

await t.test('nothing is sent without a grant, and no frame breaks another', async (t) => {
  const server = await startServer({ directory: t.testdir(), chunkBytesMax: 20 * MIB });
  const line = messageOf(1_000).toString();
  await write(server, line.repeat(2_000));
  const stream = new RawStream(t, server, consume);
  stream.send(encodeFrame(frameKinds.start));
  const ack = { name: first, offset: 2_000_000 };
  stream.send(encodeFrame(frameKinds.ack, { ...ack, number: 1 }));
  const refused = await stream.frame();
  t.match(refused, { kind: frameKinds.refused, number: 1, flags: 0 });
  stream.socket.pause();
  stream.send(encodeFrame(frameKinds.credit, { number: 10_000_000 }));
  for (let number = 2; number < 60; number += 1) {
    stream.send(encodeFrame(frameKinds.ack, { ...ack, number }));
  }
  stream.socket.resume();
  let dataBytes = 0;
  let ackNumber = 1;
  while (dataBytes < 2_000_000 || ackNumber < 59) {
    const frame = await stream.frame();
    if (frame === undefined) throw new Error('The stream ended');
    if (frame.kind === frameKinds.data) {
      t.equal(frame.offset, dataBytes);
      dataBytes += frame.payload.length - frame.nameBytes;
      if (frame.payload.replaceAll(line, '') !== first) t.fail(`other bytes at ${dataBytes}`);
    } else {
      ackNumber += 1;
      t.match(frame, { kind: frameKinds.refused, number: ackNumber });
    }
  }
  t.equal(dataBytes, 2_000_000);
  await server.close();
  t.match(await stream.frame(), { kind: frameKinds.sealed, offset: 2_000_000 });
  t.match(await stream.frame(), { kind: frameKinds.draining });
});

await t.test('a stream opens in the first request of a connection alone', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const { hostname, port } = new URL(server.url);
  for (const before of [
    'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n',
    'POST /write?category=logs HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na\n',
  ]) {
    const socket = connect({ port: Number(port), host: hostname });
    let heard = '';
    socket.on('data', (piece) => {
      heard += piece;
    });
    socket.write(
      `${before}GET ${produce} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: chukcha/1\r\n\r\n`,
    );
    await until(() => heard.includes('upgrade_required'));
    t.match(heard, /^HTTP\/1\.1 200 .*HTTP\/1\.1 426 /s);
    socket.destroy();
  }
  await server.close();
});

await t.test('an acknowledgement that is refused makes no category', async (t) => {
  const server = await startServer({ directory: t.testdir() });
  const stream = new RawStream(t, server, '/consume?category=made-up');
  stream.send(encodeFrame(frameKinds.ack, { name: first, number: 1, offset: 2 }));
  const refused = await stream.frame();
  t.match(refused, { kind: frameKinds.refused, flags: 0, number: 1 });
  t.match(JSON.parse(refused?.payload ?? ''), { error: { code: 'chunk_not_found' } });
  t.equal(server.store.openCategory('made-up'), undefined);
  t.same(await readdir(`${server.directory}/.chukcha`), ['ballast'], 'nor anything on the disk');
  await server.close();
});

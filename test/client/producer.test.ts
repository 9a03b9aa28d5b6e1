import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Client, Consumer, Producer, type ProducerOptions } from '../../src/index.js';
import { errorCode } from '../../src/protocol/chukcha-error.js';
import { FakeClock } from '../support/fake-clock.js';
import { testDirectory } from '../support/test-directory.js';
import { listenAddress, startTestNode } from '../support/test-node.js';
import { call } from '../support/test-server.js';

type AnswerWrite = (body: string, response: ServerResponse, request: IncomingMessage) => unknown;

/** A stand-in for a node that answers writes as the test says. */
class WriteRecorder {
  readonly bodies: string[] = [];
  /** The stamps of the bodies, as `producer/sequence`. */
  readonly stamps: string[] = [];
  readonly #server: Server;
  readonly #answer: AnswerWrite;

  constructor(answer: AnswerWrite) {
    this.#answer = answer;
    this.#server = createServer((request, response) => void this.#handle(request, response));
  }

  async listen(t: Test): Promise<Client> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const client = new Client({
      server: `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`,
    });
    t.teardown(() => {
      client.close();
      this.#server.close();
      this.#server.closeAllConnections();
    });
    return client;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const piece of request) body += String(piece);
    this.bodies.push(body);
    const { 'chukcha-producer': producer, 'chukcha-sequence': sequence } = request.headers;
    this.stamps.push(`${String(producer)}/${String(sequence)}`);
    await this.#answer(body, response, request);
  }
}

function accept(response: ServerResponse): void {
  response.end('{"chunk":"node1-chunk000000000","offset":0,"size":1,"duplicate":false}');
}

function refuse(
  response: ServerResponse,
  status: number,
  code: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response
    .writeHead(status, headers)
    .end(JSON.stringify({ error: { code, message: 'Refused by the test.' } }));
}

function produce(client: Client, options: Partial<ProducerOptions> = {}): Producer {
  return new Producer(client, { category: 'logs', lingerMs: 0, ...options });
}

t.test('what is sent during a write becomes the next batch, in order', async (t) => {
  const held: ServerResponse[] = [];
  let onRequest: () => void = () => undefined;
  const recorder = new WriteRecorder((_body, response) => {
    held.push(response);
    onRequest();
  });
  const producer = produce(await recorder.listen(t));
  const first = new Promise<void>((resolve) => {
    onRequest = resolve;
  });
  const sends = [producer.send(Buffer.from('one\n'))];
  await first;
  for (const line of ['two\n', 'three\n', 'four\n']) sends.push(producer.send(Buffer.from(line)));
  const second = new Promise<void>((resolve) => {
    onRequest = resolve;
  });
  accept(held[0] as ServerResponse);
  await second;
  accept(held[1] as ServerResponse);
  await Promise.all(sends);
  t.same(recorder.bodies, ['one\n', 'two\nthree\nfour\n']);
});

t.test('a small batch waits for company, a large one and a flush do not', async (t) => {
  const recorder = new WriteRecorder((_body, response) => accept(response));
  const client = await recorder.listen(t);
  const lingering = produce(client, { lingerMs: 60_000, batchBytesMin: 10 });
  const small = lingering.send(Buffer.from('a\n'));
  await lingering.send(Buffer.from('bbbbbbbbbbbb\n'));
  await small;
  const flushed = lingering.send(Buffer.from('c\n'));
  await lingering.flush();
  await flushed;
  t.same(recorder.bodies, ['a\nbbbbbbbbbbbb\n', 'c\n']);
});

t.test('ready holds the sender while too much is under way', async (t) => {
  let held: ServerResponse | undefined;
  const recorder = new WriteRecorder((_body, response) => {
    if (held === undefined) held = response;
    else accept(response);
  });
  const producer = produce(await recorder.listen(t), { inFlightBytesMax: 8 });
  const first = producer.send(Buffer.from('1234567\n'));
  let ready = false;
  const waiting = producer.ready().then(() => {
    ready = true;
  });
  while (held === undefined) await new Promise((resolve) => setImmediate(resolve));
  t.equal(ready, false, 'eight bytes are under way');
  accept(held);
  await first;
  await waiting;
  t.equal(ready, true);
});

t.test(
  'a refusal that passes is tried again as the same bytes, one that does not is thrown',
  async (t) => {
    let count = 0;
    const recorder = new WriteRecorder((body, response) => {
      count += 1;
      if (body === 'bad\n') refuse(response, 400, 'invalid_request');
      else if (count < 3) refuse(response, 503, 'draining');
      else accept(response);
    });
    const retried: string[] = [];
    const producer = produce(await recorder.listen(t), {
      onRetry: (error) => retried.push(String(errorCode(error))),
    });
    await producer.send(Buffer.from('good\n'));
    t.same(recorder.bodies, ['good\n', 'good\n', 'good\n']);
    t.same(retried, ['draining', 'draining']);
    await t.rejects(producer.send(Buffer.from('bad\n')), { code: 'invalid_request' });
    await producer.send(Buffer.from('after\n'));
    await producer.close();
    await t.rejects(producer.send(Buffer.from('late\n')), { code: 'aborted' });
  },
);

t.test(
  'a batch keeps its stamp when it is sent again, and the next one has the next',
  async (t) => {
    let count = 0;
    const recorder = new WriteRecorder((body, response) => {
      count += 1;
      if (count === 1) response.destroy();
      else if (count === 2) refuse(response, 503, 'draining', { 'Retry-After': '0' });
      else if (body === 'bad\n') refuse(response, 400, 'invalid_request');
      else if (count === 3) response.end('{"chunk":null,"offset":null,"size":4,"duplicate":true}');
      else accept(response);
    });
    const client = await recorder.listen(t);
    const first = produce(client);
    await first.send(Buffer.from('one\n'));
    await first.send(Buffer.from('two\n'));
    await t.rejects(first.send(Buffer.from('bad\n')), { code: 'invalid_request' });
    await first.send(Buffer.from('four\n'));
    const [stamp = ''] = recorder.stamps;
    const id = stamp.slice(0, stamp.indexOf('/'));
    t.match(id, /^[0-9a-f]{16}$/);
    t.same(recorder.bodies.slice(0, 3), ['one\n', 'one\n', 'one\n']);
    const sequences = [0, 0, 0, 1, 2, 3];
    t.same(
      recorder.stamps,
      sequences.map((sequence) => `${id}/${sequence}`),
    );
    await produce(client).send(Buffer.from('other\n'));
    t.not(recorder.stamps.at(-1)?.startsWith(id), true, 'another producer has another id');
    const firstStamp = { producer: 'web-1', sequence: 41 };
    const named = produce(client, { firstStamp });
    await named.send(Buffer.from('a\n'));
    await named.send(Buffer.from('b\n'));
    t.same(recorder.stamps.slice(-2), ['web-1/41', 'web-1/42']);
  },
);

t.test(
  'a batch whose answer was lost is stored once, also over a restart of the node',
  async (t) => {
    const data = join(testDirectory(t), 'data');
    let node = await startTestNode(data);
    const direct = new Client({ server: node.url });
    let count = 0;
    // Stands in front of the node; the first answer is lost on its way, and the node is started again.
    const recorder = new WriteRecorder(async (body, response, { url = '', headers }) => {
      count += 1;
      const answer = await call(node.url, url, {
        body,
        headers: {
          'chukcha-producer': String(headers['chukcha-producer']),
          'chukcha-sequence': String(headers['chukcha-sequence']),
        },
      });
      if (count > 1) {
        response.writeHead(answer.status).end(answer.body);
        return;
      }
      const listen = listenAddress(node);
      await node.close();
      node = await startTestNode(data, { listen });
      response.destroy();
    });
    const producer = produce(await recorder.listen(t));
    await producer.send(Buffer.from('one\n'));
    await producer.send(Buffer.from('two\n'));
    t.same(recorder.bodies, ['one\n', 'one\n', 'two\n']);
    let text = '';
    for await (const batch of new Consumer(direct, { category: 'logs', untilEnd: true })) {
      text += batch.bytes.toString();
      batch.ack();
    }
    t.equal(text, 'one\ntwo\n');
    direct.close();
    await node.close();
  },
);

t.test('a node that asks for time is given it', async (t) => {
  const clock = new FakeClock();
  let count = 0;
  const recorder = new WriteRecorder((_body, response) => {
    count += 1;
    if (count > 1) accept(response);
    else refuse(response, 503, 'draining', { 'Retry-After': '7' });
  });
  const delays: number[] = [];
  const producer = produce(await recorder.listen(t), {
    clock,
    onRetry: (_error, delayMs) => {
      delays.push(delayMs);
      setImmediate(() => clock.advance(delayMs));
    },
  });
  await producer.send(Buffer.from('one\n'));
  t.equal(delays.length, 1);
  t.ok((delays[0] ?? 0) > 7_000 && (delays[0] ?? 0) < 7_100, String(delays[0]));
});

t.test('a batch is given up after its time, or when the producer is aborted', async (t) => {
  const recorder = new WriteRecorder((_body, response) => refuse(response, 507, 'disk_full'));
  const client = await recorder.listen(t);
  await t.rejects(produce(client, { giveUpAfterMs: 0 }).send(Buffer.from('one\n')), {
    code: 'disk_full',
  });
  const producer = produce(client);
  const sent = producer.send(Buffer.from('two\n'));
  producer.abort();
  await t.rejects(sent, { code: 'aborted' });
  await producer.close();
});

t.test('what is no whole message, or too much at once, is refused before it is sent', async (t) => {
  const recorder = new WriteRecorder((_body, response) => accept(response));
  const producer = produce(await recorder.listen(t), { batchBytesMax: 100 });
  await t.rejects(producer.send(Buffer.from('torn')), { code: 'batch_unterminated' });
  await t.rejects(producer.send(Buffer.alloc(0)), { code: 'batch_empty' });
  await t.rejects(producer.send(Buffer.from(`${'x'.repeat(100)}\n`)), { code: 'batch_too_large' });
  t.same(recorder.bodies, []);
});

t.test('an answer of something that is no node is told as such', async (t) => {
  const recorder = new WriteRecorder((_body, response) =>
    response.writeHead(404).end('<html>not here</html>'),
  );
  await t.rejects(produce(await recorder.listen(t)).send(Buffer.from('one\n')), {
    code: 'invalid_response',
  });
});

t.test('a connection that breaks in the middle of an answer is tried again', async (t) => {
  let count = 0;
  const recorder = new WriteRecorder((_body, response) => {
    count += 1;
    if (count > 1) accept(response);
    else {
      response.writeHead(200, { 'Content-Length': 1000 });
      response.write('{"chunk"');
      setImmediate(() => response.destroy());
    }
  });
  await produce(await recorder.listen(t)).send(Buffer.from('one\n'));
  t.same(recorder.bodies, ['one\n', 'one\n']);
});

t.test(
  'sending goes on over a restart of the node, and every line is there afterwards',
  async (t) => {
    const directory = testDirectory(t);
    let node = await startTestNode(join(directory, 'data'));
    const client = new Client({ server: node.url });
    const producer = produce(client);
    const sends: Promise<void>[] = [];
    const lines = Array.from({ length: 300 }, (_, index) => `line ${index}\n`);
    for (const [index, line] of lines.entries()) {
      if (index === 100) {
        const listen = listenAddress(node);
        await node.close();
        sends.push(producer.send(Buffer.from(line)));
        node = await startTestNode(join(directory, 'data'), { listen });
      } else sends.push(producer.send(Buffer.from(line)));
      if (index % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(sends);
    let text = '';
    for await (const batch of new Consumer(client, { category: 'logs', untilEnd: true })) {
      text += batch.bytes.toString();
      batch.ack();
    }
    t.equal(text, lines.join(''));
    await producer.close();
    client.close();
    await node.close();
  },
);

t.test('with failFast nothing is sent behind a batch that failed', async (t) => {
  const recorder = new WriteRecorder((body, response) => {
    if (body.startsWith('bad')) refuse(response, 400, 'invalid_request');
    else accept(response);
  });
  const producer = produce(await recorder.listen(t), { failFast: true, batchBytesMax: 6 });
  const sends = ['good\n', 'bad\n', 'after\n'].map((line) => producer.send(Buffer.from(line)));
  await sends[0];
  for (const send of sends.slice(1)) await t.rejects(send, { code: 'invalid_request' });
  await t.rejects(producer.send(Buffer.from('late\n')), { code: 'invalid_request' });
  t.same(recorder.bodies, ['good\n', 'bad\n']);
});

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Client, Consumer, type ErrorCode, Producer } from '../../src/index.js';
import { errorCode } from '../../src/protocol/chukcha-error.js';
import { FakeClock } from '../support/fake-clock.js';
import { sendError } from '../support/fake-replica.js';
import { testDirectory } from '../support/test-directory.js';
import { startTestNode } from '../support/test-node.js';

type Answer = (response: ServerResponse, request: IncomingMessage, body: string) => void;

interface Stub {
  readonly url: string;
  /** The calls that came: `POST /write?category=logs`. */
  readonly calls: string[];
}

/** A stand-in for a node that answers every call as the test says. */
async function startStub(t: Test, answer: Answer): Promise<Stub> {
  const calls: string[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const piece of request) body += String(piece);
    calls.push(`${request.method} ${request.url}`);
    answer(response, request, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls };
}

const names: Answer = (response) => response.end('["logs"]');
const accept: Answer = (response) =>
  response.end('{"chunk":"node1-chunk000000000","offset":0,"size":1,"duplicate":false}');
const refuse =
  (code: ErrorCode): Answer =>
  (response) =>
    sendError(response, code);

/** A client that begins with the first of the nodes. */
function clientOf(t: Test, nodes: readonly { readonly url: string }[], timeoutMs = 30_000): Client {
  const random = { fraction: () => 0, hex: () => '' };
  const client = new Client({ server: nodes.map(({ url }) => url), random, timeoutMs });
  t.teardown(() => client.close());
  return client;
}

t.test('addresses come as a list or with commas, and what is none is refused', (t) => {
  const servers = ['http://a:8080', 'http://b:8080'];
  t.same(new Client({ server: 'http://a:8080, http://b:8080/' }).servers, servers);
  t.same(new Client({ server: [...servers, 'http://a:8080'] }).servers, servers, 'each once');
  t.same(new Client().servers, ['http://127.0.0.1:8080']);
  for (const server of ['http://a:8080,', 'http://a:8080,b:8080', '', []]) {
    t.throws(() => new Client({ server }), { code: 'invalid_option' }, String(server));
  }
  t.end();
});

t.test('clients begin at random nodes, and each keeps to its own', async (t) => {
  const nodes = await Promise.all([startStub(t, names), startStub(t, names), startStub(t, names)]);
  for (const [index, fraction] of [0, 0.34, 0.99].entries()) {
    const random = { fraction: () => fraction, hex: () => '' };
    const client = new Client({ server: nodes.map(({ url }) => url), random });
    for (let count = 0; count < 3; count += 1) await client.listCategories();
    t.equal(client.server, nodes[index]?.url);
    client.close();
  }
  t.same(
    nodes.map(({ calls }) => calls.length),
    [3, 3, 3],
  );
});

t.test('a failed call is one try, and the next call goes to another node', async (t) => {
  const [first, second, third] = await Promise.all([
    startStub(t, (response) => response.destroy()),
    startStub(t, refuse('draining')),
    startStub(t, names),
  ]);
  const client = clientOf(t, [first, second, third]);
  await t.rejects(client.listCategories(), {
    code: 'server_unreachable',
    fields: { server: first.url },
  });
  t.equal(client.server, second.url);
  await t.rejects(client.listCategories(), { code: 'draining', fields: { server: second.url } });
  t.same(await client.listCategories(), ['logs']);
  t.equal(client.server, third.url);
  client.moveOn(third.url, new Error('it lacks something'));
  t.equal(client.server, first.url, 'the one that has not failed for the longest time');
  client.moveOn(third.url, new Error('it is left already'));
  t.equal(client.server, first.url);
});

t.test('only what another node may do better makes a client go on', async (t) => {
  const moving: ErrorCode[] = [
    'draining',
    'storage_failed',
    'disk_full',
    'too_few_replicas',
    'not_replicated',
    'internal',
  ];
  const staying: ErrorCode[] = [
    'too_many_bytes',
    'invalid_request',
    'chunk_not_found',
    'chunk_open',
    'offset_out_of_range',
  ];
  for (const code of [...moving, ...staying]) {
    const nodes = [await startStub(t, refuse(code)), await startStub(t, names)];
    const client = clientOf(t, nodes);
    await t.rejects(client.listCategories(), { code });
    t.equal(client.server !== nodes[0]?.url, moving.includes(code), code);
    const alone = clientOf(t, nodes.slice(0, 1));
    await t.rejects(alone.listCategories(), { code });
    t.equal(alone.server, nodes[0]?.url, 'a lone node is never left');
  }
});

t.test('a node that is silent is left, and the calls that it holds end then', async (t) => {
  const silent = await startStub(t, () => undefined);
  const other = await startStub(t, names);
  const client = clientOf(t, [silent, other], 100);
  // Alone it would be held for another 25 s.
  const held = client.listChunks('logs', { version: 'x', waitMs: 25_000 });
  await Promise.all([
    t.rejects(client.listCategories(), { code: 'timeout' }),
    t.rejects(held, { code: 'server_unreachable', fields: { server: silent.url } }),
  ]);
  t.equal(client.server, other.url);
});

t.test('a call may name its node, which does not become the current one', async (t) => {
  const nodes = [await startStub(t, names), await startStub(t, refuse('draining'))] as const;
  const client = clientOf(t, nodes);
  await t.rejects(client.listCategories({ server: nodes[1].url }), { code: 'draining' });
  t.equal(client.server, nodes[0].url);
  t.equal(nodes[0].calls.length, 0);
  await t.rejects(client.listCategories({ server: 'http://elsewhere:1' }), RangeError);
});

t.test('a producer asks every node once before it waits', async (t) => {
  const nodes = await Promise.all([
    startStub(t, (response) => response.destroy()),
    startStub(t, refuse('disk_full')),
    startStub(t, accept),
  ]);
  const retried: unknown[] = [];
  const producer = new Producer(clientOf(t, nodes), {
    category: 'logs',
    lingerMs: 0,
    // It stands still: a delay would last for ever.
    clock: new FakeClock(),
    onRetry: (error, delayMs) => retried.push([errorCode(error), delayMs]),
  });
  await producer.send(Buffer.from('one\n'));
  await producer.send(Buffer.from('two\n'));
  t.same(retried, [
    ['server_unreachable', 0],
    ['disk_full', 0],
  ]);
  t.same(
    nodes.map(({ calls }) => calls.length),
    [1, 1, 2],
    'the second batch goes to the node that took the first',
  );
});

t.test('a producer waits between two rounds over the nodes', async (t) => {
  let isBack = false;
  const answer: Answer = (response, request, body) =>
    (isBack ? accept : refuse('storage_failed'))(response, request, body);
  const nodes = await Promise.all([startStub(t, answer), startStub(t, answer)]);
  const clock = new FakeClock();
  const delays: number[] = [];
  const producer = new Producer(clientOf(t, nodes), {
    category: 'logs',
    lingerMs: 0,
    clock,
    onRetry: (_error, delayMs) => {
      delays.push(delayMs);
      isBack = delays.length === 4;
      if (delayMs > 0) setImmediate(() => clock.advance(delayMs));
    },
  });
  await producer.send(Buffer.from('one\n'));
  t.same(
    delays.map((delayMs) => delayMs > 0),
    [false, true, false, true],
  );
  isBack = false;
  const impatient = new Producer(clientOf(t, nodes), {
    category: 'logs',
    lingerMs: 0,
    giveUpAfterMs: 0,
  });
  const before = nodes.map(({ calls }) => calls.length);
  await t.rejects(impatient.send(Buffer.from('two\n')), { code: 'storage_failed' });
  t.same(
    nodes.map(({ calls }, index) => calls.length - (before[index] ?? 0)),
    [1, 1],
    'each node was asked once',
  );
});

t.test('a batch that may be stored goes to the next node as the same batch', async (t) => {
  // As replicas do: what one has stored under a stamp is known to the other.
  const stored = new Map<string, string>();
  const store = (request: IncomingMessage, body: string): boolean => {
    const { 'chukcha-producer': producer, 'chukcha-sequence': sequence } = request.headers;
    const stamp = `${String(producer)}/${String(sequence)}`;
    const isDuplicate = stored.has(stamp);
    if (isDuplicate) t.equal(stored.get(stamp), body);
    stored.set(stamp, body);
    return isDuplicate;
  };
  const faults = ['not_replicated', 'broken'];
  const nodes = await Promise.all(
    [0, 1].map(() =>
      startStub(t, (response, request, body) => {
        const duplicate = store(request, body);
        const fault = duplicate ? undefined : faults.shift();
        if (fault === 'broken') response.destroy();
        else if (fault !== undefined) sendError(response, 'not_replicated');
        else response.end(JSON.stringify({ chunk: null, offset: null, size: 1, duplicate }));
      }),
    ),
  );
  const producer = new Producer(clientOf(t, nodes), {
    category: 'logs',
    lingerMs: 0,
    minSyncReplicas: 1,
    clock: new FakeClock(),
  });
  for (const line of ['one\n', 'two\n', 'three\n']) await producer.send(Buffer.from(line));
  t.same([...stored.values()], ['one\n', 'two\n', 'three\n']);
  const write = 'POST /write?category=logs&min_sync_replicas=1';
  t.same(
    nodes.map(({ calls }) => calls),
    [
      [write, write, write],
      [write, write],
    ],
    'one, two again and three here; one again and two there',
  );
});

t.test(
  'a producer whose node stops goes on at the next one, and stores each line once',
  async (t) => {
    const directory = testDirectory(t);
    const nodes = await Promise.all(
      [1, 2, 3].map((number) =>
        startTestNode(join(directory, `data${number}`), { name: `node${number}` }),
      ),
    );
    const client = clientOf(t, nodes);
    const producer = new Producer(client, { category: 'logs', lingerMs: 0 });
    const lines = Array.from({ length: 300 }, (_, index) => `line ${index}\n`);
    const sends: Promise<void>[] = [];
    let stopped: Promise<void> | undefined;
    for (const [index, line] of lines.entries()) {
      sends.push(producer.send(Buffer.from(line)));
      if (index === 100) stopped = nodes[0]?.close();
      if (index % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all([...sends, stopped]);
    t.equal(client.server, nodes[1]?.url);
    const found: string[] = [];
    nodes[0] = await startTestNode(join(directory, 'data1'));
    for (const { url } of nodes) {
      const reader = new Client({ server: url });
      for await (const batch of new Consumer(reader, { category: 'logs', untilEnd: true })) {
        found.push(...batch.bytes.toString().split(/(?<=\n)/));
        batch.ack();
      }
      reader.close();
    }
    t.same(found, lines, 'in order, because one batch is under way at a time');
    await Promise.all(nodes.map((node) => node.close()));
  },
);

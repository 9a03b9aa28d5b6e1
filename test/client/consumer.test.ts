import { readdirSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  Client,
  Consumer,
  type ConsumerOptions,
  type ListedChunk,
  type Position,
} from '../../src/index.js';
import type { RunningNode } from '../../src/node/start-node.js';
import { errorCode } from '../../src/protocol/chukcha-error.js';
import { testDirectory } from '../support/test-directory.js';
import { listenAddress, startTestNode } from '../support/test-node.js';

interface Bed {
  readonly node: RunningNode;
  readonly client: Client;
  readonly data: string;
}

async function startBed(t: Test, options: Record<string, unknown> = {}): Promise<Bed> {
  const data = join(testDirectory(t), 'data');
  const node = await startTestNode(data, options);
  const client = new Client({ server: node.url });
  t.teardown(async () => {
    client.close();
    await node.close();
  });
  return { node, client, data };
}

function write(client: Client, text: string): Promise<unknown> {
  return client.write('logs', [Buffer.from(text)]);
}

/** Reads to the end and acknowledges everything. */
async function readAll(
  client: Client,
  options: Partial<ConsumerOptions> = {},
): Promise<{ text: string; position: Position | undefined; batchCount: number }> {
  const consumer = new Consumer(client, { category: 'logs', untilEnd: true, ...options });
  let text = '';
  let batchCount = 0;
  for await (const batch of consumer) {
    text += batch.bytes.toString();
    batchCount += 1;
    batch.ack();
  }
  return { text, position: consumer.position(), batchCount };
}

function chunkFiles(data: string): string[] {
  return readdirSync(join(data, 'logs')).sort();
}

t.test(
  'messages come in order over many chunks, and sealed chunks are freed when they are processed',
  async (t) => {
    const { client, data } = await startBed(t, { 'max-chunk-size': 100 });
    const lines = Array.from({ length: 200 }, (_, index) => `message number ${index}\n`);
    for (const line of lines) await write(client, line);
    t.ok(chunkFiles(data).length > 10);
    const { text, position, batchCount } = await readAll(client);
    t.equal(text, lines.join(''));
    t.ok(batchCount > 10);
    t.equal(chunkFiles(data).length, 1, 'only the open chunk is left');
    await write(client, 'one more\n');
    const later = await readAll(client, position === undefined ? {} : { position });
    t.equal(later.text, 'one more\n', 'a later consumer goes on at the position');
  },
);

t.test('a batch that is not acknowledged comes again, and keeps its chunk', async (t) => {
  const { client, data } = await startBed(t, { 'max-chunk-size': 1 });
  for (const line of ['a\n', 'b\n', 'c\n']) await write(client, line);
  const consumer = new Consumer(client, { category: 'logs', untilEnd: true });
  for await (const batch of consumer) {
    if (batch.bytes.toString() !== 'b\n') batch.ack();
  }
  const position = consumer.position();
  t.same(position?.owners['node1'], { index: 0, offset: 2 }, 'the position stays in front of it');
  t.equal(chunkFiles(data).length, 2, 'b and the open c are there');
  const again = await readAll(client, position === undefined ? {} : { position });
  t.equal(again.text, 'b\nc\n');
});

t.test('every group gets every message, and only then are chunks freed', async (t) => {
  const { client, data } = await startBed(t, { 'max-chunk-size': 1 });
  await client.registerGroup('logs', 'slow');
  for (const line of ['a\n', 'b\n', 'c\n']) await write(client, line);
  t.equal((await readAll(client, { group: 'fast' })).text, 'a\nb\nc\n');
  t.equal(chunkFiles(data).length, 3);
  t.equal((await readAll(client, { group: 'slow' })).text, 'a\nb\nc\n');
  t.equal(chunkFiles(data).length, 1);
});

t.test('an observer reads what is there, registers nothing and frees nothing', async (t) => {
  const { client, data } = await startBed(t, { 'max-chunk-size': 1 });
  for (const line of ['a\n', 'b\n']) await write(client, line);
  t.equal((await readAll(client, { group: 'watch', acknowledge: false })).text, 'a\nb\n');
  t.equal((await readAll(client)).text, 'a\nb\n');
  t.equal(chunkFiles(data).length, 1, 'the observer does not hold the chunk');
});

t.test('a message that is larger than a batch may be comes whole', async (t) => {
  const { client } = await startBed(t);
  const long = `${'x'.repeat(300_000)}\n`;
  await write(client, `short\n${long}short\n`);
  const { text, batchCount } = await readAll(client, { batchBytesMax: 1000 });
  t.equal(text, `short\n${long}short\n`);
  t.equal(batchCount, 3);
});

t.test(
  'a consumer that waits is given new messages, also in a category that did not exist',
  async (t) => {
    const { client } = await startBed(t, { 'max-chunk-size': 40 });
    const consumer = new Consumer(client, { category: 'logs' });
    const batches = consumer[Symbol.asyncIterator]();
    let expected = '';
    let text = '';
    for (let index = 0; index < 30; index += 1) {
      const line = `line ${index}\n`;
      expected += line;
      const next = text.length < expected.length - line.length ? undefined : batches.next();
      await write(client, line);
      for (let pending = next; text.length < expected.length; pending = undefined) {
        const { value } = await (pending ?? batches.next());
        if (value === undefined) break;
        text += value.bytes.toString();
        value.ack();
      }
    }
    t.equal(text, expected);
    await batches.return(undefined);
  },
);

t.test('following goes on over a restart of the node', async (t) => {
  const data = join(testDirectory(t), 'data');
  let node = await startTestNode(data);
  const listen = listenAddress(node);
  const client = new Client({ server: node.url });
  const retried: string[] = [];
  const consumer = new Consumer(client, {
    category: 'logs',
    onRetry: (error) => retried.push(String(errorCode(error))),
  });
  const batches = consumer[Symbol.asyncIterator]();
  const read = async (): Promise<string> => {
    const { value } = await batches.next();
    value?.ack();
    return value?.bytes.toString() ?? '';
  };
  await write(client, 'before\n');
  t.equal(await read(), 'before\n');
  const next = read();
  await node.close();
  node = await startTestNode(data, { listen });
  await write(client, 'after\n');
  t.equal(await next, 'after\n');
  await consumer.close();
  client.close();
  await node.close();
});

t.test('many small chunks come in order, each read to its end', async (t) => {
  const warnings: string[] = [];
  const note = (warning: Error): void => void warnings.push(warning.message);
  process.on('warning', note);
  t.teardown(() => process.off('warning', note));
  const { client, data } = await startBed(t, { 'max-chunk-size': 200 });
  const lines: string[] = [];
  for (let index = 0; index < 400; index += 1) {
    // Of some sizes, so that some chunks fit into a batch together and others do not.
    lines.push(`${index} ${'x'.repeat((index * 37) % 300)}\n`);
    await write(client, lines.at(-1) ?? '');
  }
  t.ok(chunkFiles(data).length > 50);
  for (const batchBytesMax of [100, 1_000, 100_000]) {
    const { text } = await readAll(client, { batchBytesMax, acknowledge: false });
    t.equal(text, lines.join(''), `batches of ${batchBytesMax}`);
  }
  t.equal((await readAll(client)).text, lines.join(''));
  t.equal(chunkFiles(data).length, 1);
  t.same(warnings, []);
});

t.test('untilEnd ends although more is written all the time', async (t) => {
  const { client } = await startBed(t, { 'max-chunk-size': 1000 });
  for (let index = 0; index < 50; index += 1) await write(client, `old ${index}\n`);
  let writing = true;
  const writer = (async () => {
    while (writing) await write(client, 'new\n');
  })();
  const { text } = await readAll(client, { batchBytesMax: 64 });
  writing = false;
  await writer;
  t.match(text, /^old 0\n/);
  t.ok(text.includes('old 49\n'));
});

t.test('a position of other data is refused, not used', async (t) => {
  const { client, data } = await startBed(t, { 'max-chunk-size': 1 });
  for (const line of ['a\n', 'b\n']) await write(client, line);
  const position: Position = { cluster: 'another', owners: { node1: { index: 5, offset: 0 } } };
  await t.rejects(readAll(client, { position }), { code: 'cluster_changed' });
  t.equal(chunkFiles(data).length, 2, 'nothing was acknowledged');
});

t.test(
  'chunks that were processed before a crash of the consumer are acknowledged by the next one',
  async (t) => {
    const { client, data } = await startBed(t, { 'max-chunk-size': 1 });
    for (const line of ['a\n', 'b\n', 'c\n']) await write(client, line);
    const { cluster } = await client.listChunks('logs');
    const position: Position = { cluster, owners: { node1: { index: 1, offset: 2 } } };
    t.equal((await readAll(client, { position })).text, 'c\n');
    t.equal(chunkFiles(data).length, 1);
  },
);

t.test('a chunk that another consumer of the group has acknowledged is passed over', async (t) => {
  const { client } = await startBed(t, { 'max-chunk-size': 1 });
  for (const line of ['a\n', 'b\n', 'c\n']) await write(client, line);
  const slow = new Consumer(client, { category: 'logs', untilEnd: true });
  const batches = slow[Symbol.asyncIterator]();
  const first = await batches.next();
  t.equal(first.value?.bytes.toString(), 'a\n');
  await readAll(client);
  const rest: string[] = [];
  for (let next = await batches.next(); next.done !== true; next = await batches.next()) {
    rest.push(next.value.bytes.toString());
  }
  t.ok(rest.length <= 2, `it ends, after ${rest.length} more`);
});

t.test('a consumer gives up when the node is away for too long', async (t) => {
  const client = new Client({ server: 'http://127.0.0.1:1' });
  await t.rejects(readAll(client, { giveUpAfterMs: 0 }), { code: 'server_unreachable' });
  const closed = new Consumer(client, { category: 'logs' });
  const ended = closed[Symbol.asyncIterator]().next();
  await closed.close();
  t.same(await ended, { done: true, value: undefined }, 'closing ends a consumer that is trying');
});

t.test('every call tells what the node answered', async (t) => {
  const { client, node } = await startBed(t);
  t.match(await client.live(), { node: node.name, batchBytesMax: 4 * 1024 * 1024 });
  t.same(await client.listCategories(), []);
  await write(client, 'a\n');
  t.same(await client.listCategories(), ['logs']);
  await t.rejects(client.ack('logs', 'node1-chunk000000000', 2), { code: 'chunk_open' });
  await t.rejects(client.ack('logs', 'node1-chunk000000009', 2), { code: 'chunk_not_found' });
  await t.rejects(client.read('logs', { chunk: 'nonsense', offset: 0, byteCountMax: 1 }), {
    code: 'invalid_name',
  });
  await t.rejects(
    client.read('logs', { chunk: 'node1-chunk000000000', offset: 9, byteCountMax: 1 }),
    {
      code: 'offset_out_of_range',
    },
  );
  await t.rejects(client.write('a/b', [Buffer.from('a\n')]), { code: 'invalid_name' });
  const receipt = await client.write('logs', [Buffer.from('b\n'), Buffer.from('c\n')], {
    sync: true,
  });
  t.same(receipt, { chunk: 'node1-chunk000000000', offset: 2, size: 4, duplicate: false });
  const group = { category: 'logs', group: 'late', from: 'latest', created: true };
  t.match(await client.registerGroup('logs', 'late', { from: 'latest' }), {
    ...group,
    freedChunks: 1,
    freedBytes: 6,
  });
  t.same(await client.groups('logs'), [{ group: 'late', chunks: 0, bytes: 0 }]);
  t.same(await client.groups('nothing'), []);
  t.same(await client.seal('logs'), { category: 'logs', chunk: null, size: null });
  t.match(await client.status(), { node: node.name, categories: [{ name: 'logs', bytes: 0 }] });
  t.match(await client.removeGroup('logs', 'late'), { removed: true, freedChunks: 0 });
  t.throws(() => new Client({ server: 'ftp://x' }), { code: 'invalid_option' });
});

const first = 'node1-chunk000000000';
const second = 'node1-chunk000000001';

/** A stand-in for a node of which the test says what it lists, and how it answers reads. */
async function startScript(
  t: Test,
  script: {
    readonly list: () => readonly ListedChunk[];
    readonly read: (query: URLSearchParams, response: ServerResponse) => void;
    readonly ack?: (query: URLSearchParams) => void;
  },
): Promise<Client> {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://node');
    if (pathname === '/read') script.read(searchParams, response);
    else if (pathname === '/listChunks') {
      const headers = { 'chukcha-list-version': 'x.1', 'chukcha-cluster-id': 'x' };
      response.writeHead(200, headers).end(JSON.stringify(script.list()));
    } else {
      if (pathname === '/ack') script.ack?.(searchParams);
      response.end('{}');
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = new Client({
    server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  });
  t.teardown(() => {
    client.close();
    server.close();
    server.closeAllConnections();
  });
  return client;
}

function sendMessages(
  response: ServerResponse,
  text: string,
  place: { readonly state: string; readonly size: number; readonly next: number },
): void {
  response.writeHead(200, {
    'chukcha-chunk-state': place.state,
    'chukcha-chunk-size': place.size,
    'chukcha-next-offset': place.next,
    'content-length': text.length,
  });
  response.end(text);
}

function sendError(response: ServerResponse, status: number, code: string): void {
  const body = JSON.stringify({ error: { code, message: 'Refused by the test.' } });
  response.writeHead(status, { 'content-length': body.length }).end(body);
}

t.test(
  'a read that fails for good is not tried again while an earlier batch is processed',
  async (t) => {
    let readCount = 0;
    const client = await startScript(t, {
      list: () => [{ name: first, complete: false, size: 4 }],
      read: (_query, response) => {
        readCount += 1;
        if (readCount > 1) sendError(response, 400, 'invalid_request');
        else sendMessages(response, 'a\n', { state: 'open', size: 4, next: 2 });
      },
    });
    const batches = new Consumer(client, { category: 'logs', untilEnd: true })[
      Symbol.asyncIterator
    ]();
    t.equal((await batches.next()).value?.bytes.toString(), 'a\n');
    while (readCount < 2) await new Promise((resolve) => setImmediate(resolve));
    for (let turn = 0; turn < 200; turn += 1) await client.listCategories().catch(() => undefined);
    t.equal(readCount, 2);
    await t.rejects(batches.next(), { code: 'invalid_request' });
  },
);

t.test(
  'a chunk whose end was lost after it was read is passed over and acknowledged',
  async (t) => {
    // What a power failure does: the open chunk comes back shorter, sealed, and a new one follows it.
    let isBack = false;
    const acks: string[] = [];
    const client = await startScript(t, {
      list: () =>
        isBack
          ? [
              ...(acks.length === 0 ? [{ name: first, complete: true, size: 5 }] : []),
              { name: second, complete: false, size: 6 },
            ]
          : [{ name: first, complete: false, size: 10 }],
      read: (query, response) => {
        if (query.get('chunk') === second) {
          if (query.get('off') !== '0') return;
          sendMessages(response, 'after\n', { state: 'open', size: 6, next: 6 });
        } else if (query.get('off') === '0') {
          sendMessages(response, 'kept\nlost\n', { state: 'open', size: 10, next: 10 });
        } else {
          isBack = true;
          sendError(response, 416, 'offset_out_of_range');
        }
      },
      ack: (query) => acks.push(`${query.get('chunk')} ${query.get('size')}`),
    });
    const batches = new Consumer(client, { category: 'logs' })[Symbol.asyncIterator]();
    for (const expected of ['kept\nlost\n', 'after\n']) {
      const { value } = await batches.next();
      t.equal(value?.bytes.toString(), expected);
      value?.ack();
    }
    await batches.return(undefined);
    t.same(acks, [`${first} 5`]);
  },
);

t.test('an offset that no chunk ever had is not taken for the end of one', async (t) => {
  const { client } = await startBed(t);
  await write(client, 'a\n');
  const { cluster } = await client.listChunks('logs');
  const position: Position = { cluster, owners: { node1: { index: 0, offset: 100 } } };
  await t.rejects(readAll(client, { position, untilEnd: false, pollMs: 1 }), {
    code: 'offset_out_of_range',
  });
});

t.test(
  'what was read ahead in vain is read again, and nothing behind it is handed out',
  async (t) => {
    let failedCount = 0;
    const texts = ['a\n', 'b\n', 'c\n', 'd\n'];
    const names = texts.map((_, index) => `node1-chunk00000000${index}`);
    const client = await startScript(t, {
      list: () => names.map((name) => ({ name, complete: true, size: 2 })),
      read: (query, response) => {
        const index = names.indexOf(query.get('chunk') ?? '');
        if (index === 2 && failedCount < 2) {
          failedCount += 1;
          sendError(response, 503, 'storage_failed');
        } else sendMessages(response, texts[index] ?? '', { state: 'sealed', size: 2, next: 2 });
      },
    });
    const { text, batchCount } = await readAll(client);
    t.equal(text, texts.join(''));
    t.equal(batchCount, 4);
    t.equal(failedCount, 2, 'ahead first, and then as the one that is tried again');
  },
);

import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Client, Consumer, type ConsumerOptions, type Position } from '../../src/index.js';
import { errorCode } from '../../src/protocol/chukcha-error.js';
import { FakeLog, FakeReplica } from '../support/fake-replica.js';
import { fastClock } from '../support/fast-clock.js';
import { testDirectory } from '../support/test-directory.js';
import { startTestNode } from '../support/test-node.js';
import { until } from '../support/until.js';

const chunk0 = 'node1-chunk000000000';
const chunk1 = 'node1-chunk000000001';

interface Reader {
  readonly client: Client;
  readonly consumer: Consumer;
  readonly retried: unknown[];
  /** The next batch as text, acknowledged. */
  next(): Promise<string | undefined>;
}

/** A consumer that begins with the first of the nodes, on a clock that hurries. */
function read(
  t: Test,
  nodes: readonly { readonly url: string }[],
  options: Partial<ConsumerOptions> = {},
): Reader {
  const client = new Client({
    server: nodes.map(({ url }) => url),
    random: { fraction: () => 0, hex: () => '' },
  });
  const retried: unknown[] = [];
  const consumer = new Consumer(client, {
    category: 'logs',
    clock: fastClock,
    onRetry: (error) => retried.push(errorCode(error)),
    ...options,
  });
  const batches = consumer[Symbol.asyncIterator]();
  t.teardown(async () => {
    await consumer.close();
    client.close();
  });
  const next = async (): Promise<string | undefined> => {
    const { value } = await batches.next();
    value?.ack();
    return value?.bytes.toString();
  };
  return { client, consumer, retried, next };
}

/** How many calls of the kind a replica has had. */
function countOf(replica: FakeReplica, kind: string): number {
  return replica.calls.filter((call) => call.startsWith(kind)).length;
}

function hasAsked(replica: FakeReplica, kind: string, count = 1): Promise<void> {
  return until(() => countOf(replica, kind) >= count);
}

t.test('a consumer whose node dies goes on at the next one, where it stood', async (t) => {
  const log = new FakeLog();
  log.append('node1', 'a\nb\n');
  log.append('node2', 'x\n');
  const replicas = [await FakeReplica.start(t, log), await FakeReplica.start(t, log)] as const;
  for (const replica of replicas) replica.pullAll();
  const { client, consumer, next, retried } = read(t, replicas);
  t.same([await next(), await next()].sort(), ['a\nb\n', 'x\n']);
  const third = next();
  await hasAsked(replicas[0], `read ${chunk0} 4`);
  log.append('node1', 'c\n');
  replicas[1].pullAll();
  replicas[0].die();
  t.equal(await third, 'c\n');
  t.equal(client.server, replicas[1].url);
  t.notOk(retried.includes('timeout'));
  t.same(consumer.position(), {
    cluster: 'cluster1',
    owners: { node1: { index: 0, offset: 6 }, node2: { index: 0, offset: 2 } },
  });
  t.notOk(replicas[1].calls.includes(`read ${chunk0} 0`), 'nothing was read again');
});

t.test('real nodes with the same chunks take each other’s place', async (t) => {
  const directory = testDirectory(t);
  const [first, second] = [join(directory, 'data1'), join(directory, 'data2')];
  const writer = await startTestNode(first, { 'max-chunk-size': 100 });
  const writing = new Client({ server: writer.url });
  const lines = Array.from({ length: 60 }, (_, index) => `message number ${index}\n`);
  for (const line of lines) await writing.write('logs', [Buffer.from(line)]);
  await writing.seal('logs');
  writing.close();
  await writer.close();
  // What replication does: all chunks, under the same cluster, at a node of another name.
  await cp(first, second, { recursive: true });
  const identity = JSON.parse(await readFile(join(first, 'identity.json'), 'utf8')) as object;
  const other = { ...identity, nodeName: 'node2', directoryId: 'another' };
  await writeFile(join(second, 'identity.json'), JSON.stringify(other));
  const nodes = [await startTestNode(first), await startTestNode(second, { name: 'node2' })];
  t.teardown(() => Promise.all(nodes.map((node) => node.close())));
  const { consumer, next } = read(t, nodes, { untilEnd: true, batchBytesMax: 64 });
  let text = '';
  for (let count = 0; count < 8; count += 1) text += await next();
  await nodes[0]?.close();
  for (let more = await next(); more !== undefined; more = await next()) text += more;
  t.equal(text, lines.join(''));
  await consumer.close();
  const reader = new Client({ server: nodes[1]?.url ?? '' });
  t.same((await reader.listChunks('logs')).chunks, [], 'it has acknowledged all of them there too');
  reader.close();
});

t.test('an offset that a lagging node does not have yet is waited for', async (t) => {
  const log = new FakeLog();
  log.append('node1', 'a\nb\n');
  const replicas = [await FakeReplica.start(t, log), await FakeReplica.start(t, log)] as const;
  replicas[0].pullAll();
  replicas[1].pull(chunk0, 2);
  const { consumer, next, retried } = read(t, replicas);
  t.equal(await next(), 'a\nb\n');
  const second = next();
  replicas[0].die();
  await hasAsked(replicas[1], `read ${chunk0} 4`);
  t.same(consumer.position()?.owners, { node1: { index: 0, offset: 4 } });
  log.append('node1', 'c\n');
  replicas[1].pullAll();
  t.equal(await second, 'c\n');
  t.notOk(retried.includes('offset_out_of_range'), 'it is no failure');
});

t.test('the end of what a lagging node has is not the end of what there is', async (t) => {
  const log = new FakeLog();
  log.append('node1', 'a\nb\n');
  const replicas = [await FakeReplica.start(t, log), await FakeReplica.start(t, log)] as const;
  replicas[0].pullAll();
  replicas[1].pull(chunk0, 2);
  const { next } = read(t, replicas, { batchBytesMax: 2, untilEnd: true });
  t.equal(await next(), 'a\n');
  replicas[0].die();
  // Held behind the first message, and not read in circles.
  await hasAsked(replicas[1], `read ${chunk0} 2`);
  const rest = next();
  await hasAsked(replicas[1], `read ${chunk0} 2`, 2);
  replicas[1].pullAll();
  t.equal(await rest, 'b\n');
  t.equal(await next(), undefined, 'the end that the first node had shown');
});

t.test('a chunk that has not come yet is waited for, and then asked of another node', async (t) => {
  const log = new FakeLog();
  log.append('node1', 'a\n');
  log.seal('node1');
  log.append('node1', 'b\n');
  const start = (): Promise<FakeReplica> => FakeReplica.start(t, log);
  const [first, lagging, whole] = [await start(), await start(), await start()];
  first.pullAll();
  lagging.pull(chunk0);
  whole.pullAll();
  const { client, next, retried } = read(t, [first, lagging, whole], { batchBytesMax: 2 });
  t.equal(await next(), 'a\n');
  await hasAsked(first, `read ${chunk1} 0`);
  // Already read, but nothing of the second chunk is known to be the last.
  t.equal(await next(), 'b\n');
  const third = next();
  first.die();
  await hasAsked(lagging, `read ${chunk1} 2`);
  t.equal(client.server, lagging.url);
  log.append('node1', 'c\n');
  whole.pullAll();
  t.equal(await third, 'c\n');
  t.equal(client.server, whole.url, 'after some seconds');
  t.ok(countOf(lagging, `read ${chunk1} 2`) > 2);
  t.ok(retried.includes('chunk_not_found'), 'which is told');
});

t.test('a chunk that all have acknowledged is passed, and does not come back', async (t) => {
  const log = new FakeLog();
  log.append('node1', 'a\nb\n');
  log.seal('node1');
  const replicas = [await FakeReplica.start(t, log), await FakeReplica.start(t, log)] as const;
  replicas[0].pullAll();
  replicas[1].learnAck(chunk0);
  const { consumer, next } = read(t, replicas, { batchBytesMax: 2 });
  t.equal(await next(), 'a\n');
  t.equal(await next(), 'b\n', 'which was read ahead');
  log.append('node1', 'c\n');
  replicas[0].die();
  replicas[1].pull(chunk1);
  t.equal(await next(), 'c\n');
  t.same(consumer.position()?.owners, { node1: { index: 1, offset: 2 } });
});

t.test('in the middle of a chunk too', async (t) => {
  const log = new FakeLog();
  log.append('node1', 'a\nb\n');
  const start = (): Promise<FakeReplica> => FakeReplica.start(t, log);
  const [first, knowing, lagging] = [await start(), await start(), await start()];
  first.pullAll();
  lagging.pull(chunk0);
  knowing.learnAck(chunk0);
  const position: Position = { cluster: 'cluster1', owners: { node1: { index: 0, offset: 4 } } };
  const { client, consumer, next } = read(t, [first, knowing, lagging], { position });
  const pending = next();
  await hasAsked(first, `read ${chunk0} 4`);
  log.append('node1', 'c\n');
  log.seal('node1');
  log.append('node1', 'd\n');
  first.die();
  await hasAsked(knowing, `read ${chunk0} 4`);
  await until(() => consumer.position()?.owners['node1']?.index === 1);
  client.moveOn(knowing.url, new Error('The test wants it to lag.'));
  lagging.pull(chunk0);
  await hasAsked(lagging, 'list', 2);
  lagging.pull(chunk1);
  t.equal(await pending, 'd\n', 'although the last node still lists what was acknowledged');
});

t.test('a list of a lagging node takes nothing back', async (t) => {
  const log = new FakeLog();
  log.append('node1', 'a\n');
  log.seal('node1');
  log.append('node1', 'b\n');
  log.append('node2', 'x\n');
  const replicas = [await FakeReplica.start(t, log), await FakeReplica.start(t, log)] as const;
  replicas[0].pullAll();
  const { consumer, next } = read(t, replicas);
  const texts = [await next(), await next(), await next()].sort();
  t.same(texts, ['a\n', 'b\n', 'x\n']);
  await until(() => replicas[0].acked.has(chunk0));
  const before = consumer.position();
  // It has the first chunk in part, and nothing of the other owner.
  replicas[1].pull(chunk0, 1);
  const fourth = next();
  replicas[0].die();
  await hasAsked(replicas[1], `read ${chunk1} 2`);
  t.same(consumer.position(), before);
  replicas[1].pull(chunk0);
  await until(() => replicas[1].acked.has(chunk0));
  log.append('node2', 'y\n');
  replicas[1].pullAll();
  t.equal(await fourth, 'y\n', 'and what was processed does not come again');
});

t.test('nothing is read from a node of another cluster, or acknowledged to it', async (t) => {
  const log = new FakeLog();
  log.append('node1', 'a\nb\n');
  const other = new FakeLog();
  other.append('node1', 'mine\n');
  other.seal('node1');
  const start = await FakeReplica.start(t, log);
  const strange = await FakeReplica.start(t, other, { cluster: 'cluster2' });
  start.pullAll();
  strange.pullAll();
  const { next } = read(t, [start, strange]);
  t.equal(await next(), 'a\nb\n');
  const second = next();
  await hasAsked(start, `read ${chunk0} 4`);
  log.seal('node1');
  start.die();
  await t.rejects(second, { code: 'cluster_changed', fields: { server: strange.url } });
  t.same(new Set(strange.calls), new Set(['list']));
});

t.test('an acknowledgement that a lagging node refuses goes to one that can take it', async (t) => {
  const log = new FakeLog();
  log.append('node1', 'a\n');
  log.seal('node1');
  const replicas = [await FakeReplica.start(t, log), await FakeReplica.start(t, log)] as const;
  replicas[0].pullAll();
  replicas[1].pull(chunk0, 1);
  const client = new Client({
    server: replicas.map(({ url }) => url),
    random: { fraction: () => 0, hex: () => '' },
  });
  const retried: unknown[] = [];
  const consumer = new Consumer(client, {
    category: 'logs',
    untilEnd: true,
    onRetry: (error) => retried.push(errorCode(error)),
  });
  for await (const batch of consumer) {
    client.moveOn(replicas[0].url, new Error('The test wants it to lag.'));
    batch.ack();
  }
  t.equal(countOf(replicas[1], `ack ${chunk0} 2`), 1);
  t.ok(replicas[0].acked.has(chunk0));
  t.same(retried, []);
  client.close();
});

t.test('an acknowledgement that nobody takes is given again when the chunk is there', async (t) => {
  const log = new FakeLog();
  log.append('node1', 'a\n');
  log.seal('node1');
  const whole = await FakeReplica.start(t, log, {
    fault: (call) => (call.startsWith('ack') ? 'cut' : undefined),
  });
  const lagging = await FakeReplica.start(t, log);
  whole.pullAll();
  lagging.pull(chunk0, 1);
  const { next, retried } = read(t, [whole, lagging]);
  t.equal(await next(), 'a\n');
  void next();
  await hasAsked(whole, `ack ${chunk0} 2`, 2);
  t.equal(countOf(lagging, `ack ${chunk0} 2`), 1, 'in between');
  lagging.pull(chunk0);
  await until(() => lagging.acked.has(chunk0));
  t.ok(retried.includes('server_unreachable'));
});

t.test('a version of a list is shown only to the node that gave it', async (t) => {
  const log = new FakeLog();
  log.append('node1', 'a\n');
  const replicas = [await FakeReplica.start(t, log), await FakeReplica.start(t, log)] as const;
  for (const replica of replicas) replica.pullAll();
  const { client, next } = read(t, replicas);
  t.equal(await next(), 'a\n');
  const second = next();
  await hasAsked(replicas[0], `read ${chunk0} 2`);
  // Held calls end at the first node and begin at the second, there and back again.
  for (const [from, to] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const [listCount, readCount] = [countOf(replicas[to], 'list'), countOf(replicas[to], 'read')];
    client.moveOn(replicas[from].url, new Error('The test wants another one.'));
    await hasAsked(replicas[to], 'list', listCount + 1);
    await hasAsked(replicas[to], 'read', readCount + 1);
  }
  log.append('node1', 'b\n');
  for (const replica of replicas) replica.pullAll();
  t.equal(await second, 'b\n');
  for (const { calls, foreignVersionCount } of replicas) {
    t.equal(foreignVersionCount, 0);
    t.ok(calls.length < 15, `no circle of calls that end at once, but ${calls.length} calls`);
  }
});

t.test('what one node has shown and no other has is given up after its time', async (t) => {
  const log = new FakeLog();
  log.append('node1', 'a\nb\n');
  const first = await FakeReplica.start(t, log, {
    fault: (call) => (call === `read ${chunk0} 2` ? 'cut' : undefined),
  });
  const lagging = await FakeReplica.start(t, log);
  first.pullAll();
  lagging.pull(chunk0, 2);
  const options = { batchBytesMax: 2, untilEnd: true };
  const { next } = read(t, [first, lagging], { ...options, giveUpAfterMs: 20_000 });
  t.equal(await next(), 'a\n');
  await t.rejects(next(), { code: 'chunk_not_found', fields: { server: lagging.url, size: 2 } });
  const patient = read(t, [first, lagging], options);
  t.equal(await patient.next(), 'a\n');
  const rest = patient.next();
  await hasAsked(lagging, `read ${chunk0} 2`);
  await patient.consumer.close();
  t.equal(await rest, undefined, 'closing ends the waiting');
});

t.test('a lone node that is not the owner is given time to get what it lacks', async (t) => {
  const log = new FakeLog();
  log.append('node1', 'a\nb\n');
  const replica = await FakeReplica.start(t, log, { node: 'node2' });
  replica.pull(chunk0, 2);
  const position: Position = { cluster: 'cluster1', owners: { node1: { index: 0, offset: 4 } } };
  const { next } = read(t, [replica], { position, pollMs: 1 });
  const first = next();
  await hasAsked(replica, `read ${chunk0} 4`, 2);
  log.append('node1', 'c\n');
  replica.pullAll();
  t.equal(await first, 'c\n');
});

import t from 'tap';
import { Client, Consumer, Producer } from '../../src/index.js';
import { TestCluster } from '../support/test-cluster.js';
import { until } from '../support/until.js';

const lineCount = 200;

t.test('clients of a cluster go on while its nodes stop and come back', async (t) => {
  const cluster = new TestCluster(t);
  const names = ['a', 'b', 'c'];
  const urls = new Map<string, string>();
  const start = async (name: string): Promise<void> => {
    const url = urls.get(name);
    const listen = url === undefined ? {} : { listen: new URL(url).host };
    const { node } = await cluster.start(name, { 'max-chunk-size': 500, ...listen });
    urls.set(name, node.url);
  };
  for (const name of names) await start(name);
  const server = [...urls.values()];
  const [writing, reading] = [new Client({ server }), new Client({ server })];
  const nameOf = (client: Client): string =>
    names.find((name) => urls.get(name) === client.server) ?? '';

  const producer = new Producer(writing, {
    category: 'logs',
    lingerMs: 0,
    batchBytesMax: 200,
    minSyncReplicas: 1,
  });
  const consumer = new Consumer(reading, { category: 'logs', batchBytesMax: 100 });
  const found: string[] = [];
  const consuming = (async () => {
    for await (const batch of consumer) {
      found.push(...batch.bytes.toString().split(/(?<=\n)/));
      batch.ack();
    }
  })();

  const lines = Array.from({ length: lineCount }, (_, index) => `line ${index}\n`);
  for (const [index, line] of lines.entries()) {
    await producer.send(Buffer.from(line));
    // In turn the node that is written to, and the one that is read from.
    if (index % 50 !== 25) continue;
    const name = nameOf(index % 100 === 25 ? writing : reading);
    await cluster.stop(name);
    await producer.send(Buffer.from(`without ${index}\n`));
    await start(name);
  }
  const expected = [...lines, ...[25, 75, 125, 175].map((index) => `without ${index}\n`)].sort();
  await until(() => new Set(found).size === expected.length);
  await producer.close();
  for (const { client } of cluster.members.values()) await client.seal('logs');
  for (const { client } of cluster.members.values()) {
    await until(async () => (await client.status()).categories[0]?.chunks === 0);
  }
  await consumer.close();
  await consuming;
  t.same([...found].sort(), expected, 'each line once: every stop said what it had not stored');
  writing.close();
  reading.close();
});

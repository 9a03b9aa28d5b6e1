import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Client } from '../../src/index.js';
import { resolveNodeOptions } from '../../src/node/node-options.js';
import { DirectoryLock } from '../../src/storage/directory-lock.js';
import { testDirectory } from '../support/test-directory.js';
import { listenAddress, startTestNode } from '../support/test-node.js';

t.test('options are checked, with their defaults', (t) => {
  const { retentionOf, ...defaults } = resolveNodeOptions({});
  t.equal(retentionOf('logs'), undefined, 'messages are kept until they are acknowledged');
  t.same(defaults, {
    security: {
      flagPrefix: '',
      tls: undefined,
      tokensPath: undefined,
      clusterSecretPath: undefined,
    },
    dataDirectory: './data',
    host: '127.0.0.1',
    port: 8080,
    name: undefined,
    chunkBytesMax: 20 * 1024 * 1024,
    rotateIntervalMs: 10 * 60_000,
    flushIntervalMs: 1_000,
    batchBytesMax: 4 * 1024 * 1024,
    inFlightBytesMax: 256 * 1024 * 1024,
    diskReserve: 'auto',
    scrubIntervalMs: 24 * 60 * 60_000,
  });
  t.match(resolveNodeOptions({ 'max-chunk-size': 7, 'rotate-interval': '1.5 h' }), {
    chunkBytesMax: 7,
    rotateIntervalMs: 90 * 60_000,
  });
  const { retentionOf: limitsOf } = resolveNodeOptions({
    'retain-for': 'logs=7d,*=1h',
    'retain-size': 'audit=1GiB',
  });
  t.same(limitsOf('logs'), { ageMsMax: 7 * 86_400_000, bytesMax: undefined });
  t.same(limitsOf('audit'), { ageMsMax: 3_600_000, bytesMax: 1024 ** 3 });
  for (const [name, value] of [
    ['max-chunk-size', '0'],
    ['max-chunk-size', '20 potatoes'],
    ['rotate-interval', '10 MiB'],
    ['disk-reserve', 'much'],
    ['retain-for', 'logs='],
    ['retain-size', 'a/b=1GiB'],
  ] as const) {
    t.throws(
      () => resolveNodeOptions({ [name]: value }),
      { code: 'invalid_option', message: new RegExp(`Option ${name} (is|has) .* (must|expected)`) },
      `${name} ${value}`,
    );
  }
  t.match(resolveNodeOptions({ listen: '[::1]:0' }), { host: '::1', port: 0 });
  t.throws(() => resolveNodeOptions({ listen: '127.0.0.1:70000' }), {
    code: 'invalid_option',
    message: /Port 70000/,
  });
  t.throws(() => resolveNodeOptions({ nmae: 'x' }), {
    code: 'invalid_option',
    message: /did you mean name\?/,
  });
  t.end();
});

t.test('a directory keeps its identity, and a damaged one is refused', async (t) => {
  const data = join(testDirectory(t), 'data');
  const node = await startTestNode(data);
  const identity = JSON.parse(readFileSync(join(data, 'identity.json'), 'utf8')) as Record<
    string,
    unknown
  >;
  t.match(identity, { version: 1, nodeName: 'node1', clusterId: /^[0-9a-f]{16}$/ });
  await node.close();
  const again = await startTestNode(data, { name: undefined });
  t.equal(again.name, 'node1', 'the name is the one of the directory');
  t.same(JSON.parse(readFileSync(join(data, 'identity.json'), 'utf8')), identity);
  await again.close();
  await t.rejects(startTestNode(data, { name: 'node2' }), {
    code: 'directory_invalid',
    message: /belongs to node node1/,
  });
  writeFileSync(join(data, 'identity.json'), '{}\n');
  await t.rejects(startTestNode(data), {
    code: 'directory_invalid',
    message: /identity\.json is not an identity/,
  });
});

t.test('a node that cannot listen leaves its directory free', async (t) => {
  const directory = testDirectory(t);
  const node = await startTestNode(join(directory, 'a'));
  await t.rejects(startTestNode(join(directory, 'b'), { listen: listenAddress(node) }), {
    code: 'listen_failed',
  });
  const other = await startTestNode(join(directory, 'b'));
  await other.close();
  await node.close();
});

t.test('a node closes once, however often it is told to', async (t) => {
  const node = await startTestNode(join(testDirectory(t), 'data'));
  const client = new Client({ server: node.url });
  await client.write('logs', [Buffer.from('a\n')]);
  await Promise.all([node.close(), node.close()]);
  await node.close();
  await t.rejects(client.live(), { code: 'server_unreachable' });
  client.close();
});

t.test('of many that want a directory at once, one gets it', async (t) => {
  const directory = testDirectory(t);
  for (let round = 0; round < 5; round += 1) {
    // What a process leaves behind that was killed: a name, and nobody who listens behind it.
    mkdirSync(join(directory, 'running.lock'), { recursive: true });
    writeFileSync(join(directory, 'running.lock', '0123456789abcdef'), '');
    const takes = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) => DirectoryLock.take(directory, `holder ${index}`)),
    );
    const locks = takes.flatMap((take) => (take.status === 'fulfilled' ? [take.value] : []));
    t.equal(locks.length, 1);
    for (const take of takes) {
      if (take.status === 'rejected')
        t.equal((take.reason as { code?: string }).code, 'directory_in_use');
    }
    await locks[0]?.release();
    await locks[0]?.release();
    t.same(readdirSync(join(directory, 'running.lock')), [], 'nothing is left behind');
  }
});

t.test('a directory with a long path can be locked', async (t) => {
  const directory = testDirectory(t, { ['d'.repeat(120)]: { ['e'.repeat(120)]: {} } });
  const long = join(directory, 'd'.repeat(120), 'e'.repeat(120));
  const lock = await DirectoryLock.take(long, 'first');
  await t.rejects(DirectoryLock.take(long, 'second'), {
    code: 'directory_in_use',
    message: /in use by first, process \d+/,
  });
  await lock.release();
});

import { rm } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { ClusterTable } from '../../src/coordination/cluster-table.js';
import { MemoryCoordinator } from '../../src/coordination/memory-coordinator.js';
import { MemoryTable } from '../../src/coordination/memory-table.js';
import { GroupAgreement } from '../../src/node/group-agreement.js';
import { FakeClock } from '../support/fake-clock.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { line, TestCluster } from '../support/test-cluster.js';
import { testDirectory } from '../support/test-directory.js';
import { openStore } from '../support/test-store.js';
import { until } from '../support/until.js';

async function trio(t: Test, options: Record<string, unknown> = {}): Promise<TestCluster> {
  const cluster = new TestCluster(t);
  for (const name of ['a', 'b', 'c']) await cluster.start(name, options);
  await until(() => isMeshed(cluster));
  return cluster;
}

/** Whether everybody sends to and receives from everybody. */
async function isMeshed(cluster: TestCluster): Promise<boolean> {
  const statuses = await Promise.all(
    [...cluster.members.values()].map(({ client }) => client.status()),
  );
  return statuses.every(({ clusterStatus }) => {
    const members = clusterStatus?.members ?? [];
    return (
      members.length === cluster.members.size && members.every((m) => m.receiving && m.sending)
    );
  });
}

async function textAt(cluster: TestCluster, name: string): Promise<string> {
  const { client } = cluster.member(name);
  const { chunks } = await client.listChunks('logs');
  let text = '';
  for (const { name: chunk, size } of chunks) {
    const { bytes } = await client.read('logs', { chunk, offset: 0, byteCountMax: size + 1 });
    text += bytes.toString();
  }
  return text;
}

await t.test('what is written to any node is read from any other', async (t) => {
  const cluster = await trio(t);
  for (const name of ['a', 'b', 'c']) {
    await cluster.member(name).client.write('logs', line(`from ${name}`));
  }
  for (const name of ['a', 'b', 'c']) {
    await until(async () => (await textAt(cluster, name)) === 'from a\nfrom b\nfrom c\n');
  }
});

await t.test(
  'a write is confirmed by as many peers as it asks for, or refused before',
  async (t) => {
    const cluster = await trio(t);
    const post = (query: string): Promise<Response> =>
      fetch(`${cluster.member('a').node.url}/write?category=logs&${query}`, {
        method: 'POST',
        body: 'x\n',
      });
    t.equal((await post('min_sync_replicas=2')).status, 200);
    t.equal((await post('min_sync_replicas=2&sync_each_write=true')).status, 200);
    const refused = await post('min_sync_replicas=3');
    t.equal(refused.status, 503);
    t.match(await refused.json(), { error: { code: 'too_few_replicas', wanted: 3, replicas: 2 } });
    t.equal(await textAt(cluster, 'a'), 'x\nx\n', 'nothing of it was stored');
  },
);

await t.test('an acknowledgement anywhere frees the space everywhere', async (t) => {
  const cluster = await trio(t);
  await cluster.member('a').client.write('logs', line('one'));
  const { chunk, size } = await cluster.member('a').client.seal('logs');
  const { client } = cluster.member('b');
  await until(async () => (await client.listChunks('logs')).chunks[0]?.complete === true);
  await client.ack('logs', chunk ?? '', size ?? 0);
  for (const { client } of cluster.members.values()) {
    await until(async () => (await client.status()).categories[0]?.chunks === 0);
  }
});

await t.test('groups are known everywhere, and hold messages until they are removed', async (t) => {
  const cluster = await trio(t);
  const [a, b] = [cluster.member('a').client, cluster.member('b').client];
  await a.registerGroup('logs', 'audit');
  await until(async () => (await b.groups('logs')).length === 1);
  await b.write('logs', line('one'));
  const { chunk, size } = await b.seal('logs');
  await b.ack('logs', chunk ?? '', size ?? 0, { group: 'default' });
  await until(async () => (await a.groups('logs')).length === 2);
  t.equal((await b.listChunks('logs', { group: 'audit' })).chunks.length, 1);
  await a.removeGroup('logs', 'audit');
  await until(async () => (await b.groups('logs')).length === 1);
  for (const { client } of cluster.members.values()) {
    await until(async () => (await client.status()).categories[0]?.chunks === 0);
  }
});

await t.test('a group that is one too many is not agreed on', async (t) => {
  const clock = new FakeClock();
  const log = new RecordingLogger();
  const store = await openStore({ directory: testDirectory(t), clock, log, categoryCountMax: 1 });
  const coordinator = new MemoryCoordinator(new MemoryTable(clock));
  const table = new ClusterTable(coordinator);
  const agreement = new GroupAgreement({ table, store, log });
  const category = await store.category('logs');
  const names = Array.from({ length: 999 }, (_, index) => `g${index}`);
  const groups = names.map((name) => [name, { generation: 1, acked: {} }] as const);
  const records = { groups: Object.fromEntries(groups), expired: {} };
  await category.mergeAcks({ records, sizes: [] });
  t.match(await agreement.register('logs', 'last', 'earliest'), { created: true });
  await t.rejects(agreement.register('logs', 'more', 'earliest'), { code: 'too_many_groups' });
  await t.rejects(agreement.register('other', 'g', 'latest'), { code: 'too_many_categories' });
  t.same(
    table.groups.map(({ group }) => group),
    ['last'],
  );
  await coordinator.close();
  await store.close();
});

await t.test(
  'metrics say what peers lack, and which acknowledgements they do not know',
  async (t) => {
    const cluster = await trio(t);
    const { client } = cluster.member('a');
    const figure = async (series: string): Promise<number | undefined> => {
      const text = await (await fetch(`${cluster.member('a').node.url}/metrics`)).text();
      const start = `\n${series} `;
      const from = text.indexOf(start);
      return from === -1 ? undefined : Number.parseFloat(text.slice(from + start.length));
    };
    const becomes = (series: string, value: number | undefined): Promise<void> =>
      until(async () => (await figure(series)) === value);
    const lag = (peer: string): string =>
      `chukcha_category_replication_lag_bytes{category="logs",peer="${peer}"}`;
    await client.write('logs', line('one'));
    for (const peer of ['b', 'c']) await becomes(lag(peer), 0);
    await becomes('chukcha_unreplicated_bytes{category="logs"}', 0);
    await cluster.stop('c');
    await becomes(lag('c'), undefined);
    const sealed = await client.seal('logs');
    const b = cluster.member('b').client;
    await until(async () => (await b.listChunks('logs')).chunks[0]?.complete === true);
    await client.ack('logs', sealed.chunk ?? '', sealed.size ?? 0);
    await becomes('chukcha_acks_pending{peer="b"}', 0);
    t.equal(await figure('chukcha_acks_pending{peer="c"}'), 1, 'who is away cannot know');
    await cluster.start('c');
    await becomes('chukcha_acks_pending{peer="c"}', 0);
    await cluster.stop('a');
    const again = await cluster.start('a');
    for (const peer of ['b', 'c']) await becomes(`chukcha_acks_pending{peer="${peer}"}`, 0);
    await cluster.stop('b');
    await cluster.stop('c');
    await becomes('chukcha_category_replication_lag_bytes{category="logs",peer="b"}', undefined);
    await again.client.write('logs', line('two'));
    t.equal(await figure('chukcha_unreplicated_bytes{category="logs"}'), 4);
    t.equal(await figure('chukcha_bytes_here_only'), 4);
  },
);

await t.test(
  'without the table everything but changes of members and groups goes on',
  async (t) => {
    const cluster = await trio(t);
    cluster.cutTable();
    const [a, b] = [cluster.member('a').client, cluster.member('b').client];
    await a.write('logs', line('one'), { sync: true });
    await until(async () => (await textAt(cluster, 'b')) === 'one\n');
    const { chunk, size } = await a.seal('logs');
    await until(async () => (await b.listChunks('logs')).chunks[0]?.complete === true);
    await b.ack('logs', chunk ?? '', size ?? 0);
    await until(async () => (await a.status()).categories[0]?.chunks === 0);
    await t.rejects(a.registerGroup('logs', 'g'), { code: 'coordination_unavailable' });
    await t.rejects(a.changeNode('b', 'drain'), { code: 'coordination_unavailable' });
    cluster.healTable();
    await until(async () => (await b.groups('logs')).length === 1);
  },
);

await t.test(
  'an empty directory under a known name is refused, and taken after a word',
  async (t) => {
    const cluster = await trio(t);
    await cluster.member('c').client.write('logs', line('of c'));
    for (const name of ['a', 'b', 'c']) {
      await until(async () => (await textAt(cluster, name)) === 'of c\n');
    }
    await cluster.stop('c');
    await rm(cluster.directory('c'), { recursive: true });
    await t.rejects(cluster.start('c'), { code: 'membership_refused', message: /node replace c/ });
    await rm(cluster.directory('c'), { recursive: true });
    await cluster.member('a').client.changeNode('c', 'replace');
    const { client } = await cluster.start('c');
    await until(async () => (await textAt(cluster, 'c')) === 'of c\n');
    const { chunk } = await client.write('logs', line('new'));
    t.ok(Number(chunk?.slice(-9)) >= 100_000, 'no name is used twice');
    for (const name of ['a', 'b', 'c']) {
      await until(async () => (await textAt(cluster, name)) === 'of c\nnew\n');
    }
  },
);

await t.test('a member starts although etcd goes away while it does', async (t) => {
  const cluster = await trio(t);
  await cluster.stop('c');
  const { client, coordinator } = await cluster.start('c', {}, true);
  await client.write('logs', line('meanwhile'));
  cluster.table.heal(coordinator);
  await until(() => isMeshed(cluster));
  await until(async () => (await textAt(cluster, 'a')) === 'meanwhile\n');
  await t.rejects(cluster.start('d', {}, true), { code: 'coordination_unavailable' });
});

await t.test('a drained node takes no writes and can be removed', async (t) => {
  const cluster = await trio(t);
  const [a, c] = [cluster.member('a').client, cluster.member('c').client];
  await c.write('logs', line('one'));
  await t.rejects(a.changeNode('c', 'remove'), { code: 'membership_refused', message: /drain c/ });
  await a.changeNode('c', 'drain');
  await t.rejects(c.write('logs', line('two')), { code: 'draining' });
  await until(async () => {
    const { clusterStatus } = await a.status();
    return clusterStatus?.members.find(({ name }) => name === 'c')?.drained === true;
  });
  await cluster.stop('c');
  await a.changeNode('c', 'remove');
  t.equal((await a.status()).clusterStatus?.members.length, 2);
  t.equal(await textAt(cluster, 'a'), 'one\n');
  await t.rejects(cluster.start('c'), { code: 'membership_refused', message: /was removed/ });
});

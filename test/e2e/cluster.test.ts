import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Client } from '../../src/index.js';
import { CliNode, runCli } from '../support/cli.js';
import { EtcdProcess, reasonWithoutEtcd } from '../support/etcd-process.js';
import { LinkProxy } from '../support/link-proxy.js';
import { testDirectory } from '../support/test-directory.js';
import { until } from '../support/until.js';

const skip = reasonWithoutEtcd();

/** Nodes in processes of their own, with a real etcd. */
class Processes {
  readonly etcd: EtcdProcess;
  readonly #root: string;
  readonly #nodes = new Map<string, CliNode>();
  readonly #ports = new Map<string, string>();

  constructor(t: Test, etcd: EtcdProcess) {
    this.etcd = etcd;
    this.#root = testDirectory(t);
    t.teardown(async () => {
      for (const node of this.#nodes.values()) await node.kill();
      await etcd.close();
    });
  }

  directory(name: string): string {
    return join(this.#root, name);
  }

  async start(name: string, words: readonly string[] = []): Promise<CliNode> {
    const port = this.#ports.get(name);
    const node = await CliNode.start(this.directory(name), [
      '--name',
      name,
      '--etcd',
      this.etcd.url,
      ...(port === undefined ? [] : ['--listen', `127.0.0.1:${port}`]),
      ...words,
    ]);
    this.#nodes.set(name, node);
    this.#ports.set(name, node.port);
    return node;
  }

  async kill(name: string): Promise<void> {
    await this.#nodes.get(name)?.kill();
    this.#nodes.delete(name);
  }

  client(name: string): Client {
    const client = new Client({ server: this.#nodes.get(name)?.url ?? '' });
    return client;
  }

  /** All messages of a category at a node, those of each owner in order. */
  async read(name: string, category = 'logs'): Promise<string> {
    const client = this.client(name);
    let text = '';
    for (const { name: chunk, size } of (await client.listChunks(category)).chunks) {
      if (size === 0) continue;
      const { bytes } = await client.read(category, { chunk, offset: 0, byteCountMax: size });
      text += bytes.toString();
    }
    client.close();
    return text;
  }

  /** The chunks of a node as they lie on disk. */
  files(name: string): string[] {
    return readdirSync(join(this.directory(name), 'logs')).sort();
  }

  async write(name: string, line: string, minSyncReplicas = 0): Promise<void> {
    const client = this.client(name);
    await client.write('logs', [Buffer.from(`${line}\n`)], { minSyncReplicas });
    client.close();
  }
}

async function startProcesses(t: Test): Promise<Processes> {
  return new Processes(t, await EtcdProcess.start());
}

await t.test(
  'a node that is lost is finished without it, and brings the rest when it returns',
  { skip },
  async (t) => {
    const processes = await startProcesses(t);
    const lost = ['--node-lost-after', '2s'];
    await processes.start('a', lost);
    await processes.start('b', lost);
    const first = await processes.start('c', lost);
    const proxy = await LinkProxy.start(Number(first.port));
    t.teardown(() => proxy.close());
    await processes.kill('c');
    await processes.start('c', [...lost, '--advertise', `http://127.0.0.1:${proxy.port}`]);
    await until(() =>
      processes.write('c', 'seen', 2).then(
        () => true,
        () => false,
      ),
    );
    for (const name of ['a', 'b'])
      await until(async () => (await processes.read(name)).includes('seen\n'));
    // From here on nobody hears what c writes.
    await proxy.set({ kind: 'cut' });
    await processes.write('c', 'unseen');
    await processes.kill('c');
    for (const name of ['a', 'b']) {
      const client = processes.client(name);
      await until(async () =>
        (await client.listChunks('logs')).chunks.every(({ complete }) => complete),
      );
      client.close();
      t.match(await processes.read(name), /^(seen\n)+$/);
    }
    t.same(processes.files('a'), processes.files('b'));
    await proxy.set({ kind: 'pass' });
    await processes.start('c', [...lost, '--advertise', `http://127.0.0.1:${proxy.port}`]);
    for (const name of ['a', 'b', 'c']) {
      await until(async () => /^(seen\n)+unseen\n$/.test(await processes.read(name)));
    }
  },
);

await t.test(
  'while etcd is away nodes write, read, acknowledge and start again',
  { skip },
  async (t) => {
    const processes = await startProcesses(t);
    for (const name of ['a', 'b', 'c']) await processes.start(name);
    await until(() =>
      processes.write('a', 'one', 2).then(
        () => true,
        () => false,
      ),
    );
    await processes.etcd.stop();
    await processes.kill('b');
    await processes.write('a', 'two', 1);
    const b = await processes.start('b');
    await until(() =>
      processes.write('b', 'three', 2).then(
        () => true,
        () => false,
      ),
    );
    await until(async () => (await processes.read('c')).includes('three\n'));
    const refused = await runCli(['groups', 'add', 'late', '--server', b.url]);
    t.equal(refused.exit, 1);
    t.match(refused.stderr, /etcd/);
    for (const name of ['a', 'b', 'c'])
      await runCli(['seal', '--server', processes.client(name).server]);
    const c = processes.client('c');
    await until(async () => (await c.listChunks('logs')).chunks.every(({ complete }) => complete));
    for (const { name, size } of (await c.listChunks('logs')).chunks)
      await c.ack('logs', name, size);
    c.close();
    for (const name of ['a', 'b', 'c']) await until(() => processes.files(name).length === 0);
    await processes.etcd.restart();
    await until(
      async () => (await runCli(['groups', 'add', 'late', '--server', b.url])).exit === 0,
    );
    await until(async () => {
      const { stdout } = await runCli([
        'groups',
        '--json',
        '--server',
        processes.client('a').server,
      ]);
      return stdout.includes('"late"') && stdout.includes('"default"');
    });
  },
);

await t.test('a node that cannot join says why', { skip }, async (t) => {
  const processes = await startProcesses(t);
  await processes.start('a');
  await processes.kill('a');
  const serve = (words: readonly string[]) =>
    runCli(['serve', '--listen', '127.0.0.1:0', ...words]);
  const empty = await serve([
    '--name',
    'a',
    '--data',
    processes.directory('other'),
    '--etcd',
    processes.etcd.url,
  ]);
  t.equal(empty.exit, 1);
  t.match(empty.stderr, /chukcha node replace a/);
  const alone = await serve(['--data', processes.directory('a')]);
  t.match(alone.stderr, /belongs to a member of the cluster chukcha: start with --etcd/);
  const everywhere = await runCli([
    'serve',
    '--listen',
    '0.0.0.0:0',
    '--insecure-listen',
    '--data',
    processes.directory('d'),
    '--etcd',
    processes.etcd.url,
  ]);
  t.equal(everywhere.exit, 2);
  t.match(everywhere.stderr, /--advertise/);
  await processes.etcd.stop();
  const first = await serve([
    '--name',
    'new',
    '--data',
    processes.directory('new'),
    '--etcd',
    processes.etcd.url,
  ]);
  t.equal(first.exit, 1);
  t.match(first.stderr, /cannot join the cluster chukcha while etcd at .* does not answer/);
});

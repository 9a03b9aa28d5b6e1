import { readFile, truncate, writeFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { MemoryNetwork } from '../support/memory-network.js';
import { testDirectory } from '../support/test-directory.js';
import {
  contents,
  startReplica,
  type TestReplica,
  type TestReplicaOptions,
} from '../support/test-replica.js';
import { append } from '../support/test-store.js';
import { until } from '../support/until.js';

/** Some nodes in this process, each with a directory of its own. */
class Nodes {
  readonly network = new MemoryNetwork();
  readonly #names: readonly string[];
  readonly #root: string;
  readonly #running = new Map<string, TestReplica>();

  constructor(t: Test, names: readonly string[]) {
    this.#names = names;
    this.#root = testDirectory(t);
    t.teardown(async () => {
      for (const node of this.#running.values()) await node.close();
    });
  }

  async start(name: string, options: Partial<TestReplicaOptions> = {}): Promise<TestReplica> {
    const node = await startReplica({
      name,
      names: this.#names,
      directory: this.directory(name),
      network: this.network,
      ...options,
    });
    this.#running.set(name, node);
    return node;
  }

  async startAll(options: Partial<TestReplicaOptions> = {}): Promise<TestReplica[]> {
    const nodes: TestReplica[] = [];
    for (const name of this.#names) nodes.push(await this.start(name, options));
    return nodes;
  }

  async kill(name: string): Promise<void> {
    await this.#running.get(name)?.kill();
    this.#running.delete(name);
  }

  directory(name: string): string {
    return `${this.#root}/${name}`;
  }

  /** Waits until all running nodes hold the same of a category. */
  async same(category: string): Promise<Record<string, string>> {
    const all = async (): Promise<string[]> =>
      Promise.all(
        [...this.#running.values()].map(async (node) => {
          const found = await contents(this.directory(node.name), node, category);
          const states = node.store.openCategory(category)?.view.chunks.map(({ state }) => state);
          return JSON.stringify([Object.entries(found).sort(), states]);
        }),
      );
    await until(async () => new Set(await all()).size === 1);
    const [first] = this.#running.values();
    return first === undefined ? {} : contents(this.directory(first.name), first, category);
  }
}

function lines(from: number, before: number): string {
  return Array.from({ length: before - from }, (_, index) => `line ${from + index}\n`).join('');
}

async function write(node: TestReplica, text: string, sync = false): Promise<void> {
  await append(await node.store.category('logs'), text, sync);
}

await t.test('what one node writes is on all of them, byte for byte', async (t) => {
  const nodes = new Nodes(t, ['a', 'b', 'c']);
  const [a, b] = (await nodes.startAll({ chunkBytesMax: 2_000 })) as [TestReplica, TestReplica];
  for (let index = 0; index < 50; index += 1) {
    await write(a, lines(index * 10, index * 10 + 10));
    await write(b, `b ${index}\n`);
  }
  const found = await nodes.same('logs');
  const ofA = Object.keys(found).filter((name) => name.startsWith('a-'));
  t.ok(ofA.length > 2, 'several chunks');
  t.equal(ofA.map((name) => found[name]).join(''), lines(0, 500));
});

await t.test(
  'a node that was away gets what it missed, and goes on with half a chunk',
  async (t) => {
    const nodes = new Nodes(t, ['a', 'b']);
    const [a] = (await nodes.startAll({ chunkBytesMax: 2_000 })) as [TestReplica];
    await write(a, lines(0, 20));
    await nodes.same('logs');
    await nodes.kill('b');
    for (let index = 1; index < 30; index += 1) await write(a, lines(index * 20, index * 20 + 20));
    await nodes.start('b');
    const found = await nodes.same('logs');
    t.equal(Object.values(found).join(''), lines(0, 600));
  },
);

await t.test('a write waits for as many peers as it asks for', async (t) => {
  const nodes = new Nodes(t, ['a', 'b', 'c']);
  const [a] = (await nodes.startAll({ replicationTimeoutMs: 300 })) as [TestReplica];
  await write(a, 'first\n');
  await nodes.same('logs');
  const wait = async (replicaCount: number, isDurable: boolean): Promise<string> => {
    const category = await a.store.category('logs');
    const done = isDurable ? a.replication.board.wantDurable('logs') : undefined;
    const { chunk, offset, size } = await append(category, 'more\n');
    const index = Number(chunk.slice(-9));
    const outcome = await new Promise<string>((resolve) => {
      a.replication.board.wait({
        category: 'logs',
        end: { index, offset: offset + size },
        replicaCount,
        isDurable,
        confirmed: () => resolve('confirmed'),
        overdue: (count) => resolve(`overdue with ${count}`),
      });
    });
    done?.();
    return outcome;
  };
  t.equal(await wait(1, false), 'confirmed');
  t.equal(await wait(2, false), 'confirmed');
  t.equal(await wait(2, true), 'confirmed');
  await nodes.kill('c');
  await until(() => a.replication.board.peers.length === 1);
  t.equal(await wait(1, true), 'confirmed');
  t.equal(await wait(2, false), 'overdue with 1');
});

await t.test('an acknowledgement frees the space everywhere, also at who was away', async (t) => {
  const nodes = new Nodes(t, ['a', 'b', 'c']);
  const [a, b] = (await nodes.startAll()) as [TestReplica, TestReplica];
  await write(a, lines(0, 10));
  const category = await a.store.category('logs');
  await category.seal();
  await nodes.same('logs');
  await nodes.kill('c');
  const ofB = await b.store.category('logs');
  const [chunk] = ofB.view.list('default');
  await ofB.ack(chunk?.name ?? '', chunk?.size ?? 0, 'default');
  await until(() => category.view.chunks.length === 0);
  await nodes.start('c');
  t.same(await nodes.same('logs'), {});
  await until(() => [...category.acks.sizes.since(0)].length === 0);
});

await t.test('survivors complete each other when the owner is away', async (t) => {
  const nodes = new Nodes(t, ['a', 'b', 'c']);
  const [a, b] = (await nodes.startAll()) as [TestReplica, TestReplica];
  await write(a, lines(0, 10));
  await nodes.same('logs');
  nodes.network.cut('memory:c', 'memory:a');
  await write(a, lines(10, 20));
  await until(async () => {
    const found = await contents(nodes.directory('b'), b, 'logs');
    return Object.values(found).join('') === lines(0, 20);
  });
  await nodes.kill('a');
  const found = await nodes.same('logs');
  t.equal(Object.values(found).join(''), lines(0, 20));
});

await t.test('an owner that lost the end of a chunk gets it back', async (t) => {
  const nodes = new Nodes(t, ['a', 'b']);
  const [a, b] = (await nodes.startAll()) as [TestReplica, TestReplica];
  await write(a, lines(0, 10));
  await write(a, lines(10, 20));
  await nodes.same('logs');
  await nodes.kill('a');
  const chunk = `${nodes.directory('a')}/logs/a-chunk000000000`;
  const index = `${nodes.directory('a')}/.chukcha/logs/chunks/a-chunk000000000.batches`;
  await truncate(chunk, lines(0, 10).length);
  const text = await readFile(index, 'latin1');
  await writeFile(index, `${text.split('\n').slice(0, 2).join('\n')}\n`);
  const again = await nodes.start('a', { mayHaveLost: true });
  await write(again, lines(20, 25));
  const found = await nodes.same('logs');
  t.same(found, {
    'a-chunk000000000': lines(0, 20),
    'a-chunk000000016': lines(20, 25),
  });
  const category = await again.store.category('logs');
  await until(() => category.view.chunk('a-chunk000000000')?.state === 'sealed');
  const ofB = await b.store.category('logs');
  await until(() => ofB.view.chunk('a-chunk000000000')?.state === 'sealed');
});

await t.test(
  'what an owner lost and a peer has comes again as the messages of the peer',
  async (t) => {
    const nodes = new Nodes(t, ['a', 'b']);
    const [a] = (await nodes.startAll()) as [TestReplica, TestReplica];
    await write(a, lines(0, 10));
    await write(a, lines(10, 20));
    await nodes.same('logs');
    await nodes.kill('a');
    await nodes.kill('b');
    const index = `${nodes.directory('a')}/.chukcha/logs/chunks/a-chunk000000000.batches`;
    await truncate(`${nodes.directory('a')}/logs/a-chunk000000000`, lines(0, 10).length);
    await writeFile(
      index,
      `${(await readFile(index, 'latin1')).split('\n').slice(0, 2).join('\n')}\n`,
    );
    // Not told that it may have lost something, it seals what it has at once.
    await nodes.start('a');
    const { store } = await nodes.start('b');
    const found = await nodes.same('logs');
    t.same(found, { 'a-chunk000000000': lines(0, 10), 'b-chunk000000000': lines(10, 20) });
    const salvagedBytes = lines(10, 20).length;
    t.match(store.damage, { salvagedBatches: 1, salvagedBytes, quarantinedChunks: 0 });
  },
);

await t.test(
  'a second group acknowledges what a node has half of, and nothing is stored again',
  async (t) => {
    const nodes = new Nodes(t, ['a', 'b', 'c']);
    const [a, b, c] = (await nodes.startAll()) as [TestReplica, TestReplica, TestReplica];
    for (const group of ['one', 'two']) await (await a.store.category('logs')).registerGroup(group);
    await write(a, lines(0, 10));
    await nodes.same('logs');
    for (const { store } of [b, c]) {
      await until(() => store.openCategory('logs')?.acks.states.names.length === 2);
    }
    // From here on c gets nothing of a's chunk, and a does not confirm what b says.
    nodes.network.cut('memory:c', 'memory:a');
    nodes.network.cut('memory:a', 'memory:b');
    nodes.network.cut('memory:c', 'memory:b');
    await write(a, lines(10, 20));
    const ofA = await a.store.category('logs');
    await ofA.seal();
    const ofB = await b.store.category('logs');
    const ofC = await c.store.category('logs');
    const chunk = 'a-chunk000000000';
    await until(() => ofB.view.chunk(chunk)?.state === 'sealed');
    const size = ofB.view.chunk(chunk)?.size ?? 0;
    await ofB.ack(chunk, size, 'one');
    nodes.network.heal();
    nodes.network.cut('memory:c', 'memory:a');
    nodes.network.cut('memory:a', 'memory:b');
    await until(() => ofC.acks.states.has('one', 'a', 0));
    t.equal(ofC.acks.sizes.find('a', 0), size, 'known as long as half of it is here');
    t.equal(ofC.view.chunk(chunk)?.state, 'open');
    await ofB.ack(chunk, size, 'two');
    await until(() => ofC.view.chunk(chunk) === undefined);
    t.same(ofC.view.chunks, [], 'nothing of it was taken for lost');
  },
);

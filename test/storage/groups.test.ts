import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { AckSet } from '../../src/storage/ack-set.js';
import type { Category } from '../../src/storage/category.js';
import { FaultDisk } from '../support/fault-disk.js';
import { checkProperty } from '../support/seeded-random.js';
import { append, chunkFiles, openStore } from '../support/test-store.js';

const first = 'node1-chunk000000000';
const second = 'node1-chunk000000001';

/** Writes the text into a chunk of its own and seals that. */
async function sealedChunk(category: Category, text: string): Promise<string> {
  const { chunk } = await append(category, text);
  await category.seal();
  return chunk;
}

function names(category: Category, group: string): string[] {
  return category.view.list(group).map(({ name }) => name);
}

await t.test('without named groups one ack deletes', async (t) => {
  const directory = t.testdir();
  const store = await openStore({ directory });
  const category = await store.category('logs');
  const chunk = await sealedChunk(category, 'a\n');
  t.equal(category.view.chunkState({ owner: 'node1', index: 0 }), 'sealed');
  await category.ack(chunk, 2, 'default');
  t.same(await chunkFiles(directory, 'logs'), []);
  t.same(names(category, 'default'), []);
  t.equal(category.view.chunkState({ owner: 'node1', index: 0 }), 'acked');
  t.equal(category.view.chunkState({ owner: 'node1', index: 1 }), 'pending');
  await store.close();
});

await t.test('with two groups a chunk stays until both have acknowledged it', async (t) => {
  const directory = t.testdir();
  const store = await openStore({ directory });
  const category = await store.category('logs');
  await category.registerGroup('slow');
  await category.registerGroup('fast');
  const chunk = await sealedChunk(category, 'a\n');
  await category.ack(chunk, 2, 'fast');
  t.same(await chunkFiles(directory, 'logs'), [chunk]);
  t.same(names(category, 'fast'), [], 'the one that is done does not see it');
  t.same(names(category, 'slow'), [chunk]);
  t.same(names(category, 'new'), [chunk], 'a group that is not registered sees all that is there');
  await category.ack(chunk, 2, 'slow');
  t.same(await chunkFiles(directory, 'logs'), []);
  await store.close();
});

await t.test('a group is registered by its first ack too, and then holds data', async (t) => {
  const directory = t.testdir();
  const store = await openStore({ directory });
  const category = await store.category('logs');
  await category.registerGroup('a');
  const chunk = await sealedChunk(category, 'a\n');
  await category.ack(chunk, 2, 'b');
  t.same(names(category, 'a'), [chunk]);
  const next = await sealedChunk(category, 'b\n');
  await category.ack(chunk, 2, 'a');
  await category.ack(next, 2, 'a');
  t.same(await chunkFiles(directory, 'logs'), [next], 'b still holds it');
  await store.close();
});

await t.test('an ack may be repeated, also after the chunk is gone', async (t) => {
  const store = await openStore({ directory: t.testdir() });
  const category = await store.category('logs');
  const chunk = await sealedChunk(category, 'a\n');
  await Promise.all([1, 2, 3].map(() => category.ack(chunk, 2, 'default')));
  await category.ack(chunk, 2, 'default');
  await category.ack(chunk, 1, 'default');
  await store.close();
});

await t.test('what cannot be acknowledged is refused and stays', async (t) => {
  const directory = t.testdir();
  const store = await openStore({ directory });
  const category = await store.category('logs');
  const { chunk } = await append(category, 'abc\n');
  await t.rejects(category.ack(chunk, 4, 'default'), { code: 'chunk_open', fields: { size: 4 } });
  await category.seal();
  await t.rejects(category.ack(chunk, 3, 'default'), {
    code: 'ack_size_too_small',
    fields: { size: 4 },
  });
  await t.rejects(category.ack(second, 4, 'default'), { code: 'chunk_not_found' });
  await t.rejects(category.ack('../x', 4, 'default'), { code: 'invalid_name' });
  t.same(await chunkFiles(directory, 'logs'), [chunk]);
  await category.ack(chunk, 1_000, 'default');
  t.same(await chunkFiles(directory, 'logs'), [], 'more than the size covers it');
  await store.close();
});

await t.test('acks and groups survive a kill of the process', async (t) => {
  const directory = t.testdir();
  const killed = await openStore({ directory });
  const category = await killed.category('logs');
  await category.registerGroup('idle');
  const chunk = await sealedChunk(category, 'a\n');
  await category.ack(chunk, 2, 'default');
  const next = await openStore({ directory });
  const reopened = await next.category('logs');
  t.same(names(reopened, 'default'), []);
  t.same(names(reopened, 'idle'), [chunk]);
  await reopened.ack(chunk, 2, 'idle');
  t.same(await chunkFiles(directory, 'logs'), []);
  await next.close();
});

await t.test('a group of any valid name is remembered over a restart', async (t) => {
  const directory = t.testdir();
  for (const group of ['__proto__', 'constructor', 'toString', '-', '0']) {
    const before = await openStore({ directory: `${directory}/${group}` });
    await (await before.category('logs')).registerGroup('other');
    await (await before.category('logs')).registerGroup(group);
    await before.close();
    const after = await openStore({ directory: `${directory}/${group}` });
    const category = await after.category('logs');
    const chunk = await sealedChunk(category, 'a\n');
    await category.ack(chunk, 2, 'other');
    t.same(names(category, group), [chunk], `${group} still holds the chunk`);
    await after.close();
  }
});

await t.test('a node of any valid name finds its acks again', async (t) => {
  const directory = t.testdir();
  for (const nodeName of ['__proto__', 'constructor', '-chunk000000000']) {
    const options = { directory: `${directory}/${nodeName}`, nodeName };
    const before = await openStore(options);
    const category = await before.category('logs');
    await category.registerGroup('idle');
    const chunk = await sealedChunk(category, 'a\n');
    await category.ack(chunk, 2, 'default');
    const after = await openStore(options);
    t.same(names(await after.category('logs'), 'default'), [], nodeName);
    t.same(names(await after.category('logs'), 'idle'), [chunk], nodeName);
    await after.close();
  }
});

await t.test('a chunk that is made during an ack is not taken for acknowledged', async (t) => {
  const directory = t.testdir();
  const disk = new FaultDisk();
  const store = await openStore({ directory, disk });
  const category = await store.category('logs');
  const chunk = await sealedChunk(category, 'a\n');
  const creating = disk.hold('createFile', /chunk000000001$/);
  const appending = append(category, 'b\n');
  await creating.reached;
  await category.ack(chunk, 2, 'default');
  creating.release();
  t.match(await appending, { chunk: second });
  t.same(names(category, 'default'), [second], 'readers see it');
  const next = await openStore({ directory });
  t.same(names(await next.category('logs'), 'default'), [second], 'a start keeps it');
  t.same(await chunkFiles(directory, 'logs'), [second]);
  await next.close();
});

await t.test('an ack that could not be recorded is not taken for one', async (t) => {
  const directory = t.testdir();
  const disk = new FaultDisk();
  const store = await openStore({ directory, disk });
  const category = await store.category('logs');
  const chunk = await sealedChunk(category, 'a\n');
  // Twice, because the first makes the store give up its ballast and try again.
  disk.inject({ operation: 'write', path: /groups\.json/, code: 'ENOSPC' });
  disk.inject({ operation: 'write', path: /groups\.json/, code: 'ENOSPC' });
  await t.rejects(category.ack(chunk, 2, 'default'), { code: 'disk_full' });
  t.same(names(category, 'default'), [chunk]);
  await category.ack(chunk, 2, 'default');
  t.same(await chunkFiles(directory, 'logs'), [], 'the second try records and deletes');
  const file = await readFile(`${directory}/.chukcha/logs/groups.json`, 'utf8');
  t.match(JSON.parse(file), { groups: { default: { acked: { node1: { upTo: 0 } } } } });
  await store.close();
});

await t.test(
  'on a full disk an ack is recorded in the room of the ballast, which comes back',
  async (t) => {
    const directory = t.testdir();
    const disk = new FaultDisk();
    const store = await openStore({ directory, disk });
    const category = await store.category('logs');
    const ballast = `${directory}/.chukcha/ballast`;
    t.equal((await readFile(ballast)).length, 65_536);
    await category.registerGroup('slow');
    const chunk = await sealedChunk(category, 'a\n');
    disk.inject({ operation: 'createFile', path: /groups\.json/, code: 'ENOSPC' });
    await category.ack(chunk, 2, 'default');
    t.same(names(category, 'default'), []);
    await t.rejects(readFile(ballast), { code: 'ENOENT' }, 'its room is used');
    await category.ack(chunk, 2, 'slow');
    t.equal(
      (await readFile(ballast)).length,
      65_536,
      'a chunk was removed, so there is room again',
    );
    await store.close();
    const next = await openStore({ directory });
    t.same(names(await next.category('logs'), 'default'), [], 'the ack was recorded');
    await next.close();
  },
);

await t.test('a group that could not be recorded is registered by the next try', async (t) => {
  const directory = t.testdir();
  const disk = new FaultDisk();
  const store = await openStore({ directory, disk });
  const category = await store.category('logs');
  disk.inject({ operation: 'sync', path: /groups\.json/, code: 'EIO' });
  await t.rejects(category.registerGroup('a'), { code: 'storage_failed' });
  await category.registerGroup('a');
  const next = await openStore({ directory });
  const reopened = await next.category('logs');
  const chunk = await sealedChunk(reopened, 'a\n');
  await reopened.ack(chunk, 2, 'default');
  t.same(names(reopened, 'a'), [chunk], 'it holds data after a restart');
  await next.close();
});

await t.test('gaps between indexes do not make the recorded acks grow', async (t) => {
  const directory = t.testdir();
  for (let start = 0; start < 5; start += 1) {
    const killed = await openStore({ directory });
    const category = await killed.category('logs');
    const chunk = await sealedChunk(category, 'a\n');
    await category.ack(chunk, 2, 'default');
  }
  const file = await readFile(`${directory}/.chukcha/logs/groups.json`, 'utf8');
  t.same(JSON.parse(file).groups.default.acked.node1.extra, []);
});

await t.test('a list tells its changes by its version, and growth is none', async (t) => {
  const directory = t.testdir();
  const store = await openStore({ directory });
  const versions: string[] = [store.listVersion(undefined)];
  const category = await store.category('logs');
  const note = (): void => void versions.push(store.listVersion(category));
  note();
  await append(category, 'a\n');
  note();
  const afterFirst = versions.at(-1);
  await append(category, 'b\n');
  t.equal(store.listVersion(category), afterFirst, 'growth');
  await category.seal();
  note();
  await category.ack(first, 4, 'default');
  note();
  t.equal(new Set(versions).size, versions.length, versions.join(' '));
  await store.close();
  const again = await openStore({ directory });
  const version = again.listVersion(await again.category('logs'));
  t.notOk(versions.includes(version), 'the version of another start is another one');
  await again.close();
});

await t.test('an ack set holds what a plain set holds, in any order, however often', async (t) => {
  await checkProperty(t, 300, (random) => {
    const indexMax = random.pick([5, 30, 200]);
    const model = new Set<number>();
    const added: number[] = [];
    let set = new AckSet();
    for (let step = 0; step < 60; step += 1) {
      const index = random.integer(0, indexMax);
      model.add(index);
      added.push(index);
      set.add(index);
      if (random.fraction() < 0.1) set.add(random.pick(added));
      if (random.fraction() < 0.1) set = new AckSet(JSON.parse(JSON.stringify(set.toRecord())));
    }
    for (let index = 0; index <= indexMax + 2; index += 1) {
      assert.equal(set.has(index), model.has(index), `index ${index}`);
    }
    assert.equal(set.highest, Math.max(...model));
    const other = new AckSet();
    for (const index of random.shuffle(added)) other.add(index);
    assert.deepEqual(other.toRecord(), set.toRecord(), 'the same acks give the same record');
    const { upTo, extra } = set.toRecord();
    assert.ok(extra.every((index, place) => index > (extra[place - 1] ?? upTo + 1)));
  });
});

await t.test('raising an ack set adds all below the floor and nothing else', async (t) => {
  await checkProperty(t, 300, (random) => {
    const model = new Set<number>();
    const set = new AckSet();
    for (let step = 0; step < 30; step += 1) {
      if (random.fraction() < 0.7) {
        const index = random.integer(0, 60);
        model.add(index);
        set.add(index);
      } else {
        const floor = random.integer(0, 60);
        for (let index = 0; index < floor; index += 1) model.add(index);
        set.raiseTo(floor);
      }
    }
    for (let index = 0; index <= 65; index += 1) assert.equal(set.has(index), model.has(index));
    assert.equal(new AckSet().highest, -1);
  });
});

/** Has the category know groups as if peers had told of them. */
function tellGroups(category: Category, count: number, prefix: string, removed = false) {
  const groups = Array.from({ length: count }, (_, index) => {
    return [`${prefix}${index}`, { generation: 1, removed, acked: {} }] as const;
  });
  const records = { groups: Object.fromEntries(groups), expired: {} };
  return category.mergeAcks({ records, sizes: [] });
}

await t.test('a client registers no more than 1,000 groups of a category, by no way', async (t) => {
  const store = await openStore({ directory: t.testdir() });
  const category = await store.category('logs');
  const chunk = await sealedChunk(category, 'a\n');
  await tellGroups(category, 998, 'g');
  await category.registerGroup('last-but-one');
  const outcomes = await Promise.allSettled(
    ['x', 'x', 'y'].map((group) => category.ack(chunk, 2, group)),
  );
  t.same(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected'],
  );
  const refusal = { code: 'too_many_groups', message: /has 1000 groups: remove those/ };
  await t.rejects(category.registerGroup('z'), refusal);
  await t.rejects(category.ack(chunk, 2, 'default'), refusal);
  await category.registerGroup('g5');
  await category.ack(chunk, 2, 'g5');
  t.equal(category.acks.states.names.length, 1_000);
  await category.removeGroup('x');
  await category.registerGroup('z');
  await tellGroups(category, 1, 'of-a-peer');
  t.equal(category.acks.states.names.length, 1_001, 'what peers know is taken');
  await store.close();
});

await t.test('a removed group is forgotten where nobody else has a word of it', async (t) => {
  const directory = t.testdir();
  const store = await openStore({ directory });
  const category = await store.category('logs');
  const chunk = await sealedChunk(category, 'a\n');
  await category.registerGroup('slow');
  await category.registerGroup('short');
  await category.ack(chunk, 2, 'short');
  await category.removeGroup('short');
  t.equal(category.acks.states.nameCount, 1);
  const text = await readFile(`${directory}/.chukcha/logs/groups.json`, 'utf8');
  t.notMatch(text, /short/);
  await category.registerGroup('short');
  t.same(names(category, 'short'), [chunk], 'and is a new one when it comes back');
  await store.close();
});

await t.test('where removed groups are remembered, there are 10,000 names for them', async (t) => {
  const store = await openStore({ directory: t.testdir() });
  const category = await store.category('logs');
  await tellGroups(category, 9_999, 'g', true);
  await category.registerGroup('a');
  const refusal = { code: 'too_many_groups', message: /has had 10000 groups.* take one of them/ };
  await t.rejects(category.registerGroup('b'), refusal);
  await category.registerGroup('g7');
  t.same(category.acks.states.names, ['a', 'g7']);
  await store.close();
});

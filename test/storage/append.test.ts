import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import t from 'tap';
import { errorCode } from '../../src/protocol/chukcha-error.js';
import { FakeClock } from '../support/fake-clock.js';
import { FaultDisk } from '../support/fault-disk.js';
import { checkProperty } from '../support/seeded-random.js';
import { append, appendPieces, chunkFiles, openStore, readChunk } from '../support/test-store.js';

const first = 'node1-chunk000000000';
const second = 'node1-chunk000000001';

await t.test('what was appended is in the file, where the answer says', async (t) => {
  const directory = t.testdir();
  const store = await openStore({ directory });
  const category = await store.category('logs');
  t.notOk(category.exists);
  t.same(await append(category, 'a\n'), {
    chunk: first,
    offset: 0,
    size: 2,
    duplicate: false,
  });
  t.same(await append(category, 'bc\nd\n'), {
    chunk: first,
    offset: 2,
    size: 5,
    duplicate: false,
  });
  t.equal((await readChunk(directory, 'logs', first)).toString(), 'a\nbc\nd\n');
  t.ok(category.exists);
  t.same(await store.listCategories(), ['logs']);
  t.same(category.view.list('default'), [{ name: first, complete: false, size: 7 }]);
  await store.close();
});

await t.test('many appends at once share write calls, and each finds its own bytes', async (t) => {
  const directory = t.testdir();
  const disk = new FaultDisk();
  const store = await openStore({ directory, disk });
  const category = await store.category('logs');
  const batches = Array.from({ length: 500 }, (_, index) => `batch ${index}\nsecond line\n`);
  const answers = await Promise.all(batches.map((batch) => append(category, batch)));
  const content = await readChunk(directory, 'logs', first);
  let end = 0;
  for (const [index, { chunk, offset, size }] of answers.entries()) {
    assert.equal(chunk, first);
    assert.equal(offset, end, 'offsets are contiguous, in the order of the calls');
    assert.equal(content.subarray(offset, offset + size).toString(), batches[index]);
    end = offset + size;
  }
  t.equal(end, content.length);
  const writeCount = disk.count('write', /chunk000000000$/);
  t.ok(
    writeCount < batches.length / 10,
    `${batches.length} batches took ${writeCount} write calls`,
  );
  await store.close();
});

await t.test('appends that come while a commit is under way share the next one', async (t) => {
  const disk = new FaultDisk();
  const store = await openStore({ directory: t.testdir(), disk });
  const category = await store.category('logs');
  const hold = disk.hold('write', /chunk000000000$/);
  // Above 64 KiB the write goes through the thread pool, so that it can be held here.
  const large = append(category, Buffer.from(`${'x'.repeat(100_000)}\n`));
  await hold.reached;
  const waiting = Array.from({ length: 50 }, () => append(category, 'waits\n'));
  hold.release();
  await Promise.all([large, ...waiting]);
  t.equal(disk.count('write', /chunk000000000$/), 2);
  await store.close();
});

await t.test('appends that ask for durability share one fdatasync', async (t) => {
  const disk = new FaultDisk();
  const store = await openStore({ directory: t.testdir(), disk });
  const category = await store.category('logs');
  await Promise.all(Array.from({ length: 100 }, () => append(category, 'a\n', true)));
  t.equal(disk.count('sync', /chunk000000000$/), 1);
  t.equal(
    disk.count('syncDirectory', /(?<!\.chukcha\/)logs$/),
    1,
    "the chunk's name was made durable too",
  );
  await append(category, 'b\n', true);
  t.equal(disk.count('sync', /chunk000000000$/), 2);
  t.equal(disk.count('syncDirectory', /(?<!\.chukcha\/)logs$/), 1, 'a name is made durable once');
  await append(category, 'c\n');
  t.equal(disk.count('sync', /chunk000000000$/), 2, 'without asking there is no fdatasync');
  await store.close();
});

await t.test('a chunk that has reached its size is sealed by the next append', async (t) => {
  const directory = t.testdir();
  const store = await openStore({ directory, chunkBytesMax: 10 });
  const category = await store.category('logs');
  t.equal((await append(category, '12345678\n')).chunk, first, 'below the size');
  t.equal((await append(category, 'a batch never straddles chunks\n')).chunk, first);
  t.same(await append(category, 'next\n'), { chunk: second, offset: 0, size: 5, duplicate: false });
  t.same(category.view.list('default'), [
    { name: first, complete: true, size: 40 },
    { name: second, complete: false, size: 5 },
  ]);
  await store.close();
});

await t.test('appends at once rotate as appends one by one do', async (t) => {
  const directory = t.testdir();
  const store = await openStore({ directory, chunkBytesMax: 100 });
  const category = await store.category('logs');
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      append(category, `message ${String(index).padStart(11)}\n`),
    ),
  );
  t.equal(new Set(answers.map((answer) => answer.chunk)).size, 8, '5 of 20 bytes fit into each');
  t.same(
    category.view.list('default').map(({ size }) => size),
    [100, 100, 100, 100, 100, 100, 100, 100],
  );
  await store.close();
});

await t.test('every answer matches the files for any mix of sizes and moments', async (t) => {
  let run = 0;
  const directory = t.testdir();
  await checkProperty(t, 15, async (random) => {
    run += 1;
    const options = { directory: `${directory}/${run}`, chunkBytesMax: random.integer(1, 5_000) };
    const store = await openStore(options);
    const category = await store.category('logs');
    const stored: { readonly bytes: Buffer; readonly answer: ReturnType<typeof append> }[] = [];
    for (let index = 0; index < 60; index += 1) {
      const large = random.fraction() < 0.05;
      const length = large ? random.integer(60_000, 200_000) : random.integer(0, 2_000);
      const bytes = Buffer.from(`${String(index).repeat(length).slice(0, length)}\n`);
      const pieces = random.split(bytes, 3);
      stored.push({
        bytes,
        answer: appendPieces(category, pieces, random.fraction() < 0.1),
      });
      if (random.fraction() < 0.3) await stored.at(-1)?.answer;
      if (random.fraction() < 0.1) await category.seal();
    }
    const sizes = new Map<string, number>();
    for (const { bytes, answer } of stored) {
      const { chunk, offset, size } = await answer;
      assert.equal(offset, sizes.get(chunk) ?? 0);
      sizes.set(chunk, offset + size);
      const content = await readChunk(options.directory, 'logs', chunk);
      assert.ok(content.subarray(offset, offset + size).equals(bytes));
    }
    assert.deepEqual(
      category.view.list('default').map(({ name, size }) => [name, size]),
      [...sizes],
    );
    await store.close();
  });
});

await t.test('a chunk of tiny batches is sealed before its index grows without end', async (t) => {
  const store = await openStore({ directory: t.testdir() });
  const category = await store.category('logs');
  const producer = 'p'.repeat(64);
  const batchCount = 110_000;
  for (let sent = 0; sent < batchCount; sent += 1_000) {
    const sends = Array.from({ length: 1_000 }, (_, index) =>
      append(category, '\n', false, { producer, sequence: 1_000_000_000 + sent + index }),
    );
    await Promise.all(sends);
  }
  const [sealed, open] = category.view.list('default');
  t.match(sealed, { complete: true });
  t.match(open, { complete: false, size: batchCount - (sealed?.size ?? 0) });
  await store.close();
});

await t.test('every name above what is durable is durable too', async (t) => {
  const directory = t.testdir();
  const disk = new FaultDisk();
  const store = await openStore({ directory, disk });
  const category = await store.category('logs');
  // By the contract of the disk, a directory that was made is durable with those above it.
  const isDurable = (name: string): boolean =>
    disk.calls.some(
      ({ operation, path }) =>
        (operation === 'makeDirectory' && relative(directory, path).startsWith(name)) ||
        (operation === 'syncDirectory' && relative(directory, path) === dirname(name)),
    );
  const { chunk } = await append(category, 'a\n', true);
  for (const name of ['logs', `logs/${chunk}`]) t.ok(isDurable(name), name);
  await category.seal();
  await category.ack(chunk, 2, 'default');
  const stateNames = ['groups.json', 'next-chunk-index.json'].map(
    (name) => `.chukcha/logs/${name}`,
  );
  for (const name of ['.chukcha', '.chukcha/logs', ...stateNames]) t.ok(isDurable(name), name);
  await store.close();
});

await t.test('what was written is durable one interval later', async (t) => {
  const clock = new FakeClock();
  const disk = new FaultDisk();
  const store = await openStore({ directory: t.testdir(), disk, clock, flushIntervalMs: 1_000 });
  const category = await store.category('logs');
  await append(category, 'a\n');
  clock.advance(999);
  t.equal(disk.count('sync', /chunk000000000$/), 0);
  const hold = disk.hold('sync', /chunk000000000$/);
  clock.advance(1);
  await hold.reached;
  hold.release();
  await store.close();
  t.ok(disk.count('syncDirectory', /(?<!\.chukcha\/)logs$/) >= 1);
});

await t.test('a chunk is durable to its end before its file is closed', async (t) => {
  const clock = new FakeClock();
  const disk = new FaultDisk();
  const store = await openStore({ directory: t.testdir(), disk, clock, flushIntervalMs: 1_000 });
  const category = await store.category('logs');
  await append(category, 'a\n');
  const hold = disk.hold('sync', /chunk000000000$/, 'after');
  clock.advance(1_000);
  await hold.reached;
  // While the first fdatasync is under way the chunk grows and is sealed.
  await append(category, 'b\n');
  await category.seal();
  const closing = disk.hold('close', /chunk000000000$/);
  hold.release();
  clock.advance(1_000);
  await closing.reached;
  closing.release();
  await store.close();
  const calls = disk.calls
    .filter(({ path }) => path.endsWith('chunk000000000'))
    .map(({ operation }) => operation)
    .filter((operation) => ['write', 'sync', 'close'].includes(operation));
  t.equal(calls.filter((operation) => operation === 'close').length, 1);
  t.ok(calls.lastIndexOf('sync') > calls.lastIndexOf('write'), calls.join(' '));
  t.ok(calls.lastIndexOf('close') > calls.lastIndexOf('sync'), calls.join(' '));
});

await t.test('a store that closes writes what waits and refuses what comes later', async (t) => {
  const directory = t.testdir();
  const disk = new FaultDisk();
  const store = await openStore({ directory, disk });
  const category = await store.category('logs');
  const waiting = append(category, 'in time\n');
  await store.close();
  t.match(await waiting, { chunk: first, offset: 0 });
  t.equal(await append(category, 'too late\n').catch(errorCode), 'draining');
  t.equal((await readChunk(directory, 'logs', first)).toString(), 'in time\n');
  t.same(category.view.list('default'), [{ name: first, complete: true, size: 8 }]);
  t.ok(disk.count('sync', /chunk000000000$/) >= 1);
  await t.resolves(store.close(), 'closing again does nothing');
});

await t.test('categories do not see each other', async (t) => {
  const directory = t.testdir();
  const store = await openStore({ directory });
  const names = ['a', 'B', '-', '_x', 'c'.repeat(128)];
  for (const name of names) await append(await store.category(name), `${name}\n`);
  t.same(await store.listCategories(), [...names].sort());
  for (const name of names) {
    t.same(await chunkFiles(directory, name), [first]);
    t.equal((await readFile(`${directory}/${name}/${first}`)).toString(), `${name}\n`);
  }
  await t.rejects(async () => store.category('../outside'), { code: 'invalid_name' });
  await t.rejects(async () => store.knownCategory('a/b'), { code: 'invalid_name' });
  t.equal(await store.knownCategory('never-seen'), undefined);
  await store.close();
});

import { writeFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import type { Category } from '../../src/storage/category.js';
import type { Store } from '../../src/storage/store.js';
import { FakeClock } from '../support/fake-clock.js';
import { type Fault, FaultDisk } from '../support/fault-disk.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { append, chunkFiles, openStore, readChunk } from '../support/test-store.js';

const first = 'node1-chunk000000000';
const second = 'node1-chunk000000001';
const chunkFile = /chunk\d{9}$/;
/** The directory of the chunks, and not that of their indexes. */
const ownDirectory = /(?<!\.chukcha\/)logs$/;

/** Above 64 KiB a write goes through the thread pool, below it is made at once; both have to cope. */
const batches = { small: 'x'.repeat(99), large: 'y'.repeat(300_000) };

interface Faulty {
  readonly directory: string;
  readonly disk: FaultDisk;
  readonly clock: FakeClock;
  readonly log: RecordingLogger;
  readonly store: Store;
  readonly category: Category;
}

async function openFaulty(directory: string): Promise<Faulty> {
  const ports = { disk: new FaultDisk(), clock: new FakeClock(), log: new RecordingLogger() };
  const store = await openStore({ directory, ...ports });
  return { directory, ...ports, store, category: await store.category('logs') };
}

async function refusedWrite(t: Test, kind: string, batch: string, faults: Fault[]): Promise<void> {
  const { directory, disk, store, category } = await openFaulty(t.testdir());
  await append(category, 'before\n');
  for (const fault of faults) disk.inject({ path: chunkFile, ...fault });
  await t.rejects(append(category, `${batch}\n`), { code: 'disk_full' }, `${kind}: is refused`);
  const left = (await readChunk(directory, 'logs', first)).toString();
  t.equal(left, 'before\n', `${kind}: the file is as before`);
  t.same(category.view.list('default'), [{ name: first, complete: false, size: 7 }]);
  disk.heal();
  const later = await append(category, 'after\n');
  t.same(
    later,
    { chunk: first, offset: 7, size: 6, duplicate: false },
    `${kind}: later writes go on`,
  );
  await store.close();
  const content = (await readChunk(directory, 'logs', first)).toString();
  t.equal(content, 'before\nafter\n');
}

await t.test('a full disk refuses the batch and leaves the file as it was', async (t) => {
  for (const [kind, batch] of Object.entries(batches)) {
    await refusedWrite(t, kind, batch, [{ operation: 'write', code: 'ENOSPC' }]);
    await refusedWrite(t, kind, batch, [{ operation: 'write', code: 'EDQUOT' }]);
  }
});

await t.test('a disk that fills up in the middle of a batch leaves no part of it', async (t) => {
  for (const [kind, batch] of Object.entries(batches)) {
    await refusedWrite(t, kind, batch, [
      { operation: 'write', takeBytes: 60 },
      { operation: 'write', code: 'ENOSPC' },
    ]);
  }
});

await t.test('short writes alone are completed', async (t) => {
  const { directory, disk, store, category } = await openFaulty(t.testdir());
  for (const text of [batches.small, batches.large]) {
    for (const takeBytes of [1, 40, 7])
      disk.inject({ operation: 'write', path: chunkFile, takeBytes });
    const pieces = [text.slice(0, 10), text.slice(10, 50), `${text.slice(50)}\n`].map((piece) =>
      Buffer.from(piece),
    );
    await category.append({ pieces, byteCount: text.length + 1, sync: false });
  }
  await store.close();
  const content = (await readChunk(directory, 'logs', first)).toString();
  t.ok(content === `${batches.small}\n${batches.large}\n`);
});

await t.test('a disk that takes nothing without an error refuses the batch', async (t) => {
  const { directory, disk, store, category } = await openFaulty(t.testdir());
  await append(category, 'before\n');
  disk.inject({ operation: 'write', path: chunkFile, takeBytes: 0, times: 2 });
  await t.rejects(append(category, 'refused\n'), { code: 'storage_failed' });
  t.match(await append(category, 'after\n'), { offset: 7 });
  await store.close();
  t.equal((await readChunk(directory, 'logs', first)).toString(), 'before\nafter\n');
});

await t.test('all batches of a commit that failed are refused, and none is stored', async (t) => {
  const { directory, disk, store, category } = await openFaulty(t.testdir());
  disk.inject({ operation: 'write', path: chunkFile, code: 'ENOSPC' });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, () => append(category, 'refused\n')),
  );
  t.ok(outcomes.every(({ status }) => status === 'rejected'));
  t.equal((await readChunk(directory, 'logs', first)).length, 0);
  t.match(await append(category, 'after\n'), { offset: 0 });
  await store.close();
});

await t.test('a torn end that cannot be mended ends its chunk, and writes go on', async (t) => {
  const { directory, disk, store, category } = await openFaulty(t.testdir());
  await append(category, 'before\n');
  disk.inject({ operation: 'write', path: chunkFile, takeBytes: 3 });
  disk.inject({ operation: 'write', path: chunkFile, code: 'EIO' });
  disk.inject({ operation: 'truncate', path: chunkFile, code: 'EIO' });
  await t.rejects(append(category, 'refused\n'), { code: 'storage_failed' });
  t.same(category.view.list('default'), [{ name: first, complete: true, size: 7 }]);
  t.same(await append(category, 'after\n'), {
    chunk: second,
    offset: 0,
    size: 6,
    duplicate: false,
  });
  await store.close();
  const again = await openStore({ directory });
  t.same((await again.category('logs')).view.list('default'), [
    { name: first, complete: true, size: 7 },
    { name: second, complete: true, size: 6 },
  ]);
  await again.close();
});

await t.test('a disk without room for a new chunk refuses, and recovers by itself', async (t) => {
  const faults: readonly Fault[] = [
    { operation: 'createFile', path: chunkFile, code: 'ENOSPC' },
    { operation: 'write', path: /next-chunk-index/, code: 'ENOSPC' },
    { operation: 'makeDirectory', path: /(?<!\.chukcha\/)logs$/, code: 'EDQUOT' },
  ];
  for (const fault of faults) {
    const { disk, store, category } = await openFaulty(t.testdir());
    disk.inject(fault);
    await t.rejects(append(category, 'a\n'), { code: 'disk_full' }, fault.operation);
    t.same(category.view.list('default'), []);
    t.match(await append(category, 'b\n'), { offset: 0, size: 2 });
    await store.close();
  }
});

await t.test('a category that could not be opened is tried again', async (t) => {
  const { disk, store } = await openFaulty(t.testdir());
  disk.inject({ operation: 'makeDirectory', path: /other(\/chunks)?$/, code: 'ENOSPC' });
  await t.rejects(store.category('other'), { code: 'disk_full' });
  t.match(await append(await store.category('other'), 'a\n'), { offset: 0 });
  await store.close();
});

await t.test('after a failed fdatasync there are no more writes, only reads', async (t) => {
  const { directory, disk, log, store, category } = await openFaulty(t.testdir());
  await append(category, 'before\n');
  disk.inject({ operation: 'sync', path: chunkFile, code: 'EIO' });
  const [plain, durable] = await Promise.allSettled([
    append(category, 'plain\n'),
    append(category, 'durable\n', true),
  ]);
  t.equal(plain?.status, 'fulfilled', 'what did not ask for durability was answered before');
  t.match(durable, { status: 'rejected', reason: { code: 'storage_failed' } });
  const writeCount = disk.count('write', chunkFile);
  await t.rejects(append(category, 'more\n'), { code: 'storage_failed' });
  await t.rejects(append(category, 'more\n', true), { code: 'storage_failed' });
  t.equal(disk.count('write', chunkFile), writeCount);
  t.equal(disk.count('sync', chunkFile), 1, 'a failed fdatasync is never tried again');
  t.match(log.entries, [{ level: 'error', sentence: 'Stopped taking writes.' }]);
  t.match((await readChunk(directory, 'logs', first)).toString(), /^before\nplain\n/);
  await t.rejects(
    append(await store.category('other'), 'a\n'),
    { code: 'storage_failed' },
    'nor in other categories: they share the disk',
  );
  await store.close();
});

await t.test('a failed fdatasync in the background stops the writes too', async (t) => {
  const { disk, clock, log, store, category } = await openFaulty(t.testdir());
  await append(category, 'before\n');
  disk.inject({ operation: 'sync', path: chunkFile, code: 'EIO' });
  clock.advance(1_000);
  await log.first('error');
  await t.rejects(append(category, 'more\n'), { code: 'storage_failed' });
  t.equal(log.entries.length, 1, 'the log says so once');
  await t.resolves(store.close());
});

await t.test('what waits behind a failed fdatasync is refused with it', async (t) => {
  const { disk, store, category } = await openFaulty(t.testdir());
  await append(category, 'before\n');
  disk.inject({ operation: 'sync', path: chunkFile, code: 'EIO' });
  const syncing = disk.hold('sync', chunkFile);
  const durable = append(category, 'durable\n', true);
  await syncing.reached;
  const waiting = append(category, 'waits\n', true);
  t.match(await append(category, 'plain\n'), { offset: 21 }, 'others need not wait for the disk');
  syncing.release();
  await t.rejects(durable, { code: 'storage_failed' });
  await t.rejects(waiting, { code: 'storage_failed' });
  await t.rejects(append(category, 'plain\n'), { code: 'storage_failed' });
  await store.close();
});

await t.test('a chunk that cannot be removed counts as acknowledged all the same', async (t) => {
  const { directory, disk, store, category } = await openFaulty(t.testdir());
  await append(category, 'a\n');
  await category.seal();
  disk.inject({ operation: 'removeFile', path: chunkFile, code: 'EIO' });
  await category.ack(first, 2, 'default').catch(() => undefined);
  await category.ack(first, 2, 'default');
  t.same(category.view.list('default'), []);
  await store.close();
  const again = await openStore({ directory });
  t.same(await chunkFiles(directory, 'logs'), [], 'the next start removes it');
  await again.close();
});

await t.test('a store on a full disk closes all the same', async (t) => {
  const { directory, disk, store, category } = await openFaulty(t.testdir());
  await append(category, 'a\n');
  await append(await store.category('other'), 'b\n');
  disk.inject({ operation: 'createFile', code: 'ENOSPC', times: Number.POSITIVE_INFINITY });
  await t.resolves(store.close());
  t.equal(disk.count('close', chunkFile), 2, 'every chunk is durable and closed');
  const again = await openStore({ directory });
  t.same((await again.category('logs')).view.list('default'), [
    { name: first, complete: true, size: 2 },
  ]);
  await again.close();
});

await t.test('a directory that cannot be read stops the start', async (t) => {
  const directory = t.testdir();
  const before = await openStore({ directory });
  await append(await before.category('logs'), 'a\n');
  await before.close();
  for (const operation of ['listDirectory', 'openFile', 'size'] as const) {
    const disk = new FaultDisk();
    disk.inject({ operation, path: /(?<!\.chukcha\/)logs($|\/)/, code: 'EIO' });
    await t.rejects(openStore({ directory, disk }), { code: 'storage_failed' }, operation);
  }
  await writeFile(`${directory}/blocked`, '');
  await t.rejects(
    openStore({ directory }).then(async (store) => append(await store.category('blocked'), 'a\n')),
    { code: 'storage_failed' },
    'a file in the place of a category',
  );
});

await t.test('a synced write that waits behind a sync that fails is not answered', async (t) => {
  const { disk, clock, store, category } = await openFaulty(t.testdir());
  await append(category, 'a\n');
  const syncing = disk.hold('sync', chunkFile);
  disk.inject({ operation: 'sync', path: chunkFile, code: 'EIO' });
  clock.advance(1_000);
  await syncing.reached;
  const synced = append(category, 'b\n', true);
  syncing.release();
  await t.rejects(synced, { code: 'storage_failed' });
  await t.rejects(append(category, 'c\n'), { code: 'storage_failed' });
  t.equal(disk.count('sync', chunkFile), 1, 'and it is not tried again');
  await store.close();
  t.equal(disk.count('sync', chunkFile), 1);
});

await t.test('without a free descriptor a sync is tried again later', async (t) => {
  const { disk, clock, log, store, category } = await openFaulty(t.testdir());
  disk.inject({ operation: 'syncDirectory', path: ownDirectory, code: 'EMFILE', times: 2 });
  await t.rejects(append(category, 'a\n', true), { code: 'storage_failed', message: /ulimit -n/ });
  await append(category, 'b\n', true);
  t.same(log.entries, [], 'the category goes on');
  clock.advance(1_000);
  await store.close();
});

await t.test('a stop that could not make all durable is no clean one', async (t) => {
  const { directory, disk, store, category } = await openFaulty(t.testdir());
  await append(category, 'a\n');
  disk.inject({ operation: 'syncDirectory', path: ownDirectory, code: 'EMFILE', times: 100 });
  await store.close();
  const next = new FaultDisk();
  const again = await openStore({ directory, disk: next });
  t.equal(next.count('syncDirectory', ownDirectory), 1, 'the next start does it');
  t.match((await again.category('logs')).view.list('default'), [{ name: first, size: 2 }]);
  await again.close();
});

await t.test('files that are durable give up their descriptors for the name', async (t) => {
  const { directory, disk, store, category } = await openFaulty(t.testdir());
  disk.inject({ operation: 'syncDirectory', path: ownDirectory, code: 'EMFILE' });
  await append(category, 'a\n', true);
  t.equal(disk.count('close', chunkFile), 1);
  t.equal(disk.count('close', /chunk\d{9}\.batches$/), 1);
  await append(category, 'b\n', true);
  t.equal((await readChunk(directory, 'logs', first)).toString(), 'a\nb\n', 'and come back');
  await store.close();
});

await t.test('a write without a free descriptor is refused, and says which limit', async (t) => {
  const { disk, store, category } = await openFaulty(t.testdir());
  disk.inject({ operation: 'createFile', code: 'EMFILE' });
  await t.rejects(append(category, 'a\n'), {
    code: 'storage_failed',
    message: /no file descriptor left to write .*ulimit -n.*nothing was stored/,
  });
  await append(category, 'a\n');
  await store.close();
});

await t.test(
  'after a kill, what is recovered is made durable; after a clean stop it is already',
  async (t) => {
    const directory = t.testdir();
    const killed = await openStore({ directory });
    await append(await killed.category('logs'), 'a\n');
    const disk = new FaultDisk();
    const store = await openStore({ directory, disk });
    t.equal(disk.count('sync', chunkFile), 1);
    t.equal(disk.count('syncDirectory', /logs$/) > 0, true);
    await store.close();
    const calm = new FaultDisk();
    const next = await openStore({ directory, disk: calm });
    t.equal(calm.count('sync', chunkFile), 0);
    await next.close();
  },
);

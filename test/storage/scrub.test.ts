import { readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import type { Category } from '../../src/storage/category.js';
import type { Store } from '../../src/storage/store.js';
import { FakeClock } from '../support/fake-clock.js';
import { FaultDisk } from '../support/fault-disk.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { append, chunkFiles, chunkPath, openStore } from '../support/test-store.js';

function nameOf(index: number): string {
  return `node1-chunk${String(index).padStart(9, '0')}`;
}

interface Opened {
  readonly directory: string;
  readonly disk: FaultDisk;
  readonly clock: FakeClock;
  readonly log: RecordingLogger;
  readonly store: Store;
  readonly category: Category;
}

async function open(t: Test, directory = t.testdir()): Promise<Opened> {
  const ports = { disk: new FaultDisk(), clock: new FakeClock(), log: new RecordingLogger() };
  const store = await openStore({ directory, ...ports });
  return { directory, ...ports, store, category: await store.category('logs') };
}

/** Two sealed and durable chunks of three batches each, of which none is open any more. */
async function openWithChunks(t: Test): Promise<Opened> {
  const before = await open(t);
  for (const chunk of ['a', 'b']) {
    for (const line of ['1', '2', '3']) await append(before.category, `batch ${chunk}${line}\n`);
    await before.category.seal();
  }
  await before.store.close();
  return open(t, before.directory);
}

/** Checks all chunks, and lets the time pass that it takes for that. */
async function scrub({ store, clock }: Opened): Promise<void> {
  let isDone = false;
  const done = store.scrub().finally(() => {
    isDone = true;
  });
  while (!isDone) {
    clock.advance(10);
    await new Promise(setImmediate);
  }
  await done;
}

async function flip(path: string, place: number): Promise<void> {
  const content = await readFile(path);
  content[place] = (content[place] ?? 0) ^ 1;
  await writeFile(path, content);
}

function indexPath(directory: string, name: string): string {
  return `${directory}/.chukcha/logs/chunks/${name}.batches`;
}

/** Everything that a group that is new is shown. */
async function readAll({ directory, category }: Opened): Promise<string> {
  let content = '';
  for (const { name, size } of category.view.list('new')) {
    const file = await readFile(chunkPath(directory, 'logs', name), 'latin1');
    content += file.slice(0, size);
  }
  return content;
}

function quarantined(directory: string): Promise<string[]> {
  return readdir(`${directory}/.quarantine/logs`).catch(() => []);
}

await t.test('a check of intact chunks changes nothing and is told', async (t) => {
  const opened = await openWithChunks(t);
  await append(opened.category, 'open\n');
  t.equal(opened.store.lastScrub, undefined);
  await scrub(opened);
  t.same(opened.log.entries, []);
  t.match(opened.store.lastScrub, { checkedBytes: 54 }, 'an open chunk is not looked at');
  t.equal(opened.category.view.held().chunks, 3);
  await opened.store.close();
});

await t.test('a flipped bit moves the chunk aside, and the rest is stored again', async (t) => {
  const opened = await openWithChunks(t);
  const { directory, log, store, category } = opened;
  await flip(chunkPath(directory, 'logs', nameOf(0)), 12);
  const found = await readFile(chunkPath(directory, 'logs', nameOf(0)));
  const chunk = category.view.chunk(nameOf(0));
  await scrub(opened);
  t.equal(await readAll(opened), 'batch b1\nbatch b2\nbatch b3\nbatch a1\nbatch a3\n');
  t.equal(chunk?.state, 'removed', 'who reads it is told');
  t.same(await quarantined(directory), [nameOf(0), `${nameOf(0)}.batches`]);
  t.same(await readFile(`${directory}/.quarantine/logs/${nameOf(0)}`), found, 'as it was found');
  t.match(log.entries, [
    { level: 'error', fields: { chunk: nameOf(0), savedBytes: 18, damaged: '9-17' } },
  ]);
  const counted = {
    quarantinedChunks: 1,
    salvagedBatches: 2,
    salvagedBytes: 18,
    lostBytes: 9,
    divergentChunks: 0,
    scrubFindings: { damaged: 1, missing: 0, indexDamaged: 0 },
  };
  t.same(store.damage, counted);
  await scrub(opened);
  t.same(store.damage, counted);
  t.equal(log.entries.length, 1, 'the next check finds nothing more');
  await store.close();
  const next = await open(t, directory);
  t.equal(await readAll(next), 'batch b1\nbatch b2\nbatch b3\nbatch a1\nbatch a3\n');
  await next.store.close();
});

await t.test('what is saved is durable before the chunk is moved', async (t) => {
  const { directory, disk, store, category, clock } = await openWithChunks(t);
  await flip(chunkPath(directory, 'logs', nameOf(0)), 0);
  await scrub({ directory, disk, store, category, clock, log: new RecordingLogger() });
  const calls = disk.calls.filter(({ operation, path }) =>
    operation === 'rename' ? path.includes('quarantine') : /chunk000000002/.test(path),
  );
  const moved = calls.findIndex(({ operation }) => operation === 'rename');
  const written = new Set(calls.flatMap((call) => (call.operation === 'write' ? call.path : [])));
  t.equal(written.size, 2, 'the chunk that takes what is saved, and its index');
  for (const path of written) {
    const last = (wanted: string) =>
      calls.findLastIndex((call) => call.operation === wanted && call.path === path);
    t.ok(last('sync') > last('write'), `${path} is synced after its last write`);
    t.ok(moved > last('sync'), `${path} is synced before the damaged chunk is moved`);
  }
  await store.close();
});

await t.test('a crash at any step of a rescue loses no intact batch', async (t) => {
  const steps = [
    ['sync', /chunk000000002$/],
    ['rename', /quarantine.*chunk000000000$/],
    ['syncDirectory', /quarantine\/logs$/],
    ['rename', /quarantine.*batches$/],
  ] as const;
  for (const [operation, path] of steps) {
    for (const phase of ['before', 'after'] as const) {
      const { directory, disk, clock, store } = await openWithChunks(t);
      await flip(chunkPath(directory, 'logs', nameOf(0)), 9);
      const held = disk.hold(operation, path, phase);
      let isHeld = false;
      void held.reached.then(() => {
        isHeld = true;
      });
      void store.scrub();
      while (!isHeld) {
        clock.advance(10);
        await new Promise(setImmediate);
      }
      // The process is killed here.
      const next = await open(t, directory);
      await scrub(next);
      const what = `${phase} ${operation} ${path}`;
      const lines = new Set((await readAll(next)).split('\n'));
      for (const line of ['a1', 'a3', 'b1', 'b2', 'b3']) t.ok(lines.has(`batch ${line}`), what);
      t.equal(lines.size, 6, `${what}: and nothing that is damaged`);
      await next.store.close();
    }
  }
});

await t.test('a damaged index of an intact chunk is made again', async (t) => {
  for (const place of [3, 22, 40]) {
    const opened = await openWithChunks(t);
    const { directory, log, store, category } = opened;
    await flip(indexPath(directory, nameOf(1)), place);
    await scrub(opened);
    t.match(log.entries, [{ level: 'warn', fields: { chunk: nameOf(1) } }], `byte ${place}`);
    t.equal(category.view.held().chunks, 2);
    t.same(await quarantined(directory), []);
    t.match(store.damage, { scrubFindings: { indexDamaged: 1, damaged: 0 } });
    await scrub(opened);
    t.equal(log.entries.length, 1, 'once');
    await store.close();
  }
});

await t.test('a chunk that lost bytes is damaged where they are missing', async (t) => {
  const opened = await openWithChunks(t);
  const { directory, log, store } = opened;
  await truncate(chunkPath(directory, 'logs', nameOf(1)), 17);
  await scrub(opened);
  t.equal(await readAll(opened), 'batch a1\nbatch a2\nbatch a3\nbatch b1\n');
  t.match(log.entries, [{ level: 'error', fields: { damaged: '9-26', damagedBytes: 18 } }]);
  await store.close();
});

await t.test('a missing file is told, and comes back when it is put back', async (t) => {
  const opened = await openWithChunks(t);
  const { directory, log, store, category } = opened;
  const path = chunkPath(directory, 'logs', nameOf(0));
  await rename(path, `${directory}/elsewhere`);
  await scrub(opened);
  t.match(log.entries, [
    { level: 'error', sentence: /is missing: put it back/, fields: { chunk: nameOf(0) } },
  ]);
  t.equal(category.view.list('default').length, 2, 'nobody has acknowledged it');
  t.match(store.damage, { scrubFindings: { missing: 1 }, quarantinedChunks: 0, lostBytes: 0 });
  await rename(`${directory}/elsewhere`, path);
  await scrub(opened);
  t.equal(log.entries.length, 1);
  await rm(path);
  await category.ack(nameOf(0), 27, 'default');
  t.equal(log.entries.length, 1, 'and one that is gone can be acknowledged');
  t.same(await readdir(`${directory}/.chukcha/logs/chunks`), [`${nameOf(1)}.batches`]);
  await store.close();
});

await t.test('a chunk that cannot be read does not keep the others from a check', async (t) => {
  const opened = await openWithChunks(t);
  const { directory, disk, log, store } = opened;
  await flip(chunkPath(directory, 'logs', nameOf(1)), 0);
  disk.inject({ operation: 'read', path: /chunk000000000$/, code: 'EIO' });
  await scrub(opened);
  t.match(log.entries, [
    { level: 'warn', fields: { chunk: nameOf(0), error: /EIO/ } },
    { level: 'error', fields: { chunk: nameOf(1) } },
  ]);
  await store.close();
});

await t.test('bytes that were damaged on their way are looked at once more', async (t) => {
  const opened = await openWithChunks(t);
  const { directory, disk, clock, log, store } = opened;
  const path = chunkPath(directory, 'logs', nameOf(0));
  await flip(path, 0);
  const closing = disk.hold('close', /chunk000000000$/);
  const scrubbing = scrub(opened);
  await closing.reached;
  await flip(path, 0);
  closing.release();
  await scrubbing;
  t.same(log.entries, []);
  t.equal(clock.timerCount > 0, true);
  await store.close();
});

await t.test(
  'a rescue on a full disk hides the chunk, and is repeated after the next start',
  async (t) => {
    const opened = await openWithChunks(t);
    const { directory, disk, log, store, category } = opened;
    await flip(chunkPath(directory, 'logs', nameOf(0)), 9);
    disk.inject({ operation: 'write', path: /chunk000000002$/, code: 'ENOSPC', times: 99 });
    await scrub(opened);
    t.match(log.entries, [{ level: 'error', sentence: /is not shown; it is tried again/ }]);
    t.equal(await readAll(opened), 'batch b1\nbatch b2\nbatch b3\n');
    disk.heal();
    // Acknowledging what follows must not let the hidden chunk count as acknowledged.
    await category.ack(nameOf(1), 27, 'default');
    await append(category, 'later\n');
    t.equal(category.view.chunkState({ owner: 'node1', index: 0 }), 'pending');
    await store.close();
    t.ok((await chunkFiles(directory, 'logs')).includes(nameOf(0)));
    const next = await open(t, directory);
    await scrub(next);
    const lines = (await readAll(next)).split('\n');
    for (const line of ['batch a1', 'batch a3', 'later']) t.ok(lines.includes(line), line);
    t.notOk(lines.includes('batch b1'), 'what was acknowledged is gone');
    t.same(await quarantined(directory), [nameOf(0), `${nameOf(0)}.batches`]);
    await next.store.close();
  },
);

await t.test('a check reads no faster than 32 MiB a second', async (t) => {
  const opened = await open(t);
  const { clock, store, category } = opened;
  await append(category, `${'x'.repeat(8 * 1024 * 1024 - 1)}\n`);
  await category.seal();
  const startMs = clock.monotonicMs();
  await scrub(opened);
  const tookMs = clock.monotonicMs() - startMs;
  t.ok(tookMs >= 250, `${tookMs} ms for 8 MiB`);
  await store.close();
});

await t.test('a stop ends a check in the middle and leaves nothing open', async (t) => {
  const { disk, clock, log, store } = await openWithChunks(t);
  const reading = disk.hold('read', /chunk000000000$/, 'after');
  const scrubbing = store.scrub();
  await reading.reached;
  const closing = store.close();
  reading.release();
  await Promise.all([scrubbing, closing]);
  t.same(log.entries, []);
  t.equal(store.lastScrub, undefined, 'it does not count as a check');
  t.equal(clock.timerCount, 0);
  const opened = (name: RegExp): number => disk.count('openFile', name) - disk.count('close', name);
  t.equal(opened(/chunk0{9}$/), 0);
  t.equal(disk.count('read', /chunk000000001$/), 0);
});

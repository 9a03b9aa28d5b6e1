import { readdir } from 'node:fs/promises';
import t, { type Test } from 'tap';
import type { Category } from '../../src/storage/category.js';
import type { RetentionLimits } from '../../src/storage/retention.js';
import type { Store } from '../../src/storage/store.js';
import { FakeClock } from '../support/fake-clock.js';
import { FaultDisk } from '../support/fault-disk.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { append, chunkFiles, openStore } from '../support/test-store.js';
import { until } from '../support/until.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

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

interface Options {
  readonly directory?: string;
  readonly retention?: RetentionLimits;
  readonly rotateIntervalMs?: number;
  readonly clock?: FakeClock;
}

async function open(t: Test, options: Options = {}): Promise<Opened> {
  const directory = options.directory ?? t.testdir();
  const ports = {
    disk: new FaultDisk(),
    clock: options.clock ?? new FakeClock(),
    log: new RecordingLogger(),
  };
  const store = await openStore({ directory, ...options, ...ports });
  return { directory, ...ports, store, category: await store.category('logs') };
}

/** Appends ten bytes and seals, so that each call makes a chunk of its own. */
async function appendChunk(category: Category): Promise<void> {
  await append(category, 'ten bytes\n');
  await category.seal();
}

function shown(category: Category, group = 'default'): string[] {
  return category.view.list(group).map(({ name, complete }) => `${name}${complete ? '' : ' open'}`);
}

/** Lets the time pass at which limits are looked at, and waits until chunks have gone. */
async function expire({ clock, category }: Opened, chunkCount: number): Promise<void> {
  clock.advance(10_000);
  await until(() => {
    // The timer may have been set only now, by a round that had not ended.
    clock.advance(100);
    return category.view.held().chunks === chunkCount;
  });
}

await t.test('a chunk is sealed when its time is over, however few bytes it has', async (t) => {
  const { clock, store, category } = await open(t, { rotateIntervalMs: MINUTE_MS });
  await append(category, 'a\n');
  clock.advance(30_000);
  await append(category, 'b\n');
  clock.advance(29_999);
  await new Promise(setImmediate);
  t.same(shown(category), [`${nameOf(0)} open`], 'its age counts from its first batch');
  clock.advance(1);
  await until(() => category.view.list('default')[0]?.complete === true);
  t.same(category.view.list('default'), [{ name: nameOf(0), complete: true, size: 4 }]);
  t.match(await append(category, 'c\n'), { chunk: nameOf(1), offset: 0 });
  await store.close();
});

await t.test('the age of a chunk does not follow the wall clock', async (t) => {
  const { clock, store, category } = await open(t, { rotateIntervalMs: MINUTE_MS });
  await append(category, 'a\n');
  clock.jumpWall(HOUR_MS);
  await new Promise(setImmediate);
  t.same(shown(category), [`${nameOf(0)} open`]);
  clock.jumpWall(-24 * HOUR_MS);
  clock.advance(MINUTE_MS);
  await until(() => category.view.list('default')[0]?.complete === true);
  await store.close();
});

await t.test('an empty chunk that a failed write left is not sealed by time', async (t) => {
  const { clock, disk, store, category } = await open(t, { rotateIntervalMs: MINUTE_MS });
  disk.inject({ operation: 'write', path: /chunk\d{9}$/, code: 'ENOSPC' });
  await t.rejects(append(category, 'a\n'), { code: 'disk_full' });
  for (let minute = 0; minute < 3; minute += 1) {
    clock.advance(MINUTE_MS);
    await new Promise(setImmediate);
  }
  t.same(shown(category), [`${nameOf(0)} open`]);
  t.match(await append(category, 'a\n'), { chunk: nameOf(0), offset: 0 });
  clock.advance(MINUTE_MS);
  await until(() => category.view.list('default')[0]?.complete === true);
  await store.close();
  t.equal(clock.timerCount, 0);
});

await t.test('a chunk that was sealed for its size leaves no timer behind', async (t) => {
  const { clock, store, category } = await open(t, { rotateIntervalMs: MINUTE_MS });
  const idleCount = clock.timerCount;
  await appendChunk(category);
  await appendChunk(category);
  clock.advance(1_000);
  await until(() => clock.timerCount === idleCount);
  await store.close();
  t.equal(clock.timerCount, 0);
});

await t.test('chunks that are too old are given up for every group', async (t) => {
  const opened = await open(t, {
    retention: { ageMsMax: HOUR_MS },
    rotateIntervalMs: 24 * HOUR_MS,
  });
  const { directory, clock, log, store, category } = opened;
  await category.registerGroup('slow');
  await appendChunk(category);
  clock.advance(HOUR_MS / 2);
  await appendChunk(category);
  await append(category, 'open\n');
  clock.advance(HOUR_MS / 2 - 20_000);
  await new Promise(setImmediate);
  t.equal(category.view.held().chunks, 3);
  clock.advance(20_000);
  await expire(opened, 2);
  for (const group of ['slow', 'default', 'new']) {
    t.same(shown(category, group), [nameOf(1), `${nameOf(2)} open`], group);
  }
  t.equal(category.view.chunkState({ owner: 'node1', index: 0 }), 'acked');
  t.same(category.view.groups(), [{ group: 'slow', chunks: 2, bytes: 15 }]);
  t.same(category.view.held(), { chunks: 2, bytes: 15 });
  t.equal(category.expiredBytes, 10);
  t.match(log.entries, [{ level: 'info', fields: { category: 'logs', chunks: 1, bytes: 10 } }]);
  t.same(await chunkFiles(directory, 'logs'), [nameOf(1), nameOf(2)]);
  t.same(await readdir(`${directory}/.chukcha/logs/chunks`), [
    `${nameOf(1)}.batches`,
    `${nameOf(2)}.batches`,
  ]);
  await category.ack(nameOf(0), 10, 'slow');
  await store.close();
});

await t.test('what is too much is given up from the oldest on, never an open chunk', async (t) => {
  const opened = await open(t, { retention: { bytesMax: 25 } });
  const { clock, store, category } = opened;
  for (let index = 0; index < 4; index += 1) await appendChunk(category);
  await expire(opened, 2);
  t.same(shown(category), [nameOf(2), nameOf(3)]);
  await append(category, `${'x'.repeat(99)}\n`);
  await expire(opened, 1);
  t.same(shown(category), [`${nameOf(4)} open`], 'although it is too much by itself');
  clock.advance(20_000);
  await new Promise(setImmediate);
  t.equal(category.view.held().chunks, 1);
  await category.seal();
  await expire(opened, 0);
  t.match(await append(category, 'a\n'), { chunk: nameOf(5) });
  await store.close();
});

await t.test('without limits nothing is given up', async (t) => {
  const { clock, store, category } = await open(t);
  await appendChunk(category);
  clock.advance(1_000 * 24 * HOUR_MS);
  await new Promise(setImmediate);
  t.same(shown(category), [nameOf(0)]);
  await store.close();
});

await t.test(
  'a reader in the middle of a chunk that is given up reads it to its end',
  async (t) => {
    const opened = await open(t, { retention: { bytesMax: 1 } });
    const { store, category } = opened;
    await appendChunk(category);
    const chunk = category.view.chunk(nameOf(0));
    const file = await store.disk.openFile(chunk?.path ?? '', 'read');
    const woken = chunk?.changed.wait({ clock: opened.clock });
    await expire(opened, 0);
    await woken;
    t.equal(chunk?.state, 'removed');
    const bytes = Buffer.alloc(10);
    t.equal(await file.read(bytes, 0), 10);
    t.equal(bytes.toString(), 'ten bytes\n');
    await file.close();
    await t.rejects(store.disk.openFile(chunk?.path ?? '', 'read'), { code: 'ENOENT' });
    await store.close();
  },
);

await t.test('the age of a chunk counts on over a restart', async (t) => {
  const directory = t.testdir();
  const clock = new FakeClock();
  const retention = { ageMsMax: HOUR_MS };
  const first = await open(t, { directory, clock });
  await appendChunk(first.category);
  await first.store.close();
  clock.advance(HOUR_MS);
  const opened = await open(t, { directory, clock, retention });
  t.same(shown(opened.category), [nameOf(0)]);
  await expire(opened, 0);
  await opened.store.close();
  const after = await open(t, { directory, clock });
  t.equal(after.category.view.chunkState({ owner: 'node1', index: 0 }), 'acked');
  await after.store.close();
});

await t.test('a crash behind the decision to give up is finished by the next start', async (t) => {
  const { directory, clock, disk, category } = await open(t, { retention: { bytesMax: 1 } });
  await appendChunk(category);
  const removing = disk.hold('removeFile', /chunk\d{9}$/);
  clock.advance(10_000);
  await removing.reached;
  t.same(shown(category), []);
  const next = await open(t, { directory });
  t.same(await chunkFiles(directory, 'logs'), []);
  t.same(shown(next.category, 'any'), []);
  await next.store.close();
});

await t.test('a decision that cannot be recorded gives nothing up, and is repeated', async (t) => {
  const opened = await open(t, { retention: { bytesMax: 1 } });
  const { clock, disk, log, store, category } = opened;
  await appendChunk(category);
  disk.inject({ operation: 'sync', path: /groups\.json/, code: 'EIO' });
  clock.advance(10_000);
  t.match(await log.first('warn'), { fields: { category: 'logs' } });
  t.same(shown(category), [nameOf(0)]);
  await until(() => clock.timerCount > 0);
  await expire(opened, 0);
  await store.close();
});

await t.test('a stop waits for what is being given up, and begins no more', async (t) => {
  const opened = await open(t, { retention: { bytesMax: 1 } });
  const { directory, clock, disk, store, category } = opened;
  await appendChunk(category);
  await appendChunk(await store.category('other'));
  const recording = disk.hold('rename', /\.chukcha\/logs\/groups\.json$/);
  clock.advance(10_000);
  await recording.reached;
  let isClosed = false;
  const closing = store.close().then(() => {
    isClosed = true;
  });
  await new Promise(setImmediate);
  t.equal(isClosed, false);
  recording.release();
  await closing;
  t.same(await chunkFiles(directory, 'logs'), []);
  t.same(await chunkFiles(directory, 'other'), [nameOf(0)], 'that is for the next start');
  t.equal(clock.timerCount, 0);
});

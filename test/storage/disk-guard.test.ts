import t, { type Test } from 'tap';
import { errorMessage } from '../../src/protocol/chukcha-error.js';
import type { Category } from '../../src/storage/category.js';
import type { DiskSpace } from '../../src/storage/disk.js';
import type { DiskReserve } from '../../src/storage/disk-guard.js';
import type { Store } from '../../src/storage/store.js';
import { FakeClock } from '../support/fake-clock.js';
import { FaultDisk } from '../support/fault-disk.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { append, chunkFiles, openStore, readChunk } from '../support/test-store.js';
import { until } from '../support/until.js';

const first = 'node1-chunk000000000';
const GIB = 1024 ** 3;

/** The real disk, with as much room as the test says. */
class SizedDisk extends FaultDisk {
  room: DiskSpace = { totalBytes: 1_000_000, freeBytes: 100_000, inodes: undefined };

  override async space(path: string): Promise<DiskSpace> {
    await super.space(path);
    return this.room;
  }

  set freeBytes(freeBytes: number) {
    this.room = { ...this.room, freeBytes };
  }
}

interface Guarded {
  readonly directory: string;
  readonly disk: SizedDisk;
  readonly clock: FakeClock;
  readonly log: RecordingLogger;
  readonly store: Store;
  readonly category: Category;
}

async function open(
  t: Test,
  diskReserve: DiskReserve,
  room: Partial<DiskSpace> = {},
): Promise<Guarded> {
  const directory = t.testdir();
  const disk = new SizedDisk();
  disk.room = { ...disk.room, ...room };
  const ports = { disk, clock: new FakeClock(), log: new RecordingLogger() };
  const store = await openStore({ directory, diskReserve, ...ports });
  return { directory, ...ports, store, category: await store.category('logs') };
}

function line(byteCount: number): string {
  return `${'x'.repeat(byteCount - 1)}\n`;
}

/** Lets a second pass, and waits for the measurement that it brings. */
async function measured({ clock, disk }: Guarded): Promise<void> {
  const held = disk.hold('space', /(?:)/, 'after');
  clock.advance(1_000);
  await held.reached;
  held.release();
  await new Promise(setImmediate);
}

function sentences({ log }: Guarded): string[] {
  return log.entries.map(({ sentence }) => sentence);
}

const refusing = 'Refusing writes until there is room on the disk.';
const taking = 'Taking writes again.';

await t.test('writes are refused before the disk is full', async (t) => {
  const guarded = await open(t, 10_000, { freeBytes: 9_999 });
  const { disk, store, category } = guarded;
  const error = await append(category, 'a\n').catch((thrown: unknown) => thrown);
  t.match(error, { code: 'disk_full', fields: { freeBytes: 9_999, reserveBytes: 10_000 } });
  t.match(
    errorMessage(error),
    /has 9\.76 KiB free, and 9\.77 KiB are kept in reserve: acknowledge .* --disk-reserve; nothing was stored\.$/,
  );
  t.equal(disk.count('write', /chunk\d{9}$/), 0);
  t.match(store.diskStatus, {
    totalBytes: 1_000_000,
    freeBytes: 9_999,
    reserveBytes: 10_000,
    refusal: errorMessage(error),
  });
  await store.close();
});

await t.test('without a reserve only the disk itself refuses', async (t) => {
  const { store, category } = await open(t, 0, {
    freeBytes: 0,
    inodes: { total: 1_000_000, free: 1 },
  });
  t.match(await append(category, 'a\n'), { offset: 0 });
  t.equal(store.diskStatus.refusal, null);
  await store.close();
});

await t.test('by itself the reserve is 1 GiB, or 5 % of a large disk', async (t) => {
  for (const [totalBytes, reserveBytes] of [
    [10 * GIB, GIB],
    [20 * GIB, GIB],
    [100 * GIB, 5 * GIB],
  ] as const) {
    for (const [freeBytes, isRefused] of [
      [reserveBytes - 1, true],
      [reserveBytes, false],
    ] as const) {
      const { store } = await open(t, 'auto', { totalBytes, freeBytes });
      t.equal(store.diskStatus.reserveBytes, reserveBytes);
      t.equal(store.diskStatus.refusal !== null, isRefused, `${freeBytes} of ${totalBytes}`);
      await store.close();
    }
  }
});

await t.test('what is written between two measurements counts', async (t) => {
  const { disk, store, category } = await open(t, 10_000, { freeBytes: 10_250 });
  for (let index = 0; index < 3; index += 1) await append(category, line(100));
  t.equal(store.diskStatus.freeBytes, 9_950);
  await t.rejects(append(category, line(100)), { code: 'disk_full' });
  t.equal(disk.count('space'), 1, 'although the disk was asked only once');
  await store.close();
});

await t.test('two measurements at the same time take off what was written once', async (t) => {
  const { clock, disk, store, category } = await open(t, 10_000, { freeBytes: 10_100 });
  for (let index = 0; index < 2; index += 1) await append(category, line(100));
  await category.seal();
  disk.freeBytes = 9_900;
  const held = disk.hold('space', /(?:)/);
  clock.advance(1_000);
  await held.reached;
  const acking = category.ack(first, 200, 'default');
  await until(() => disk.count('removeFile', /batches$/) === 1);
  held.release();
  await acking;
  t.equal(disk.count('space'), 3);
  t.equal(store.diskStatus.freeBytes, 9_900);
  t.not(store.diskStatus.refusal, null);
  await store.close();
});

await t.test('writes are taken again when somebody else has made room', async (t) => {
  const guarded = await open(t, 16_000, { freeBytes: 15_000 });
  const { disk, store, category } = guarded;
  await measured(guarded);
  disk.freeBytes = 16_500;
  await measured(guarded);
  await t.rejects(append(category, 'a\n'), { code: 'disk_full' }, 'a little more than the reserve');
  disk.freeBytes = 17_000;
  await measured(guarded);
  t.match(await append(category, 'a\n'), { offset: 0 });
  t.same(sentences(guarded), [refusing, taking], 'the log has one line for each change');
  await store.close();
});

await t.test('an acknowledgement that makes room lets writes in at once', async (t) => {
  const guarded = await open(t, 10_000, { freeBytes: 10_150 });
  const { directory, disk, store, category } = guarded;
  await append(category, line(200));
  await t.rejects(append(category, line(200)), { code: 'disk_full' });
  t.equal((await readChunk(directory, 'logs', first)).length, 200, 'reading goes on');
  t.ok(await category.registerGroup('other'));
  await category.seal();
  t.ok(await category.removeGroup('other'));
  disk.freeBytes = 20_000;
  await category.ack(first, 200, 'default');
  t.same(await chunkFiles(directory, 'logs'), []);
  t.match(await append(category, line(200)), { offset: 0 }, 'without a measurement to wait for');
  t.same(sentences(guarded), [refusing, taking]);
  await store.close();
});

await t.test('all categories are refused together', async (t) => {
  const { store, category } = await open(t, 10_000, { freeBytes: 10_050 });
  await append(category, line(100));
  await t.rejects(append(await store.category('other'), 'a\n'), { code: 'disk_full' });
  await store.close();
});

await t.test('what waits when the reserve is reached is refused too', async (t) => {
  const { directory, disk, store, category } = await open(t, 10_000, { freeBytes: 210_000 });
  const writing = disk.hold('write', /chunk\d{9}$/, 'after');
  const large = append(category, line(200_001));
  await writing.reached;
  const waiting = append(category, line(100));
  writing.release();
  t.match(await large, { offset: 0 });
  await t.rejects(waiting, { code: 'disk_full' });
  t.equal((await readChunk(directory, 'logs', first)).length, 200_001);
  await store.close();
});

await t.test('few inodes refuse writes as few bytes do', async (t) => {
  for (const [total, reserved] of [
    [1_000_000, 1_000],
    [20_000, 200],
  ] as const) {
    const guarded = await open(t, 10_000, { inodes: { total, free: reserved - 1 } });
    const { disk, store, category } = guarded;
    await t.rejects(append(category, 'a\n'), {
      code: 'disk_full',
      message: new RegExp(`has ${reserved - 1} inodes left: remove files there`),
    });
    t.equal(store.diskStatus.freeInodes, reserved - 1);
    disk.room = { ...disk.room, inodes: { total, free: 2 * reserved } };
    await measured(guarded);
    t.match(await append(category, 'a\n'), { offset: 0 });
    await store.close();
  }
});

await t.test('a disk that does not tell its room is written to, and asked again', async (t) => {
  const disk = new SizedDisk();
  disk.inject({ operation: 'space', code: 'EIO', times: 3 });
  const ports = { disk, clock: new FakeClock(), log: new RecordingLogger() };
  const store = await openStore({ directory: t.testdir(), diskReserve: 10_000, ...ports });
  const category = await store.category('logs');
  const guarded: Guarded = { directory: '', ...ports, store, category };
  const warning = 'The free space of the disk could not be read.';
  for (let second = 0; second < 2; second += 1) {
    t.match(await append(category, 'a\n'), { size: 2 });
    const count = disk.count('space');
    ports.clock.advance(1_000);
    await until(() => disk.count('space') > count);
  }
  t.same(sentences(guarded), [warning], 'the log says it once');
  disk.freeBytes = 9_000;
  await append(category, 'a\n');
  await measured(guarded);
  await t.rejects(append(category, 'a\n'), { code: 'disk_full' });
  disk.inject({ operation: 'space', code: 'EIO' });
  const count = disk.count('space');
  ports.clock.advance(1_000);
  await until(() => disk.count('space') > count);
  await t.rejects(append(category, 'a\n'), { code: 'disk_full' }, 'the last word counts');
  t.same(sentences(guarded), [warning, refusing, warning]);
  disk.freeBytes = 100_000;
  await measured(guarded);
  t.match(await append(category, 'a\n'), { size: 2 }, 'and it was asked again without a write');
  await store.close();
});

await t.test('a store that is closed leaves no timer, whatever it was doing', async (t) => {
  const refused = await open(t, 10_000, { freeBytes: 1 });
  await measured(refused);
  await refused.store.close();
  t.equal(refused.clock.timerCount, 0, 'while it refuses');
  const written = await open(t, 10_000);
  await append(written.category, 'a\n');
  await written.store.close();
  t.equal(written.clock.timerCount, 0, 'after a write');
  const measuring = await open(t, 10_000, { freeBytes: 1 });
  const held = measuring.disk.hold('space', /(?:)/);
  measuring.clock.advance(1_000);
  await held.reached;
  await measuring.store.close();
  held.release();
  await new Promise(setImmediate);
  t.equal(measuring.clock.timerCount, 0, 'while it measures');
});

await t.test('an idle store does not ask the disk', async (t) => {
  const { clock, disk, store } = await open(t, 10_000);
  clock.advance(60_000);
  await new Promise(setImmediate);
  t.equal(disk.count('space'), 1);
  await store.close();
});

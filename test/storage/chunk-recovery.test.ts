import { appendFile, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { crc32 } from '../../src/common/crc32.js';
import type { Store } from '../../src/storage/store.js';
import { FakeClock } from '../support/fake-clock.js';
import { type Fault, FaultDisk } from '../support/fault-disk.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { append, chunkFiles, chunkPath, openStore } from '../support/test-store.js';

const first = 'node1-chunk000000000';

/** Ten bytes each, so that batch `n` lies at `10 * n`. */
function batch(index: number): string {
  return `batch ${String(index).padStart(3, '0')}\n`;
}

function batches(from: number, before: number): string {
  return Array.from({ length: before - from }, (_, index) => batch(from + index)).join('');
}

interface Left {
  readonly directory: string;
  readonly path: string;
  readonly indexPath: string;
}

/** Leaves a chunk of six batches as a kill does, or as a stop does. */
async function leave(t: Test, how: 'killed' | 'stopped'): Promise<Left> {
  const directory = t.testdir();
  const store = await openStore({ directory });
  const category = await store.category('logs');
  for (let index = 0; index < 6; index += 1) await append(category, batch(index));
  if (how === 'stopped') await store.close();
  const indexPath = `${directory}/.chukcha/logs/chunks/${first}.batches`;
  return { directory, path: chunkPath(directory, 'logs', first), indexPath };
}

interface Found {
  readonly store: Store;
  readonly log: RecordingLogger;
  /** The content of each chunk that readers are shown, by name. */
  readonly shown: Readonly<Record<string, string>>;
}

/** Starts again and checks that every chunk that is shown is complete in its file, to the byte. */
async function startAgain(t: Test, { directory }: Left, disk?: FaultDisk): Promise<Found> {
  const log = new RecordingLogger();
  const store = await openStore({ directory, log, clock: new FakeClock(), ...(disk && { disk }) });
  const category = await store.category('logs');
  const shown: Record<string, string> = {};
  for (const { name, size } of category.list('default')) {
    const content = await readFile(chunkPath(directory, 'logs', name), 'latin1');
    shown[name] = content.slice(0, size);
  }
  t.teardown(() => store.close());
  return { store, log, shown };
}

/** Replaces text of a file by text of the same length. */
async function damage(path: string, from: string, to: string): Promise<void> {
  const content = await readFile(path, 'latin1');
  if (!content.includes(from) || from.length !== to.length)
    throw new Error(`no ${from} in ${path}`);
  await writeFile(path, content.replace(from, to), 'latin1');
}

function quarantined({ directory }: Left): Promise<string[]> {
  return readdir(`${directory}/.quarantine/logs`).catch(() => []);
}

await t.test('bytes behind the last line of the index are cut off and reported', async (t) => {
  const left = await leave(t, 'killed');
  await appendFile(left.path, 'not answered\nnot even whole');
  const { log, shown } = await startAgain(t, left);
  t.same(shown, { [first]: batches(0, 6) });
  t.equal(await readFile(left.path, 'latin1'), batches(0, 6));
  t.match(log.entries, [{ level: 'warn', fields: { chunk: first, cutBytes: 27, size: 60 } }]);
});

await t.test('a torn line of the index takes its batch with it, and nothing else', async (t) => {
  const left = await leave(t, 'killed');
  await truncate(left.indexPath, (await readFile(left.indexPath)).length - 1);
  const { log, shown } = await startAgain(t, left);
  t.same(shown, { [first]: batches(0, 5) });
  t.match(log.entries, [{ level: 'warn', fields: { cutBytes: 10, size: 50 } }]);
});

await t.test('batches at the end that a power failure took are cut and reported', async (t) => {
  const changes: Readonly<Record<string, (left: Left) => Promise<void>>> = {
    'zeros in the last two': ({ path }) => damage(path, batches(4, 6), '\0'.repeat(20)),
    'a chunk that is shorter': ({ path }) => truncate(path, 43),
  };
  for (const [what, change] of Object.entries(changes)) {
    const left = await leave(t, 'killed');
    await change(left);
    const { log, shown } = await startAgain(t, left);
    t.same(shown, { [first]: batches(0, 4) }, what);
    t.match(log.entries, [
      { level: 'error', fields: { category: 'logs', chunk: first, cutBytes: 20, size: 40 } },
    ]);
    const index = await readFile(left.indexPath, 'latin1');
    t.match(index, /\n30 10 [0-9a-f]{8}\nsealed 40 [0-9a-f]{8} \d+\n$/, what);
    t.same(await quarantined(left), [], what);
  }
});

await t.test('a damaged batch in the middle: the others are stored again', async (t) => {
  const left = await leave(t, 'killed');
  await damage(left.path, batch(2), 'batch 0x2\n');
  const before = await readFile(left.path, 'latin1');
  const { store, log, shown } = await startAgain(t, left);
  const [name = ''] = Object.keys(shown);
  t.not(name, first);
  t.same(Object.values(shown), [batches(0, 2) + batches(3, 6)]);
  t.same(await quarantined(left), [first, `${first}.batches`]);
  const moved = `${left.directory}/.quarantine/logs/${first}`;
  t.equal(await readFile(moved, 'latin1'), before, 'the chunk is kept as it was found');
  t.match(log.entries, [
    {
      level: 'error',
      fields: { savedBytes: 50, damagedBytes: 10, damaged: '20-29', movedTo: moved },
    },
  ]);
  const category = await store.category('logs');
  await category.seal();
  await category.ack(name, 50, 'default');
  const later = await append(category, 'later\n');
  t.ok(later.chunk > name, 'its name is not used again');
});

await t.test('a damaged line of the index costs no other batch', async (t) => {
  for (const how of ['killed', 'stopped'] as const) {
    for (const place of ['20 10 ', '50 10 '] as const) {
      const left = await leave(t, how);
      await damage(left.indexPath, `\n${place}`, `\nx${place.slice(1)}`);
      const { log, shown } = await startAgain(t, left);
      const content = Object.values(shown).join('');
      const what = `${how}, line ${place}`;
      // Of a sealed chunk the checksum of the whole is known, and the check of all chunks mends the index.
      if (how === 'stopped') t.same(content, batches(0, 6), what);
      else {
        const lost = place === '20 10 ' ? 2 : 5;
        t.same(content, batches(0, lost) + batches(lost + 1, 6), what);
        t.same(await quarantined(left), [first, `${first}.batches`], 'nothing was deleted');
        const damaged = `${lost * 10}-${lost * 10 + 9}`;
        t.match(log.entries, [{ level: 'error', fields: { damagedBytes: 10, damaged } }], what);
      }
    }
  }
});

await t.test('an index with a foreign header cuts nothing', async (t) => {
  const left = await leave(t, 'killed');
  await damage(left.indexPath, 'chukcha-batches 1', 'chukcha-batches 9');
  const { shown } = await startAgain(t, left);
  t.same(Object.values(shown), [batches(0, 6)], 'what the bytes agree with is stored again');
  t.same(await quarantined(left), [first, `${first}.batches`]);
});

await t.test('a chunk without an index keeps its whole lines and gets one', async (t) => {
  const left = await leave(t, 'killed');
  await rm(left.indexPath);
  await appendFile(left.path, 'torn');
  const { log, shown } = await startAgain(t, left);
  t.same(shown, { [first]: batches(0, 6) });
  t.match(log.entries, [{ level: 'warn', fields: { cutBytes: 4, size: 60 } }]);
  const crc = crc32(batches(0, 6)).toString(16).padStart(8, '0');
  const index = await readFile(left.indexPath, 'latin1');
  t.match(index, new RegExp(`^chukcha-batches 1\n0 60 ${crc}\nsealed 60 ${crc} \\d+\n$`));
});

await t.test('with an empty index no batch was answered', async (t) => {
  const left = await leave(t, 'killed');
  await writeFile(left.indexPath, '');
  const { log, shown } = await startAgain(t, left);
  t.same(shown, {});
  t.match(log.entries, [{ level: 'warn', fields: { cutBytes: 60, size: 0 } }]);
  t.same(await chunkFiles(left.directory, 'logs'), []);
  t.same(await readdir(`${left.directory}/.chukcha/logs/chunks`), []);
});

await t.test('a sealed chunk that lost bytes is moved aside, the rest is saved', async (t) => {
  const left = await leave(t, 'stopped');
  await truncate(left.path, 33);
  const { log, shown } = await startAgain(t, left);
  t.same(Object.values(shown), [batches(0, 3)]);
  t.match(log.entries, [{ level: 'error', fields: { savedBytes: 30, damaged: '30-59' } }]);
});

await t.test('what somebody adds to a sealed chunk is not read, and not cut', async (t) => {
  const left = await leave(t, 'stopped');
  await appendFile(left.path, 'added\n');
  const { log, shown } = await startAgain(t, left);
  t.same(shown, { [first]: batches(0, 6) });
  t.match(log.entries, [{ level: 'warn', fields: { size: 60, addedBytes: 6 } }]);
  t.equal(await readFile(left.path, 'latin1'), `${batches(0, 6)}added\n`);
});

await t.test('a seal that says another size than the batches is not believed', async (t) => {
  for (const wrong of ['sealed 50', 'sealed 61', 'sEaled 60']) {
    const left = await leave(t, 'stopped');
    await damage(left.indexPath, 'sealed 60', wrong);
    const { shown } = await startAgain(t, left);
    t.same(shown, { [first]: batches(0, 6) }, wrong);
    t.match(await readFile(left.indexPath, 'latin1'), /\nsealed 60 [0-9a-f]{8} \d+\n$/, wrong);
  }
});

await t.test('indexes without a chunk are removed', async (t) => {
  const left = await leave(t, 'stopped');
  const chunks = `${left.directory}/.chukcha/logs/chunks`;
  for (const name of ['node1-chunk000000007.batches', 'x', `${first}.batches.new`]) {
    await writeFile(`${chunks}/${name}`, 'chukcha-batches 1\n0 5 00000000 p 1\n');
  }
  const { store } = await startAgain(t, left);
  t.same(await readdir(chunks), [`${first}.batches`]);
  const again = { producer: 'p', sequence: 1 };
  const stored = await append(await store.category('logs'), 'new\n', false, again);
  t.equal(stored.duplicate, false, 'what an index without a chunk says was never answered');
});

await t.test('a seal is written at rotation, at a stop and at recovery', async (t) => {
  const directory = t.testdir();
  const clock = new FakeClock();
  const disk = new FaultDisk();
  const store = await openStore({ directory, clock, disk, chunkBytesMax: 10 });
  const category = await store.category('logs');
  const sealOf = async (index: number): Promise<string | undefined> => {
    const name = `node1-chunk00000000${index}.batches`;
    const lines = await readFile(`${directory}/.chukcha/logs/chunks/${name}`, 'latin1');
    return /^sealed (\d+) .*$/m.exec(lines)?.[1];
  };
  for (let index = 0; index < 3; index += 1) await append(category, batch(index));
  t.equal(await sealOf(0), undefined, 'not before the chunk is durable');
  const closing = [0, 1].map((index) => disk.hold('close', new RegExp(`chunk00000000${index}$`)));
  clock.advance(1_000);
  for (const closed of closing) {
    await closed.reached;
    closed.release();
  }
  t.same([await sealOf(0), await sealOf(1), await sealOf(2)], ['10', '10', undefined]);
  const next = await openStore({ directory });
  t.equal(await sealOf(2), '10', 'a recovery seals what a kill left open');
  const { chunk } = await append(await next.category('logs'), batch(3));
  await next.close();
  t.match(await readFile(`${directory}/.chukcha/logs/chunks/${chunk}.batches`, 'latin1'), /sealed/);
});

await t.test('an empty chunk that a failed write left is gone with the next start', async (t) => {
  const directory = t.testdir();
  const disk = new FaultDisk();
  const store = await openStore({ directory, disk });
  disk.inject({ operation: 'write', path: /chunk\d{9}$/, code: 'ENOSPC' });
  await t.rejects(append(await store.category('logs'), 'a\n'), { code: 'disk_full' });
  await store.close();
  const again = await openStore({ directory });
  t.same((await again.category('logs')).list('default'), []);
  t.same(await chunkFiles(directory, 'logs'), []);
  await again.close();
});

await t.test('a full disk is no obstacle for a start, nor for a stop', async (t) => {
  const faults: readonly Fault[] = [
    { operation: 'write', code: 'ENOSPC', times: 99 },
    { operation: 'write', takeBytes: 5, times: 1 },
    { operation: 'createFile', code: 'ENOSPC', times: 99 },
  ];
  for (const fault of faults) {
    for (const isMissing of [false, true]) {
      const left = await leave(t, 'killed');
      if (isMissing) await rm(left.indexPath);
      const disk = new FaultDisk();
      disk.inject(fault);
      const { store, shown } = await startAgain(t, left, disk);
      t.same(shown, { [first]: batches(0, 6) });
      await store.close();
      const { shown: later } = await startAgain(t, left);
      t.same(later, { [first]: batches(0, 6) }, 'and the start after it reads the same');
    }
  }
});

await t.test('a seal that finds no room is left to the next start', async (t) => {
  const left: Left = { directory: t.testdir(), path: '', indexPath: '' };
  await mkdir(left.directory, { recursive: true });
  const disk = new FaultDisk();
  const store = await openStore({ directory: left.directory, disk });
  await append(await store.category('logs'), batch(0));
  disk.inject({ operation: 'write', path: /batches$/, takeBytes: 9 });
  disk.inject({ operation: 'write', path: /batches$/, code: 'ENOSPC' });
  await store.close();
  const index = `${left.directory}/.chukcha/logs/chunks/${first}.batches`;
  t.notMatch(await readFile(index, 'latin1'), /seal/, 'and nothing of it');
  const { shown } = await startAgain(t, left);
  t.same(shown, { [first]: batch(0) });
  t.match(await readFile(index, 'latin1'), /sealed 10/);
});

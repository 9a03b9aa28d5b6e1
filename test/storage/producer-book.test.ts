import { mkdir, readFile, writeFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { errorCode, errorMessage } from '../../src/protocol/chukcha-error.js';
import type { Category } from '../../src/storage/category.js';
import type { Store } from '../../src/storage/store.js';
import { FakeClock } from '../support/fake-clock.js';
import { FaultDisk } from '../support/fault-disk.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { append, openStore, type Placed } from '../support/test-store.js';

const chunkFile = /chunk\d{9}$/;

function send(category: Category, producer: string, sequence: number): Promise<Placed> {
  return append(category, `${producer} ${sequence}\n`, false, { producer, sequence });
}

/** `stored`, `duplicate`, or the code of the error. */
async function outcomeOf(category: Category, producer: string, sequence: number): Promise<string> {
  return send(category, producer, sequence).then(
    ({ duplicate }) => (duplicate ? 'duplicate' : 'stored'),
    (error: unknown) => errorCode(error) ?? 'unknown',
  );
}

function producersPath(directory: string): string {
  return `${directory}/.chukcha/logs/producers.json`;
}

interface Opened {
  readonly directory: string;
  readonly store: Store;
  readonly category: Category;
}

async function open(t: Test, directory = t.testdir()): Promise<Opened> {
  const store = await openStore({ directory, chunkBytesMax: 4 * 1024 * 1024 });
  return { directory, store, category: await store.category('logs') };
}

async function restart({ directory, store }: Opened, t: Test): Promise<Opened> {
  await store.close();
  return open(t, directory);
}

await t.test('sequences may come in any order, and leave gaps', async (t) => {
  let opened = await open(t);
  const sequences = [5, 3, 4, 9, 0, 7, 1_000_000, Number.MAX_SAFE_INTEGER];
  for (const sequence of sequences) {
    t.equal(await outcomeOf(opened.category, 'p', sequence), 'stored', String(sequence));
  }
  for (let start = 0; start < 2; start += 1) {
    for (const sequence of sequences) {
      t.equal(await outcomeOf(opened.category, 'p', sequence), 'duplicate', String(sequence));
    }
    opened = await restart(opened, t);
  }
  for (const sequence of [1, 2, 6, 8, 10]) {
    t.equal(await outcomeOf(opened.category, 'p', sequence), 'stored', `gap ${sequence}`);
  }
  await opened.store.close();
  const file = await readFile(producersPath(opened.directory), 'utf8');
  t.same(JSON.parse(file), {
    version: 1,
    producers: [
      {
        producer: 'p',
        ranges: [
          [0, 10],
          [1_000_000, 1_000_000],
          [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
        ],
        forgottenBefore: 0,
      },
    ],
  });
});

await t.test('with more than 64 gaps what lies behind is neither stored nor new', async (t) => {
  let opened = await open(t);
  for (let index = 0; index < 70; index += 1) await send(opened.category, 'p', 2 * index);
  for (let start = 0; start < 2; start += 1) {
    const { category } = opened;
    for (const sequence of [0, 1, 5, 10]) {
      t.equal(await outcomeOf(category, 'p', sequence), 'sequence_too_old', String(sequence));
    }
    t.equal(await outcomeOf(category, 'p', 12), 'duplicate');
    t.equal(await outcomeOf(category, 'p', 138), 'duplicate');
    opened = await restart(opened, t);
  }
  t.equal(await outcomeOf(opened.category, 'p', 137), 'stored', 'a gap that is remembered');
  t.equal(await outcomeOf(opened.category, 'q', 0), 'stored', 'and others are not concerned');
  const error = await send(opened.category, 'p', 1).catch((thrown: unknown) => thrown);
  t.match(errorMessage(error), /batch 1 of producer p .* or give the producer another name/);
  await opened.store.close();
});

await t.test('any name is a name of a producer', async (t) => {
  let opened = await open(t);
  const names = ['__proto__', '123', 'constructor', '0', '-', '_', 'x'.repeat(64)];
  for (let start = 0; start < 3; start += 1) {
    for (const name of names) {
      const expected = start === 0 ? 'stored' : 'duplicate';
      t.equal(await outcomeOf(opened.category, name, 0), expected, name);
    }
    opened = await restart(opened, t);
  }
  await opened.store.close();
});

await t.test('of more than 10,000 producers the silent ones are forgotten', async (t) => {
  let opened = await open(t);
  const numbered = (index: number): string => String(100_000 - index);
  const sendAll = (from: number, before: number): Promise<Placed[]> =>
    Promise.all(
      Array.from({ length: before - from }, (_, index) =>
        send(opened.category, numbered(from + index), 0),
      ),
    );
  await sendAll(0, 10_000);
  t.equal(await outcomeOf(opened.category, numbered(0), 1), 'stored', 'the first one is heard of');
  await sendAll(10_000, 10_002);
  const { length } = await readFile(
    `${opened.directory}/.chukcha/logs/chunks/node1-chunk000000000.batches`,
  );
  t.ok(length > 100_000);
  // Also what a start reads, where names that are numbers keep their place.
  opened = await restart(opened, t);
  for (const index of [0, 3, 9_999, 10_001]) {
    t.equal(await outcomeOf(opened.category, numbered(index), 0), 'duplicate', String(index));
  }
  for (const index of [1, 2]) {
    t.equal(await outcomeOf(opened.category, numbered(index), 0), 'stored', String(index));
  }
  await opened.store.close();
});

await t.test('of the producers of one chunk too, the silent ones are forgotten', async (t) => {
  const opened = await open(t);
  const { category, directory, store } = opened;
  await send(category, 'p', 5);
  await Promise.all(
    Array.from({ length: 10_000 }, (_, index) => send(category, `other${index}`, 0)),
  );
  await send(category, 'p', 6);
  await store.close();
  const { producers } = JSON.parse(await readFile(producersPath(directory), 'utf8'));
  t.equal(producers.length, 10_000);
  t.same(producers.at(-1), { producer: 'p', ranges: [[6, 6]], forgottenBefore: 0 });
});

await t.test('a producer is remembered by its last word, also over restarts', async (t) => {
  let opened = await open(t);
  for (const name of ['9', '8', '7', '9']) await send(opened.category, name, Number(name));
  await send(opened.category, '9', 10);
  opened = await restart(opened, t);
  const { producers } = JSON.parse(await readFile(producersPath(opened.directory), 'utf8'));
  t.same(
    producers.map(({ producer }: { producer: string }) => producer),
    ['8', '7', '9'],
  );
  await opened.store.close();
});

await t.test('the file is durable before the index says that the chunk is whole', async (t) => {
  const directory = t.testdir();
  const disk = new FaultDisk();
  const store = await openStore({ directory, disk });
  await send(await store.category('logs'), 'p', 0);
  await store.close();
  const ordered = disk.calls
    .map(({ operation, path }) => `${operation} ${path.slice(directory.length + 1)}`)
    .filter((call) =>
      /^(write|sync|rename) .*(chunk0{9}(\.batches)?|producers\.json(\.new)?)$/.test(call),
    );
  const chunk = 'logs/node1-chunk000000000';
  const index = '.chukcha/logs/chunks/node1-chunk000000000.batches';
  const producers = '.chukcha/logs/producers.json';
  t.same(ordered, [
    `write ${chunk}`,
    `write ${index}`,
    `sync ${chunk}`,
    `sync ${index}`,
    `write ${producers}.new`,
    `sync ${producers}.new`,
    `rename ${producers}`,
    `write ${index}`,
    `sync ${index}`,
  ]);
});

await t.test('a chunk whose producers find no room stays without a seal', async (t) => {
  const directory = t.testdir();
  const disk = new FaultDisk();
  const log = new RecordingLogger();
  const store = await openStore({ directory, disk, log });
  const category = await store.category('logs');
  await send(category, 'p', 0);
  disk.inject({ operation: 'createFile', path: /producers\.json/, code: 'ENOSPC', times: 99 });
  await store.close();
  t.match(log.entries, [
    { level: 'warn', sentence: 'A chunk stays without its seal; the next start checks it.' },
  ]);
  const again = await openStore({ directory });
  t.equal(await outcomeOf(await again.category('logs'), 'p', 0), 'duplicate');
  await again.close();
});

await t.test('an index that cannot be sealed for an error of the disk ends writing', async (t) => {
  const disk = new FaultDisk();
  const log = new RecordingLogger();
  const clock = new FakeClock();
  const store = await openStore({ directory: t.testdir(), disk, log, clock });
  const category = await store.category('logs');
  await send(category, 'p', 0);
  await category.seal();
  disk.inject({ operation: 'sync', path: /batches$/, after: 1, code: 'EIO', times: 99 });
  clock.advance(1_000);
  await log.first('error');
  t.equal(await outcomeOf(category, 'p', 1), 'storage_failed');
  const syncCount = disk.count('sync', /batches$/);
  await store.close();
  t.equal(disk.count('sync', /batches$/), syncCount, 'and it is not tried again');
  t.equal(disk.count('close', chunkFile), 1, 'the file is closed all the same');
});

await t.test('a damaged file of producers is refused with what to do', async (t) => {
  const producer = (ranges: unknown, forgottenBefore: unknown = 0): string =>
    JSON.stringify({ version: 1, producers: [{ producer: 'p', ranges, forgottenBefore }] });
  const damaged = [
    '',
    'null',
    '[]',
    '{"version":1,"producers":[{',
    '{"version":2,"producers":[]}',
    '{"version":1}',
    '{"version":1,"producers":{"p":{"ranges":[[0,1]],"forgottenBefore":0}}}',
    '{"version":1,"producers":[{"ranges":[[0,1]],"forgottenBefore":0}]}',
    producer('0-5'),
    producer([[0]]),
    producer([[5, 4]]),
    producer([[-1, 4]]),
    producer([[0, 1.5]]),
    producer([
      [0, 4],
      [5, 6],
    ]),
    producer([
      [7, 8],
      [0, 4],
    ]),
    producer([[0, 4]], '0'),
    producer([[0, 4]], -1),
  ];
  for (const text of damaged) {
    const directory = t.testdir();
    await mkdir(`${directory}/.chukcha/logs`, { recursive: true });
    await writeFile(producersPath(directory), text);
    const error = await openStore({ directory }).catch((thrown: unknown) => thrown);
    t.equal(errorCode(error), 'directory_invalid', JSON.stringify(text));
    t.match(
      errorMessage(error),
      /producers\.json is not a file of producers of version 1 .*: restore it, or remove it; then batches/,
    );
  }
});

import { rm } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { errorCode, errorMessage } from '../../src/protocol/chukcha-error.js';
import type { ProducerStamp } from '../../src/protocol/http-api.js';
import type { Category } from '../../src/storage/category.js';
import type { Store } from '../../src/storage/store.js';
import { FakeClock } from '../support/fake-clock.js';
import { FaultDisk } from '../support/fault-disk.js';
import { append, chunkFiles, openStore, type Placed, readChunk } from '../support/test-store.js';

const first = 'node1-chunk000000000';
const chunkFile = /chunk\d{9}$/;
const producersFile = /producers\.json$/;

function stampOf(sequence: number, producer = 'p'): ProducerStamp {
  return { producer, sequence };
}

function send(
  category: Category,
  sequence: number,
  { producer = 'p', sync = false, text }: { producer?: string; sync?: boolean; text?: string } = {},
): Promise<Placed> {
  return append(category, text ?? `${producer} ${sequence}\n`, sync, stampOf(sequence, producer));
}

interface Opened {
  readonly directory: string;
  readonly disk: FaultDisk;
  readonly clock: FakeClock;
  readonly store: Store;
  readonly category: Category;
}

async function open(t: Test, directory: string = t.testdir()): Promise<Opened> {
  const disk = new FaultDisk();
  const clock = new FakeClock();
  const store = await openStore({ directory, disk, clock });
  return { directory, disk, clock, store, category: await store.category('logs') };
}

async function ackAll(category: Category): Promise<void> {
  await category.seal();
  for (const { name, size } of category.view.list('default'))
    await category.ack(name, size, 'default');
}

await t.test('a repetition is answered with the place of the first, and not stored', async (t) => {
  const { directory, store, category } = await open(t);
  const answer = await send(category, 0);
  t.same(answer, { chunk: first, offset: 0, size: 4, duplicate: false });
  t.same(await send(category, 0), { ...answer, duplicate: true });
  t.match(await send(category, 1), { offset: 4, duplicate: false });
  t.same(await send(category, 0), { ...answer, duplicate: true });
  t.match(await send(category, 0, { producer: 'q' }), { offset: 8, duplicate: false });
  await store.close();
  t.equal((await readChunk(directory, 'logs', first)).toString(), 'p 0\np 1\nq 0\n');
});

await t.test('repetitions at the same moment are stored once', async (t) => {
  const { directory, store, category } = await open(t);
  const answers = await Promise.all(Array.from({ length: 9 }, () => send(category, 3)));
  t.same(
    answers.map(({ duplicate }) => duplicate),
    [false, ...Array.from({ length: 8 }, () => true)],
  );
  t.ok(answers.every(({ chunk, offset }) => chunk === first && offset === 0));
  await store.close();
  t.equal((await readChunk(directory, 'logs', first)).toString(), 'p 3\n');
});

await t.test('a repetition while the first is made durable waits for that', async (t) => {
  const { disk, store, category } = await open(t);
  const syncing = disk.hold('sync', chunkFile);
  const answered: string[] = [];
  const sending = [false, true].map(async (sync) => {
    const { duplicate } = await send(category, 0, { sync: true });
    answered.push(`${sync} ${duplicate}`);
  });
  await syncing.reached;
  const plain = send(category, 0);
  t.same(answered, []);
  syncing.release();
  await Promise.all(sending);
  t.same(answered.length, 2);
  t.equal((await plain).duplicate, true);
  await store.close();
});

await t.test('a repetition that asks for durability waits for it', async (t) => {
  const { disk, store, category } = await open(t);
  await send(category, 0);
  t.equal(disk.count('sync', chunkFile), 0);
  const repeated = await send(category, 0, { sync: true });
  t.equal(repeated.duplicate, true);
  t.equal(disk.count('sync', chunkFile), 1);
  await send(category, 0, { sync: true });
  t.equal(disk.count('sync', chunkFile), 1, 'what is durable is not made so again');
  await send(category, 1);
  await category.seal();
  await send(category, 1, { sync: true });
  t.equal(disk.count('sync', chunkFile), 2, 'also in a chunk that is sealed and not yet closed');
  await store.close();
});

await t.test('after a failed sync no repetition is answered as durable', async (t) => {
  const { disk, clock, store, category } = await open(t);
  await send(category, 0);
  disk.inject({ operation: 'sync', path: chunkFile, code: 'EIO' });
  const closing = disk.hold('close', chunkFile);
  clock.advance(1_000);
  await closing.reached;
  closing.release();
  await t.rejects(send(category, 0, { sync: true }), { code: 'storage_failed' });
  t.match(await send(category, 0), { duplicate: true }, 'written it is');
  await store.close();
});

await t.test('when the first finds no room, a repetition is as good as new', async (t) => {
  const { directory, disk, store, category } = await open(t);
  disk.inject({ operation: 'write', path: chunkFile, code: 'ENOSPC' });
  const [refused, ...stored] = await Promise.allSettled([
    send(category, 0),
    send(category, 0),
    send(category, 0),
  ]);
  t.match(refused, { status: 'rejected', reason: { code: 'disk_full' } });
  t.match(stored, [
    { status: 'fulfilled', value: { offset: 0, duplicate: false } },
    { status: 'fulfilled', value: { offset: 0, duplicate: true } },
  ]);
  await store.close();
  t.equal((await readChunk(directory, 'logs', first)).toString(), 'p 0\n');
});

await t.test('a batch that was refused may be sent again', async (t) => {
  const { disk, store, category } = await open(t);
  disk.inject({ operation: 'write', path: chunkFile, code: 'ENOSPC', times: 2 });
  for (let run = 0; run < 2; run += 1) await t.rejects(send(category, 0), { code: 'disk_full' });
  t.match(await send(category, 0), { duplicate: false });
  await store.close();
});

await t.test('a restart knows what was stored, whatever ended the process', async (t) => {
  for (const how of ['stopped', 'killed'] as const) {
    const { directory, store, category } = await open(t);
    await send(category, 0);
    await send(category, 1);
    if (how === 'stopped') await store.close();
    const next = await open(t, directory);
    const repeated = await send(next.category, 1);
    const place = how === 'killed' ? { chunk: first, offset: 4 } : { chunk: null, offset: null };
    t.same(repeated, { ...place, size: 4, duplicate: true }, how);
    t.match(await send(next.category, 2), { duplicate: false });
    await next.store.close();
  }
});

await t.test('an acknowledged and removed batch is known, also after a restart', async (t) => {
  for (const how of ['flushed', 'not flushed'] as const) {
    const { directory, clock, disk, store, category } = await open(t);
    await send(category, 0);
    await category.seal();
    if (how === 'flushed') {
      const closing = disk.hold('close', chunkFile, 'after');
      clock.advance(1_000);
      await closing.reached;
      closing.release();
    }
    await ackAll(category);
    t.same(await chunkFiles(directory, 'logs'), [], how);
    t.same(await send(category, 0), { chunk: first, offset: 0, size: 4, duplicate: true });
    // The process is killed here.
    const next = await open(t, directory);
    t.same(await send(next.category, 0), { chunk: null, offset: null, size: 4, duplicate: true });
    t.match(await send(next.category, 1), { duplicate: false });
    await next.store.close();
    void store;
  }
});

await t.test('a crash at any step of a removal forgets no batch', async (t) => {
  for (const [operation, path] of [
    ['removeFile', chunkFile],
    ['rename', producersFile],
    ['removeFile', /batches$/],
  ] as const) {
    for (const phase of ['before', 'after'] as const) {
      const { directory, disk, category } = await open(t);
      await send(category, 0);
      await category.seal();
      const held = disk.hold(operation, path, phase);
      void ackAll(category);
      await held.reached;
      const next = await open(t, directory);
      const what = `${phase} ${operation} ${path}`;
      t.equal((await send(next.category, 0)).duplicate, true, what);
      t.same(await chunkFiles(directory, 'logs'), [], what);
      await next.store.close();
    }
  }
});

await t.test('an acknowledged chunk makes room although its producers find none', async (t) => {
  const { directory, disk, store, category } = await open(t);
  await send(category, 0);
  disk.inject({ operation: 'createFile', path: /producers\.json/, code: 'ENOSPC', times: 99 });
  await ackAll(category);
  t.same(await chunkFiles(directory, 'logs'), [], 'what is acknowledged is what frees a disk');
  t.equal((await send(category, 0)).duplicate, true);
  await store.close();
  const next = await open(t, directory);
  t.equal((await send(next.category, 0)).duplicate, true, 'the index of the chunk still says it');
  await next.store.close();
  await rm(`${directory}/.chukcha/logs/chunks/${first}.batches`, { force: true });
  const last = await open(t, directory);
  t.equal((await send(last.category, 0)).duplicate, true, 'then the file of producers does');
  await last.store.close();
});

await t.test('a sequence that was used for another batch is refused', async (t) => {
  const { directory, store, category } = await open(t);
  await send(category, 0, { text: 'abc\n' });
  for (const text of ['abcd\n', 'abd\n']) {
    const error = await send(category, 0, { text }).catch((thrown: unknown) => thrown);
    t.equal(errorCode(error), 'sequence_reused', JSON.stringify(text));
    t.match(errorMessage(error), /Another batch .* batch 0 of producer p: give every batch/);
  }
  const [, other] = await Promise.allSettled([
    send(category, 1, { text: 'one\n' }),
    send(category, 1, { text: 'two\n' }),
  ]);
  t.match(other, { reason: { code: 'sequence_reused' } }, 'also when it comes at the same moment');
  await store.close();
  t.equal((await readChunk(directory, 'logs', first)).toString(), 'abc\none\n');
});

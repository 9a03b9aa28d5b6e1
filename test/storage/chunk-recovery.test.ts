import { appendFile, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import t from 'tap';
import { crc32 } from '../../src/common/crc32.js';
import {
  batch,
  batches,
  damage,
  type Left,
  leave,
  leftChunk,
  quarantined,
  startAgain,
} from '../support/left-chunk.js';
import { append, chunkFiles } from '../support/test-store.js';

await t.test('bytes behind the last line of the index are cut off and reported', async (t) => {
  const left = await leave(t, 'killed');
  await appendFile(left.path, 'not answered\nnot even whole');
  const { log, shown } = await startAgain(t, left);
  t.same(shown, { [leftChunk]: batches(0, 6) });
  t.equal(await readFile(left.path, 'latin1'), batches(0, 6));
  t.match(log.entries, [{ level: 'warn', fields: { chunk: leftChunk, cutBytes: 27, size: 60 } }]);
});

await t.test('a torn line of the index takes its batch with it, and nothing else', async (t) => {
  const left = await leave(t, 'killed');
  await truncate(left.indexPath, (await readFile(left.indexPath)).length - 1);
  const { log, shown } = await startAgain(t, left);
  t.same(shown, { [leftChunk]: batches(0, 5) });
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
    t.same(shown, { [leftChunk]: batches(0, 4) }, what);
    t.match(log.entries, [
      { level: 'error', fields: { category: 'logs', chunk: leftChunk, cutBytes: 20, size: 40 } },
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
  t.not(name, leftChunk);
  t.same(Object.values(shown), [batches(0, 2) + batches(3, 6)]);
  t.same(await quarantined(left), [leftChunk, `${leftChunk}.batches`]);
  const moved = `${left.directory}/.quarantine/logs/${leftChunk}`;
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
        t.same(await quarantined(left), [leftChunk, `${leftChunk}.batches`], 'nothing was deleted');
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
  t.same(await quarantined(left), [leftChunk, `${leftChunk}.batches`]);
});

await t.test('a chunk without an index keeps its whole lines and gets one', async (t) => {
  const left = await leave(t, 'killed');
  await rm(left.indexPath);
  await appendFile(left.path, 'torn');
  const { log, shown } = await startAgain(t, left);
  t.same(shown, { [leftChunk]: batches(0, 6) });
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
  t.same(shown, { [leftChunk]: batches(0, 6) });
  t.match(log.entries, [{ level: 'warn', fields: { size: 60, addedBytes: 6 } }]);
  t.equal(await readFile(left.path, 'latin1'), `${batches(0, 6)}added\n`);
});

await t.test('a seal that says another size than the batches is not believed', async (t) => {
  for (const wrong of ['sealed 50', 'sealed 61', 'sEaled 60']) {
    const left = await leave(t, 'stopped');
    await damage(left.indexPath, 'sealed 60', wrong);
    const { shown } = await startAgain(t, left);
    t.same(shown, { [leftChunk]: batches(0, 6) }, wrong);
    t.match(await readFile(left.indexPath, 'latin1'), /\nsealed 60 [0-9a-f]{8} \d+\n$/, wrong);
  }
});

await t.test('indexes without a chunk are removed', async (t) => {
  const left = await leave(t, 'stopped');
  const chunks = `${left.directory}/.chukcha/logs/chunks`;
  for (const name of ['node1-chunk000000007.batches', 'x', `${leftChunk}.batches.new`]) {
    await writeFile(`${chunks}/${name}`, 'chukcha-batches 1\n0 5 00000000 p 1\n');
  }
  const { store } = await startAgain(t, left);
  t.same(await readdir(chunks), [`${leftChunk}.batches`]);
  const again = { producer: 'p', sequence: 1 };
  const stored = await append(await store.category('logs'), 'new\n', false, again);
  t.equal(stored.duplicate, false, 'what an index without a chunk says was never answered');
});

import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { StateJournal } from '../../src/pipeline/state-journal.js';
import { nodeDisk } from '../../src/storage/node-disk.js';
import { SeededRandom } from '../support/seeded-random.js';
import { testDirectory } from '../support/test-directory.js';

t.test('what was set is there after a kill, a removal as well', async (t) => {
  const path = join(testDirectory(t), 'state.journal');
  const journal = await StateJournal.open(nodeDisk, path);
  await journal.set('a', { offset: 1 });
  await journal.set('b', [1, 'zwei\n']);
  await journal.set('a', undefined);
  await journal.set('c', 'ü');
  const reopened = await StateJournal.open(nodeDisk, path);
  t.same(
    [...reopened.entries()],
    [
      ['b', [1, 'zwei\n']],
      ['c', 'ü'],
    ],
  );
  t.equal(reopened.get('a'), undefined);
  await reopened.close();
  await reopened.close();
  await journal.close();
});

t.test('a torn last line is cut off, and what follows is whole', async (t) => {
  const path = join(testDirectory(t), 'state.journal');
  const journal = await StateJournal.open(nodeDisk, path);
  await journal.set('a', 1);
  await journal.set('b', 2);
  await journal.close();
  const { size } = statSync(path);
  for (let cut = 1; cut < 12; cut += 1) {
    truncateSync(path, size - cut);
    const torn = await StateJournal.open(nodeDisk, path);
    t.equal(torn.get('a'), 1);
    t.equal(torn.get('b'), undefined, `${cut} bytes are missing`);
    await torn.set('b', 2);
    await torn.close();
    t.equal(statSync(path).size, size);
  }
});

t.test('a file that is damaged, or no journal, is refused with the line', async (t) => {
  const path = join(testDirectory(t), 'state.journal');
  const journal = await StateJournal.open(nodeDisk, path);
  await journal.set('a', 1);
  await journal.set('b', 2);
  await journal.close();
  const content = readFileSync(path, 'utf8');
  writeFileSync(path, content.replace('["a",1]', '["a",7]'));
  await t.rejects(StateJournal.open(nodeDisk, path), {
    code: 'directory_invalid',
    message: /^Line 2 of .*state\.journal/,
  });
  writeFileSync(path, 'something else\n');
  await t.rejects(StateJournal.open(nodeDisk, path), {
    code: 'directory_invalid',
    message: /^Line 1 of/,
  });
});

t.test('a journal that has grown is replaced by its present entries', async (t) => {
  const path = join(testDirectory(t), 'state.journal');
  const journal = await StateJournal.open(nodeDisk, path);
  for (let count = 0; count < 20_000; count += 1)
    await journal.set(`file ${count % 10}`, { offset: count });
  t.ok(statSync(path).size < 600_000, `it has ${statSync(path).size} bytes after 20,000 changes`);
  await journal.set('last', true);
  const reopened = await StateJournal.open(nodeDisk, path);
  t.same(reopened.get('file 9'), { offset: 19_999 });
  t.equal(reopened.get('last'), true);
  t.equal([...reopened.entries()].length, 11);
  await reopened.close();
  await journal.close();
});

t.test('any history of changes, kills and torn ends gives the map that it should', async (t) => {
  const seed = Number(process.env['CHUKCHA_TEST_SEED'] ?? Date.now() % 1_000_000);
  const random = new SeededRandom(seed);
  const path = join(testDirectory(t), 'state.journal');
  const model = new Map<string, unknown>();
  for (let start = 0; start < 30; start += 1) {
    const journal = await StateJournal.open(nodeDisk, path);
    t.strictSame(new Map(journal.entries()), model, `start ${start} of seed ${seed}`);
    for (let change = random.integer(0, 300); change > 0; change -= 1) {
      const key = `k${random.integer(0, 20)}`;
      const value =
        random.integer(0, 5) === 0 ? undefined : { text: 'x'.repeat(random.integer(0, 400)) };
      await journal.set(key, value);
      if (value === undefined) model.delete(key);
      else model.set(key, value);
    }
    if (random.integer(0, 1) === 0) await journal.close();
    if (random.integer(0, 2) === 0)
      appendFileSync(path, '1234abcd ["torn'.slice(0, random.integer(1, 15)));
  }
});

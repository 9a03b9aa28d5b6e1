import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import t from 'tap';
import { errorCode, errorMessage } from '../../src/protocol/chukcha-error.js';
import { FaultDisk } from '../support/fault-disk.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { checkProperty } from '../support/seeded-random.js';
import { append, chunkFiles, chunkPath, openStore, readChunk } from '../support/test-store.js';

function chunkName(index: number, owner = 'node1'): string {
  return `${owner}-chunk${String(index).padStart(9, '0')}`;
}

function indexOf(chunk: string): number {
  return Number(chunk.slice(-9));
}

/** Puts a category's files into a data directory, as an earlier run may have left them. */
async function leave(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(`${directory}/logs`, { recursive: true });
  await mkdir(`${directory}/.chukcha/logs`, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    await writeFile(`${directory}/${name}`, content);
  }
}

await t.test('a start never appends to a chunk of an earlier start', async (t) => {
  const directory = t.testdir();
  const before = await openStore({ directory });
  const earlier = await append(await before.category('logs'), 'a\n');
  await before.close();
  const after = await openStore({ directory });
  const category = await after.category('logs');
  t.same(category.view.list('default'), [{ name: earlier.chunk, complete: true, size: 2 }]);
  const later = await append(category, 'b\n');
  t.same(later, { chunk: chunkName(1), offset: 0, size: 2, duplicate: false });
  t.equal((await readChunk(directory, 'logs', earlier.chunk)).toString(), 'a\n');
  await after.close();
});

await t.test('a killed process leaves all that was answered, and its names unused', async (t) => {
  const directory = t.testdir();
  const killed = await openStore({ directory });
  const category = await killed.category('logs');
  const answers = [await append(category, 'a\n'), await append(category, 'b\n')];
  const next = await openStore({ directory });
  const reopened = await next.category('logs');
  t.same(reopened.view.list('default'), [{ name: chunkName(0), complete: true, size: 4 }]);
  t.equal((await readChunk(directory, 'logs', chunkName(0))).toString(), 'a\nb\n');
  const later = await append(reopened, 'c\n');
  t.ok(indexOf(later.chunk) > indexOf(answers[0]?.chunk ?? ''), later.chunk);
  await next.close();
});

await t.test(
  'a name is not used again when all chunks were acknowledged and deleted',
  async (t) => {
    const directory = t.testdir();
    const before = await openStore({ directory });
    const category = await before.category('logs');
    for (const text of ['a\n', 'b\n']) {
      const { chunk, size } = await append(category, text);
      await category.seal();
      await category.ack(chunk, size, 'default');
    }
    await before.close();
    t.same(await chunkFiles(directory, 'logs'), []);
    const after = await openStore({ directory });
    t.equal((await append(await after.category('logs'), 'c\n')).chunk, chunkName(2));
    t.same(await after.listCategories(), ['logs'], 'the category is known without a chunk');
    await after.close();
  },
);

await t.test('a name is not used again when the reservation was lost', async (t) => {
  const directory = t.testdir();
  const before = await openStore({ directory });
  const category = await before.category('logs');
  const { chunk, size } = await append(category, 'a\n');
  await category.seal();
  await append(category, 'b\n');
  await category.ack(chunk, size, 'default');
  await before.close();
  await rm(`${directory}/.chukcha/logs/next-chunk-index.json`);
  const after = await openStore({ directory });
  t.equal((await append(await after.category('logs'), 'c\n')).chunk, chunkName(2));
  await after.close();
});

await t.test('no name is used twice over any series of kills, stops and acks', async (t) => {
  let run = 0;
  const root = t.testdir();
  await checkProperty(t, 10, async (random) => {
    run += 1;
    const directory = `${root}/${run}`;
    const used = new Map<string, string>();
    for (let start = 0; start < 8; start += 1) {
      const store = await openStore({ directory, chunkBytesMax: 20 });
      const category = await store.category('logs');
      for (let step = random.integer(0, 12); step > 0; step -= 1) {
        if (random.fraction() < 0.4) {
          const ackable = category.view.list('default').filter(({ complete }) => complete);
          if (ackable.length === 0) continue;
          const { name, size } = random.pick(ackable);
          await category.ack(name, size, 'default');
        } else {
          const { chunk, offset } = await append(category, `start ${start} step ${step}\n`);
          if (offset === 0) assert.ok(!used.has(chunk), `${chunk} was used before`);
          used.set(chunk, `start ${start}`);
        }
      }
      if (random.fraction() < 0.5) await store.close();
    }
  });
});

await t.test('a kill leaves a gap of reserved indexes, a stop leaves none', async (t) => {
  const directory = t.testdir();
  const killed = await openStore({ directory });
  await append(await killed.category('logs'), 'a\n');
  const stopped = await openStore({ directory });
  const afterKill = await append(await stopped.category('logs'), 'b\n');
  await stopped.close();
  const last = await openStore({ directory });
  const afterStop = await append(await last.category('logs'), 'c\n');
  await last.close();
  t.ok(indexOf(afterKill.chunk) > 1, 'the names that the killed process may have used are skipped');
  t.equal(indexOf(afterStop.chunk), indexOf(afterKill.chunk) + 1);
});

await t.test('a torn end is cut off behind the last newline, and the log says so', async (t) => {
  const directory = t.testdir();
  const log = new RecordingLogger();
  const half = 'x'.repeat(200_000);
  await leave(directory, {
    [`logs/${chunkName(0)}`]: 'whole\ntorn',
    [`logs/${chunkName(1)}`]: `whole\n${half}`,
    [`logs/${chunkName(2)}`]: 'all whole\n',
  });
  const store = await openStore({ directory, log });
  const category = await store.category('logs');
  t.same(category.view.list('default'), [
    { name: chunkName(0), complete: true, size: 6 },
    { name: chunkName(1), complete: true, size: 6 },
    { name: chunkName(2), complete: true, size: 10 },
  ]);
  t.equal((await readChunk(directory, 'logs', chunkName(0))).toString(), 'whole\n');
  t.match(log.entries, [
    { level: 'warn', fields: { category: 'logs', chunk: chunkName(0), cutBytes: 4, size: 6 } },
    {
      level: 'warn',
      fields: { category: 'logs', chunk: chunkName(1), cutBytes: 200_000, size: 6 },
    },
  ]);
  await store.close();
});

await t.test('a chunk without a whole message is removed, and its name stays used', async (t) => {
  const directory = t.testdir();
  await leave(directory, { [`logs/${chunkName(7)}`]: '', [`logs/${chunkName(9)}`]: 'torn' });
  const store = await openStore({ directory });
  const category = await store.category('logs');
  t.same(category.view.list('default'), []);
  t.same(await chunkFiles(directory, 'logs'), []);
  t.equal((await append(category, 'a\n')).chunk, chunkName(10));
  await store.close();
});

await t.test(
  'chunks of other owners are kept, in order, and do not move the own index',
  async (t) => {
    const directory = t.testdir();
    await leave(directory, {
      [`logs/${chunkName(500, 'other')}`]: 'b\n',
      [`logs/${chunkName(3, 'a-chunk000000009')}`]: 'a\n',
      [`logs/${chunkName(4)}`]: 'c\n',
      [`logs/${chunkName(2)}`]: 'c\n',
    });
    const store = await openStore({ directory });
    const category = await store.category('logs');
    t.same(
      category.view.list('default').map(({ name }) => name),
      [chunkName(3, 'a-chunk000000009'), chunkName(2), chunkName(4), chunkName(500, 'other')],
    );
    t.equal((await append(category, 'd\n')).chunk, chunkName(5));
    await store.close();
  },
);

await t.test('what is not a chunk is left alone and logged', async (t) => {
  const directory = t.testdir();
  const log = new RecordingLogger();
  await leave(directory, { 'logs/notes.txt': 'mine', [`logs/${chunkName(0)}.bak`]: 'mine' });
  await mkdir(`${directory}/logs/${chunkName(1)}`);
  await mkdir(`${directory}/not.a.category`);
  await writeFile(`${directory}/file`, 'mine');
  const store = await openStore({ directory, log });
  t.same((await store.category('logs')).view.list('default'), []);
  t.same(
    log.entries.map(({ fields }) => fields['name']).sort(),
    [`${chunkName(0)}.bak`, chunkName(1), 'notes.txt'].sort(),
  );
  t.same(await store.listCategories(), ['logs']);
  await store.close();
  t.equal((await readFile(`${directory}/logs/notes.txt`)).toString(), 'mine');
});

await t.test('a crash between the ack and the removal is finished by the next start', async (t) => {
  const directory = t.testdir();
  const disk = new FaultDisk();
  const killed = await openStore({ directory, disk });
  const category = await killed.category('logs');
  const { chunk } = await append(category, 'a\n');
  await category.seal();
  const removing = disk.hold('removeFile', /chunk000000000$/);
  void category.ack(chunk, 2, 'default');
  await removing.reached;
  t.same(await chunkFiles(directory, 'logs'), [chunk], 'the file is still there');
  const next = await openStore({ directory });
  const reopened = await next.category('logs');
  t.same(await chunkFiles(directory, 'logs'), []);
  t.same(reopened.view.list('default'), []);
  t.equal(reopened.view.chunkState({ owner: 'node1', index: 0 }), 'acked');
  await next.close();
});

await t.test('a crash while an ack is recorded leaves the ack or none', async (t) => {
  for (const phase of ['before', 'after'] as const) {
    const directory = t.testdir();
    const disk = new FaultDisk();
    const killed = await openStore({ directory, disk });
    const category = await killed.category('logs');
    const { chunk } = await append(category, 'a\n');
    await category.seal();
    const renaming = disk.hold('rename', /groups\.json$/, phase);
    void category.ack(chunk, 2, 'default');
    await renaming.reached;
    const next = await openStore({ directory });
    const names = (await next.category('logs')).view.list('default').map(({ name }) => name);
    t.same(names, phase === 'before' ? [chunk] : [], phase);
    await next.close();
  }
});

await t.test('a damaged file of groups is refused with what to do', async (t) => {
  const damaged = [
    '',
    'not json',
    '{"version":1,"groups":{',
    '{"version":3,"groups":{}}',
    '{"version":2}',
    '{"version":2,"groups":{"default":{"node1":{"upTo":9,"extra":[]}}}}',
    '{"version":2,"groups":{"default":{"generation":0,"acked":{}}}}',
    '{"version":2,"groups":{"default":{"generation":1,"acked":{"node1":{"upTo":"9","extra":[]}}}}}',
    '{"version":2,"groups":{},"sizes":[["node1",0]]}',
    'null',
    '[]',
    '{"version":1}',
    '{"version":1,"groups":null}',
    '{"version":1,"groups":{"default":null}}',
    '{"version":1,"groups":{"default":{"node1":null}}}',
    '{"version":1,"groups":{"default":{"node1":{"upTo":"9","extra":[]}}}}',
    '{"version":1,"groups":{"default":{"node1":{"upTo":0,"extra":[null]}}}}',
  ];
  for (const text of damaged) {
    const directory = t.testdir();
    await leave(directory, { [`logs/${chunkName(0)}`]: 'a\n', '.chukcha/logs/groups.json': text });
    const error = await openStore({ directory }).catch((thrown: unknown) => thrown);
    t.equal(errorCode(error), 'directory_invalid', JSON.stringify(text));
    t.match(
      errorMessage(error),
      /\/logs\/groups\.json is not a group file of version 1 or 2 .*: restore it, or remove it to let every group read/,
    );
    t.same(await chunkFiles(directory, 'logs'), [chunkName(0)], 'nothing was deleted');
  }
});

await t.test('a damaged index reservation is refused with what to do', async (t) => {
  for (const text of [
    '',
    '{}',
    '{"version":1,"next":-1}\n',
    '{"version":1,"next":7',
    'x'.repeat(99),
  ]) {
    const directory = t.testdir();
    await leave(directory, { '.chukcha/logs/next-chunk-index.json': text });
    const error = await openStore({ directory }).catch((thrown: unknown) => thrown);
    t.equal(errorCode(error), 'directory_invalid', JSON.stringify(text));
    t.match(
      errorMessage(error),
      /next-chunk-index\.json does not say .* write \{"version":1,"next":N\} into it/,
    );
  }
});

await t.test('the last index of all is used, and then no more chunk is made', async (t) => {
  const directory = t.testdir();
  await leave(directory, {
    '.chukcha/logs/next-chunk-index.json': '{"version":1,"next":999999999}\n',
  });
  const store = await openStore({ directory });
  const category = await store.category('logs');
  t.equal((await append(category, 'a\n')).chunk, chunkName(999_999_999));
  await category.seal();
  await t.rejects(append(category, 'b\n'), { code: 'storage_failed' });
  await store.close();
  await t.resolves(
    openStore({ directory }).then((again) => again.close()),
    'and it starts again',
  );
});

await t.test('a file of groups of the first version is taken over', async (t) => {
  const directory = t.testdir();
  await leave(directory, {
    [`logs/${chunkName(0)}`]: 'a\n',
    [`logs/${chunkName(1)}`]: 'b\n',
    '.chukcha/logs/groups.json':
      '{"version":1,"groups":{"default":{"node1":{"upTo":0,"extra":[]}},"slow":{}},"expired":{}}\n',
  });
  const store = await openStore({ directory });
  const category = await store.category('logs');
  const listed = (group: string): string[] => category.view.list(group).map(({ name }) => name);
  t.same(listed('default'), [chunkName(1)]);
  t.same(listed('slow'), [chunkName(0), chunkName(1)]);
  await category.ack(chunkName(0), 2, 'slow');
  t.same(await chunkFiles(directory, 'logs'), [chunkName(1)]);
  await store.close();
});

await t.test('a leftover of a file that was being replaced is no obstacle', async (t) => {
  const directory = t.testdir();
  await leave(directory, {
    '.chukcha/logs/groups.json.new': '{"ver',
    '.chukcha/logs/next-chunk-index.json.new': '{"ver',
  });
  const store = await openStore({ directory });
  const category = await store.category('logs');
  const { chunk } = await append(category, 'a\n');
  await category.seal();
  await category.ack(chunk, 2, 'default');
  await store.close();
  t.match(
    await readFile(chunkPath(directory, '.chukcha/logs', 'groups.json'), 'utf8'),
    /"version":2/,
  );
});

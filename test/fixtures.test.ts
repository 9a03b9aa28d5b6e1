import { cpSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { StateJournal } from '../src/pipeline/state-journal.js';
import { nodeDisk } from '../src/storage/node-disk.js';
import { runCli } from './support/cli.js';
import { testDirectory } from './support/test-directory.js';
import { startTestNode } from './support/test-node.js';
import { call, json } from './support/test-server.js';

/** Directories that version 0.1 has left; `scripts/make-fixtures.js` made them. */
const fixtures = join(import.meta.dirname, '..', '..', 'test', 'fixtures', 'v0.1');

/** A copy to work on, because what is checked in must stay as it was. */
function copyOf(base: string, name: string): string {
  const directory = join(base, name);
  cpSync(join(fixtures, name), directory, { recursive: true });
  return directory;
}

for (const [name, lines] of [
  ['node-stopped', ['three\n']],
  ['node-killed', ['three\n', 'four\n']],
] as const) {
  await t.test(
    `a data directory of version 0.1 (${name}) is served with all that it holds`,
    async (t) => {
      const node = await startTestNode(copyOf(testDirectory(t), name));
      t.teardown(() => node.close());
      t.match(json(await call(node.url, '/livez')), { cluster: '48c6b17cac189dec' });
      const read = async (category: string, group: string): Promise<string[]> => {
        const path = `/listChunks?category=${category}&group=${group}`;
        const chunks = json(await call(node.url, path)) as { name: string }[];
        return Promise.all(
          chunks.map(async ({ name: chunk }) => {
            const path = `/read?category=${category}&chunk=${chunk}&off=0`;
            return (await call(node.url, path)).body.toString();
          }),
        );
      };
      t.same(await read('logs', 'archive'), ['one\ntwo\n', ...lines]);
      t.same(await read('logs', 'default'), lines, 'what a group has acknowledged stays so');
      t.same(await read('files', 'default'), ['from a file\n']);
      const repeated = await call(node.url, '/write?category=logs', {
        method: 'POST',
        headers: { 'Chukcha-Producer': 'web', 'Chukcha-Sequence': '7' },
        body: 'one\ntwo\n',
      });
      t.match(json(repeated), { duplicate: true });
    },
  );
}

await t.test('verify finds nothing wrong in a directory of version 0.1', async (t) => {
  for (const name of ['node-stopped', 'node-killed']) {
    const { exit, stderr } = await runCli(['verify', copyOf(testDirectory(t), name)]);
    t.equal(exit, 0, stderr);
  }
});

await t.test('a sink goes on where one of version 0.1 was', async (t) => {
  const base = testDirectory(t);
  const node = await startTestNode(copyOf(base, 'node-killed'));
  t.teardown(() => node.close());
  const words = ['sink', '--to', 'stdout', '--category', 'logs', '--once'];
  const state = copyOf(base, 'sink-state');
  const { exit, stdout, stderr } = await runCli([...words, '--server', node.url, '--state', state]);
  t.equal(exit, 0, stderr);
  t.equal(stdout.toString(), 'three\nfour\n');
});

await t.test('the checkpoint of a shipper of version 0.1 is read', async (t) => {
  const entries = await StateJournal.read(
    nodeDisk,
    join(copyOf(testDirectory(t), 'ship-state'), 'state.journal'),
  );
  const [file] = [...entries].filter(([key]) => key.startsWith('input/'));
  t.match(file?.[1], { version: 1, path: /app\.log$/, offset: 12 });
  t.match(entries.get('ship/about'), { category: 'files' });
});

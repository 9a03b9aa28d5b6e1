import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Client } from '../../src/index.js';
import { CliNode } from '../support/cli.js';
import { testDirectory } from '../support/test-directory.js';

/** Runs an example; resolves with what it printed, and its exit code. */
function runExample(
  name: string,
  words: readonly string[],
  dies = '',
): { exit: number | null; said: unknown } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [`examples/library/${name}.js`, ...words],
    { encoding: 'utf8', env: { ...process.env, EXAMPLE_DIES: dies } },
  );
  if (status !== 0 && status !== 70) throw new Error(stderr);
  return { exit: status, said: stdout === '' ? undefined : JSON.parse(stdout) };
}

t.test('programs that use the library bear messages that come twice', async (t) => {
  const directory = testDirectory(t);
  const node = await CliNode.start(join(directory, 'data'));
  t.teardown(() => node.stop());
  const client = new Client({ server: node.url });
  t.teardown(() => client.close());
  const write = async (category: string, lines: readonly unknown[]): Promise<void> => {
    const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line)));
    await client.write(category, [Buffer.from(`${text.join('\n')}\n`)]);
  };

  await t.test(
    'payments are counted once, also after a kill before the acknowledgement',
    async (t) => {
      await write('payments', [
        { id: 'p1', account: 'ann', amount: 5 },
        { id: 'p2', account: 'bob', amount: 7 },
        { id: 'p1', account: 'ann', amount: 5 },
      ]);
      const words = [node.url, join(directory, 'balances.json')];
      t.equal(runExample('events-to-table', words, 'before ack').exit, 70);
      await write('payments', [{ id: 'p3', account: 'ann', amount: 1 }]);
      t.same(runExample('events-to-table', words).said, {
        balances: { ann: 6, bob: 7 },
        repeated: 3,
      });
      t.same((runExample('events-to-table', words).said as { balances: unknown }).balances, {
        ann: 6,
        bob: 7,
      });
    },
  );

  await t.test(
    'the index has the newest contents, in whatever order changes are told',
    async (t) => {
      const database = join(directory, 'documents.json');
      const words = [node.url, database, join(directory, 'index.json')];
      writeFileSync(database, JSON.stringify({ a: 'Old words', b: 'Snow geese' }));
      await write('changes', ['a', 'b']);
      t.same(runExample('search-index', words).said, { a: ['old', 'words'], b: ['snow', 'geese'] });
      writeFileSync(database, JSON.stringify({ a: 'New words' }));
      await write('changes', ['b', 'a', 'b', 'a']);
      t.same(runExample('search-index', words).said, { a: ['new', 'words'] });
    },
  );

  await t.test(
    'a mail is sent once, and three times at most when the sender dies each time',
    async (t) => {
      const outbox = join(directory, 'outbox.txt');
      const words = [node.url, join(directory, 'book.json'), outbox];
      await write('mail', [
        { id: 'm1', to: 'ann', text: 'Hello' },
        { id: 'm2', to: 'bob', text: 'This one kills its sender' },
        { id: 'm3', to: 'eve', text: 'Still sent' },
      ]);
      for (const exit of [70, 70, 70, 0]) t.equal(runExample('send-mail', words, 'm2').exit, exit);
      t.same(readFileSync(outbox, 'utf8').trimEnd().split('\n'), [
        'ann: Hello',
        ...Array(3).fill('bob: This one kills its sender'),
        'eve: Still sent',
      ]);
    },
  );
});

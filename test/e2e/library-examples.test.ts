import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import t from 'tap';
import { Client } from '../../src/index.js';
import { openPage, reasonWithoutChromium, startBrowser } from '../support/browser.js';
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

t.test('the examples are what the compiler expects of their comments', (t) => {
  const compiler = createRequire(import.meta.url).resolve('typescript/package.json');
  const words = [join(compiler, '..', 'bin', 'tsc'), '-p', 'examples'];
  // The runner has every program load what counts coverage, and the compiler cannot be loaded that way.
  const plainly = ['-c', 'NODE_OPTIONS= exec "$0" "$@"', process.execPath, ...words];
  const { status, stdout, stderr } = spawnSync('sh', plainly, { encoding: 'utf8' });
  t.equal(status, 0, `${stdout}${stderr}`);
  t.end();
});

/** The application of the example, until the test ends. */
async function startWebApp(
  node: CliNode,
  directory: string,
): Promise<{ readonly app: ChildProcess; readonly url: string }> {
  const words = ['examples/analytics/web-app.js', '0', node.url, join(directory, 'analytics')];
  const app = spawn(process.execPath, words, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, XDG_STATE_HOME: join(directory, 'state') },
  });
  const [line] = (await once(app.stdout, 'data')) as [Buffer];
  return { app, url: line.toString().trim() };
}

async function stopWebApp(app: ChildProcess): Promise<unknown> {
  const exited = once(app, 'exit');
  app.kill('SIGTERM');
  return (await exited)[0];
}

const skip = reasonWithoutEngine() || reasonWithoutChromium();
if (skip !== false) t.comment(`SKIPPED: ${skip}`);

t.test('what happens on pages is counted once each, by minute and page', { skip }, async (t) => {
  const directory = testDirectory(t);
  const node = await CliNode.start(join(directory, 'data'));
  t.teardown(() => node.stop());
  const { app, url } = await startWebApp(node, directory);
  t.teardown(() => app.kill('SIGKILL'));
  const post = async (body: string): Promise<number> =>
    (await fetch(`${url}/events`, { method: 'POST', body })).status;
  const rowsOf = (text: string): string[][] =>
    [...text.matchAll(/<tr><td>[^<]*<td>([^<]*)<td>(\d+)<td>(\d+)/g)].map((row) => row.slice(1, 4));
  const figures = async (from = url): Promise<Record<string, number[]>> => {
    const answer = await fetch(`${from}/figures`);
    const text = await answer.text();
    t.equal(answer.status, 200, text);
    // A minute may end while the test runs.
    const sums = new Map<string, number[]>();
    for (const [page = '', views, clicks] of rowsOf(text)) {
      const [viewCount = 0, clickCount = 0] = sums.get(page) ?? [];
      sums.set(page, [viewCount + Number(views), clickCount + Number(clicks)]);
    }
    return Object.fromEntries(sums);
  };
  t.same(await figures(), {}, 'nothing has happened yet');

  const browser = await startBrowser(t);
  const { page, errors } = await openPage(browser, `${url}/`);
  await page.waitForResponse(`${url}/events`);
  const taken = page.waitForResponse(`${url}/events`);
  await page.click('button');
  t.equal((await taken).status(), 204);
  await Promise.all([page.waitForResponse(`${url}/events`), page.click('text=Books')]);
  t.same(errors, []);

  const event = { id: 'e1', kind: 'view', page: '/<b>"&' };
  t.equal(await post(JSON.stringify([event])), 204);
  t.equal(await post(JSON.stringify([event])), 204, 'the same once more, as after a lost answer');
  for (const wrong of ['', '{}', '[]', '[{"id":"e2"}]', '[{"id":"e2","kind":"x","page":"/"}]']) {
    t.equal(await post(wrong), 400, wrong);
  }
  t.equal(await post(`["${'x'.repeat(64 * 1024)}"]`), 413);
  t.equal((await fetch(`${url}/nowhere`)).status, 404);
  /** By page: views and clicks. */
  const counted = { '/': [1, 1], '/books': [1, 0], '/&#60;b&#62;&#34;&#38;': [1, 0] };
  t.same(await Promise.all([figures(), figures()]), [counted, counted], 'two look at a time');

  t.equal(await stopWebApp(app), 0);
  const again = await startWebApp(node, directory);
  t.same(await figures(again.url), counted, 'the table is there after a restart');
  t.equal(await stopWebApp(again.app), 0);
});

function reasonWithoutEngine(): string | false {
  try {
    createRequire(import.meta.url).resolve('chdb');
    return false;
  } catch {
    if (process.env['CI']) throw new Error('chdb is not installed: run npm install');
    return 'chdb is not installed: run npm install';
  }
}

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { CliNode, type CliResult, runCli } from '../support/cli.js';
import { testDirectory } from '../support/test-directory.js';

const first = 'node1-chunk000000000';

t.test('groups are added, followed and removed by hand, and chunks acknowledged', async (t) => {
  const directory = testDirectory(t);
  const node = await CliNode.start(join(directory, 'data'));
  t.teardown(() => node.stop());
  const env = { CHUKCHA_SERVER: node.url };
  const run = async (...words: string[]): Promise<CliResult & { readonly text: string }> => {
    const result = await runCli(words, { env });
    t.equal(result.exit, 0, `${words.join(' ')}: ${result.stderr}`);
    return { ...result, text: result.stdout.toString() };
  };
  const json = async (...words: string[]): Promise<unknown> =>
    JSON.parse((await run(...words, '--json')).text);

  const empty = await run('groups');
  t.match([empty.text, empty.stderr], ['', /no groups/]);
  t.match(
    (await run('groups', 'add', 'slow')).stderr,
    /slow of category logs begins at the earliest/,
  );
  t.match((await run('groups', 'add', 'slow')).stderr, /registered before/);
  await run('write', 'one', 'two');
  await run('write', 'three', '--category', 'web');
  t.same(await json('groups', 'add', 'late', '--from', 'latest'), {
    category: 'logs',
    group: 'late',
    from: 'latest',
    created: true,
    freedChunks: 0,
    freedBytes: 0,
  });
  await run('groups', 'add', 'reader', '--category', 'web');

  t.match((await run('seal')).stderr, /no open chunk/, 'the late group has sealed it');
  t.same(await json('seal', '--category', 'web'), { category: 'web', chunk: first, size: 6 });
  t.equal(
    (await run('groups', 'ls')).text,
    [
      'CATEGORY  GROUP   CHUNKS  TO ACKNOWLEDGE',
      'logs      late         0         0 bytes',
      'logs      slow         1         8 bytes',
      'web       reader       1         6 bytes',
      '',
    ].join('\n'),
  );
  t.same(await json('groups', 'ls', '--category', 'web'), [
    { category: 'web', group: 'reader', chunks: 1, bytes: 6 },
  ]);

  const status = (await run('status')).text;
  t.match(
    status,
    /^node +node1, running\ncluster +none, it stands alone \([0-9a-f]{16}\)\nversion +\d+\.\d+\.\d+\nup +\d+ s, /,
  );
  t.match(status, /^CATEGORY +CHUNKS +SIZE +GROUP +TO ACKNOWLEDGE$/m);
  t.match(status, /^web +1 +6 bytes +reader +6 bytes$/m);
  t.match(await json('status'), { node: 'node1', categories: [{ name: 'logs' }, { name: 'web' }] });

  t.match(
    (await run('ack', first, '--category', 'web', '--group', 'reader')).stderr,
    /has acknowledged/,
  );
  t.same(readdirSync(join(directory, 'data/web')), []);
  t.match((await run('groups', 'rm', 'slow')).stderr, /deleted with it: 1 \(8 bytes\)/);
  t.same(readdirSync(join(directory, 'data/logs')), []);
  t.match((await run('groups', 'rm', 'slow')).stderr, /no group slow/);
});

t.test('what cannot be acknowledged or named ends with a sentence', async (t) => {
  const directory = testDirectory(t);
  const node = await CliNode.start(join(directory, 'data'));
  t.teardown(() => node.stop());
  await runCli(['write', 'one'], { env: { CHUKCHA_SERVER: node.url } });
  const failures: readonly (readonly [readonly string[], number, RegExp])[] = [
    [['ack', first], 1, /may still grow/],
    [['ack', 'node1-chunk000000009'], 1, /no chunk node1-chunk000000009 for group default/],
    [['ack', 'nonsense'], 2, /chunk name "nonsense" is not valid/],
    [['ack', first, '--size', 'x'], 2, /size/],
    [['groups', 'add', 'a/b'], 2, /group name "a\/b" is not valid/],
    [['groups', 'add', 'a', '--from', 'now'], 2, /earliest, latest/],
    [['groups', 'rm', 'a', '--category', '..'], 2, /category name/],
    [['seal', '--category', 'a.b'], 2, /category name/],
  ];
  for (const [words, exit, sentence] of failures) {
    const result = await runCli(words, { env: { CHUKCHA_SERVER: node.url } });
    t.equal(result.exit, exit, words.join(' '));
    t.match(result.stderr, sentence, words.join(' '));
  }
  for (const words of [['status'], ['ack', first]]) {
    const result = await runCli([...words, '--server', 'http://127.0.0.1:1']);
    t.equal(result.exit, 1, words.join(' '));
    t.match(result.stderr, /No chukcha node answers at http:\/\/127\.0\.0\.1:1/);
  }
  for (const command of ['groups', 'groups add', 'groups rm', 'ack', 'seal', 'status']) {
    const help = await runCli([...command.split(' '), '--help']);
    t.match(help.stdout.toString(), /EXAMPLES/, `${command} --help has an example`);
  }
});

import { appendFileSync, existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { CliNode, type CliRun, runCli, startCli } from '../support/cli.js';
import { testDirectory } from '../support/test-directory.js';

/** The bytes of all files of a directory. */
function sizeOf(directory: string): number {
  return readdirSync(directory).reduce(
    (sum, name) => sum + statSync(join(directory, name)).size,
    0,
  );
}

/** Resolves when a run has printed this much on standard output. */
async function printed(run: CliRun, text: string): Promise<void> {
  let seen = '';
  await new Promise<void>((resolve) => {
    run.child.stdout.on('data', (piece: Buffer) => {
      seen += piece.toString();
      if (seen.endsWith(text)) resolve();
    });
  });
}

t.test('what is written by hand is shown by tail, categories and chunks', async (t) => {
  const directory = testDirectory(t);
  const node = await CliNode.start(join(directory, 'data'), ['--max-chunk-size', '1000']);
  t.teardown(() => node.stop());
  const env = { CHUKCHA_SERVER: node.url, CHUKCHA_CATEGORY: 'notes' };
  const run = async (...words: string[]): Promise<string> => {
    const { exit, stdout, stderr } = await runCli(words, { env });
    t.equal(exit, 0, `${words.join(' ')}: ${stderr}`);
    return stdout.toString();
  };

  t.equal(await run('categories'), '');
  t.equal(await run('tail', '--once'), '');
  t.equal(await run('write', 'one', 'two words', '--sync-each-write'), '');
  const receipt = JSON.parse(await run('write', 'three', '--json')) as unknown;
  t.same(receipt, { chunk: 'node1-chunk000000000', offset: 14, size: 6, duplicate: false });
  t.equal(await run('tail', '--once'), 'one\ntwo words\nthree\n');
  t.equal(await run('tail', '--once', '--lines', '2'), 'two words\nthree\n');
  t.equal(await run('tail', '--once', '-n', '0'), '');
  t.equal(await run('tail', '--once', '--all'), 'one\ntwo words\nthree\n');
  t.equal(await run('categories'), 'notes\n');
  t.same(JSON.parse(await run('categories', '--json')), ['notes']);
  t.match(await run('chunks'), /^node1-chunk000000000 +20 bytes +open\n$/);
  await run('write', 'x'.repeat(1_500));
  await run('write', 'last');
  const chunks = JSON.parse(await run('chunks', '--json')) as unknown;
  t.same(chunks, [
    { name: 'node1-chunk000000000', complete: true, size: 1521 },
    { name: 'node1-chunk000000001', complete: false, size: 5 },
  ]);
  t.equal(
    await run('tail', '--once', '--all'),
    `one\ntwo words\nthree\n${'x'.repeat(1_500)}\nlast\n`,
  );

  const tail = startCli(['tail', '-n', '1'], { env });
  await printed(tail, 'last\n');
  const fresh = printed(tail, 'fresh\n');
  await run('write', 'fresh');
  await fresh;
  tail.child.kill('SIGINT');
  t.equal((await tail.result).exit, 0);
});

t.test('the installed plugins are listed and described', async (t) => {
  const list = await runCli(['plugins']);
  t.equal(list.exit, 0);
  for (const line of [/^input +file /m, /^input +http /m, /^input +stdin /m, /^output +stdout /m]) {
    t.match(list.stdout.toString(), line);
  }
  const json = JSON.parse((await runCli(['plugins', 'list', '--json'])).stdout.toString()) as {
    package: string;
  }[];
  t.same(json.map((plugin) => plugin.package).sort(), [
    '@chukcha/input-elasticsearch',
    '@chukcha/input-file',
    '@chukcha/input-http',
    '@chukcha/input-otlp',
    '@chukcha/input-splunk',
    '@chukcha/input-stdin',
    '@chukcha/input-syslog',
    '@chukcha/output-clickhouse',
    '@chukcha/output-elasticsearch',
    '@chukcha/output-elasticsearch',
    '@chukcha/output-stdout',
  ]);
  const inspect = (await runCli(['plugins', 'inspect', 'file'])).stdout.toString();
  t.match(inspect, /^input file \(@chukcha\/input-file\)/);
  t.match(inspect, /paths=.*required/);
  t.match(inspect, /read_from=.*default "beginning"/);
  t.match((await runCli(['plugins', 'inspect', 'stdin'])).stdout.toString(), /separator=/);
});

t.test('a pipe that follows delivers what comes, and goes on where it ended', async (t) => {
  const directory = testDirectory(t, { 'app.log': 'one\n' });
  const file = join(directory, 'app.log');
  const words = [
    'pipe',
    '--from',
    `file:${file}`,
    '--to',
    'stdout',
    '--data',
    join(directory, 'pipe'),
  ];
  const first = startCli(words);
  await printed(first, 'one\n');
  appendFileSync(file, 'two\n');
  await printed(first, 'two\n');
  first.child.kill('SIGTERM');
  t.equal((await first.result).exit, 0);
  appendFileSync(file, 'three\n');
  const second = startCli(words);
  await printed(second, 'three\n');
  second.child.kill('SIGTERM');
  const { exit, stdout } = await second.result;
  t.equal(exit, 0);
  t.equal(stdout.toString(), 'three\n', 'and nothing twice');
});

t.test(
  'lines that are posted to the HTTP input come out, and are answered when they are in the bus',
  async (t) => {
    const directory = testDirectory(t);
    const node = await CliNode.start(join(directory, 'data'));
    t.teardown(() => node.stop());
    const ship = startCli([
      'ship',
      '--from',
      'http:127.0.0.1:0',
      '--server',
      node.url,
      '--state',
      join(directory, 'ship'),
    ]);
    const url = await new Promise<string>((resolve) => {
      ship.child.stderr.on('data', (piece: Buffer) => {
        const found = /url=(http\S+)/.exec(piece.toString())?.[1];
        if (found !== undefined) resolve(found);
      });
    });
    const answer = await fetch(url, {
      method: 'POST',
      body: 'one\ntwo',
      headers: { 'Content-Type': 'text/plain' },
    });
    t.same(await answer.json(), { accepted: true, bytes: 8, lines: 2 });
    const other = await fetch(`${url}/audit`, {
      method: 'POST',
      body: 'three\n',
      headers: { 'Content-Type': 'text/plain' },
    });
    t.equal(other.status, 200);
    const tail = await runCli(['tail', '--once', '--server', node.url]);
    t.equal(tail.stdout.toString(), 'one\ntwo\n');
    const audit = await runCli(['tail', '--once', '--server', node.url, '--category', 'audit']);
    t.equal(audit.stdout.toString(), 'three\n');
    ship.child.kill('SIGTERM');
    t.equal((await ship.result).exit, 0);
  },
);

t.test('tail goes back over restarts of the node, each of which begins a chunk', async (t) => {
  const directory = testDirectory(t);
  for (const lines of [['one', 'two'], ['three'], ['four']]) {
    const node = await CliNode.start(join(directory, 'data'));
    await runCli(['write', ...lines, '--server', node.url]);
    await node.stop();
  }
  const node = await CliNode.start(join(directory, 'data'));
  t.teardown(() => node.stop());
  const tail = async (count: string): Promise<string> =>
    (await runCli(['tail', '--once', '-n', count, '--server', node.url])).stdout.toString();
  t.equal(await tail('3'), 'two\nthree\nfour\n');
  t.equal(await tail('10'), 'one\ntwo\nthree\nfour\n');
});

t.test('a node with a small batch limit takes a file that is larger', async (t) => {
  const lines = Array.from({ length: 5_000 }, (_, index) => `line ${index}\n`).join('');
  const directory = testDirectory(t, { 'app.log': lines });
  const node = await CliNode.start(join(directory, 'data'), ['--max-batch', '1000']);
  t.teardown(() => node.stop());
  const common = ['--server', node.url, '--once', '--state', join(directory, 'state')];
  const { exit, stderr } = await runCli([
    'ship',
    '--from',
    `file:${join(directory, 'app.log')}`,
    ...common,
  ]);
  t.equal(exit, 0, stderr);
  t.equal(
    (await runCli(['tail', '--all', '--once', '--server', node.url])).stdout.toString(),
    lines,
  );
});

t.test('a pipe delivers what was accepted before its input failed', async (t) => {
  const good = 'a good line\n'.repeat(300_000);
  const directory = testDirectory(t, { 'app.log': `${good}${'x'.repeat(1024 * 1024)}\n` });
  const words = [
    'pipe',
    '--from',
    `file:${join(directory, 'app.log')}`,
    '--to',
    'stdout',
    '--set-from',
    'long_line=fail',
    '--once',
  ];
  const { exit, stdout, stderr } = await runCli(words);
  t.equal(exit, 1);
  t.match(stderr, /Line 300001 of .*app\.log/);
  t.ok(stdout.toString() === good, 'every line before the one that is too long came out');
});

t.test(
  'a pipe that is stopped ends although nobody reads its output, and goes on there the next time',
  async (t) => {
    const lines = Array.from(
      { length: 20_000 },
      (_, index) => `line ${index} ${'x'.repeat(99)}\n`,
    ).join('');
    const directory = testDirectory(t, { 'app.log': lines });
    const words = [
      'pipe',
      '--from',
      `file:${join(directory, 'app.log')}`,
      '--to',
      'stdout',
      '--data',
      join(directory, 'pipe'),
    ];
    const run = startCli(words);
    run.child.stdout.pause();
    const stored = join(directory, 'pipe/data/logs');
    while (!existsSync(stored) || sizeOf(stored) < lines.length) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    run.child.kill('SIGTERM');
    const exit = await new Promise((resolve) => run.child.once('exit', resolve));
    t.equal(exit, 1);
    run.child.stdout.resume();
    t.match(
      (await run.result).stderr,
      /The output did not take everything within 10000 ms after the stop/,
    );
    const next = await runCli([...words, '--once']);
    t.equal(next.exit, 0);
    t.ok(next.stdout.toString() === lines, 'the batch that was not taken comes again, whole');
  },
);

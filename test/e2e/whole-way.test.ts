import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { CliNode, runCli } from '../support/cli.js';
import { testDirectory } from '../support/test-directory.js';

/** Real logs, where they stand beside the project. */
const realLogs = join('..', 'shared', 'logs');
const bookshopLog = 'examples/bookshop/bookshop.log';

/** What shipping makes of a file: the same bytes, with a newline at the end. */
function withLastNewline(content: Buffer): Buffer {
  return content.length === 0 || content.at(-1) === 0x0a
    ? content
    : Buffer.concat([content, Buffer.from('\n')]);
}

function logFiles(): string[] {
  const real = existsSync(realLogs)
    ? readdirSync(realLogs).filter((name) => /\.(log|ndjson)$/.test(name))
    : [];
  return [bookshopLog, ...real.map((name) => join(realLogs, name))];
}

t.test('every log comes out as it went in, byte for byte', async (t) => {
  const files = logFiles();
  if (files.length === 1) t.comment(`${realLogs} is not here: only ${bookshopLog} is tried`);
  const directory = testDirectory(t);
  const node = await CliNode.start(join(directory, 'data'));
  t.teardown(() => node.stop());
  for (const [index, file] of files.entries()) {
    const common = ['--server', node.url, '--category', `c${index}`, '--once'];
    const input = readFileSync(file);
    const shipped = await runCli([
      'ship',
      '--from',
      `file:${file}`,
      ...common,
      '--state',
      join(directory, `ship${index}`),
    ]);
    t.equal(shipped.exit, 0, `${file} is shipped`);
    const addsNewline = input.at(-1) !== 0x0a;
    t.equal(
      /Added the missing newline/.test(shipped.stderr),
      addsNewline,
      'a missing last newline is said',
    );
    const sunk = await runCli([
      'sink',
      '--to',
      'stdout',
      ...common,
      '--state',
      join(directory, `sink${index}`),
    ]);
    t.equal(sunk.exit, 0, `${file} is sunk`);
    t.ok(sunk.stdout.equals(withLastNewline(input)), `${file} is equal`);
  }
});

t.test(
  '100 MB made of all logs come out as they went in, over many chunks and in one pipe',
  async (t) => {
    const block = Buffer.concat(logFiles().map((file) => withLastNewline(readFileSync(file))));
    const content = Buffer.concat(
      Array.from({ length: Math.ceil(100_000_000 / block.length) }, () => block),
    );
    const directory = testDirectory(t, { 'big.log': content });
    const file = join(directory, 'big.log');
    const node = await CliNode.start(join(directory, 'data'));
    t.teardown(() => node.stop());
    const common = ['--server', node.url, '--once'];
    const output = join(directory, 'out');
    t.equal(
      (
        await runCli(['ship', '--from', 'stdin', ...common], {
          inputFile: file,
          env: { XDG_STATE_HOME: directory },
        })
      ).exit,
      0,
    );
    const sunk = await runCli(
      ['sink', '--to', 'stdout', ...common, '--state', join(directory, 'sink')],
      { outputFile: output },
    );
    t.equal(sunk.exit, 0);
    t.ok(readFileSync(output).equals(content), 'through stdin, a node and a sink');
    const chunks = JSON.parse(
      (await runCli(['chunks', '--server', node.url, '--json'])).stdout.toString(),
    ) as unknown[];
    t.equal(
      chunks.length,
      1,
      'the sink has acknowledged every sealed chunk, so only the open one is left',
    );
    const piped = await runCli(['pipe', '--from', `file:${file}`, '--to', 'stdout', '--once'], {
      outputFile: output,
    });
    t.equal(piped.exit, 0);
    t.ok(readFileSync(output).equals(content), 'through a pipe with an embedded node');
  },
);

t.test('a second run with the same state ships what was appended, and nothing else', async (t) => {
  const directory = testDirectory(t, { 'app.log': 'one\ntwo\n' });
  const file = join(directory, 'app.log');
  const node = await CliNode.start(join(directory, 'data'));
  t.teardown(() => node.stop());
  const ship = [
    'ship',
    '--from',
    `file:${file}`,
    '--server',
    node.url,
    '--once',
    '--state',
    join(directory, 'ship'),
  ];
  const sink = [
    'sink',
    '--to',
    'stdout',
    '--server',
    node.url,
    '--once',
    '--state',
    join(directory, 'sink'),
  ];
  t.equal((await runCli(ship)).exit, 0);
  t.equal((await runCli(sink)).stdout.toString(), 'one\ntwo\n');
  t.equal((await runCli(ship)).exit, 0);
  t.equal((await runCli(sink)).stdout.toString(), '', 'nothing was shipped again');
  appendFileSync(file, 'three\n');
  t.equal((await runCli(ship)).exit, 0);
  t.equal((await runCli(sink)).stdout.toString(), 'three\n');
  const other = await runCli([...sink.slice(0, -1), join(directory, 'other'), '--group', 'other']);
  t.equal(other.stdout.toString(), 'one\ntwo\nthree\n', 'another group gets everything');
});

t.test(
  'a line of 1 MiB is shipped; one byte more is refused with the file, the line and the limit',
  async (t) => {
    const longest = `${'x'.repeat(1024 * 1024 - 1)}\n`;
    const directory = testDirectory(t, {
      'fits.log': `short\n${longest}`,
      'long.log': `short\nx${longest}after\n`,
    });
    const node = await CliNode.start(join(directory, 'data'));
    t.teardown(() => node.stop());
    const ship = (name: string, input: string): Promise<Awaited<ReturnType<typeof runCli>>> =>
      runCli([
        'ship',
        '--from',
        `file:${join(directory, input)}`,
        '--server',
        node.url,
        '--once',
        '--category',
        name,
        '--state',
        join(directory, name),
        '--set',
        'long_line=fail',
      ]);
    t.equal((await ship('fits', 'fits.log')).exit, 0);
    const refused = await ship('long', 'long.log');
    t.equal(refused.exit, 1);
    t.match(refused.stderr, /long\.log/);
    t.match(refused.stderr, /line 2/i);
    t.match(refused.stderr, /1048576/);
    const viaStdin = await runCli(
      ['ship', '--from', 'stdin', '--server', node.url, '--category', 'piped'],
      {
        input: `x${longest}`,
        env: { XDG_STATE_HOME: directory },
      },
    );
    t.equal(viaStdin.exit, 1);
    t.match(viaStdin.stderr, /line 1\b.*1048576/is);
  },
);

t.test('an empty input is shipped and sunk as nothing', async (t) => {
  const directory = testDirectory(t, { 'empty.log': '' });
  const piped = await runCli([
    'pipe',
    '--from',
    `file:${join(directory, 'empty.log')}`,
    '--to',
    'stdout',
    '--once',
  ]);
  t.equal(piped.exit, 0);
  t.equal(piped.stdout.length, 0);
  const stdin = await runCli(['pipe', '--from', 'stdin', '--to', 'stdout', '--once'], {
    input: '\n\n',
  });
  t.equal(stdin.stdout.toString(), '\n\n', 'empty lines are lines');
});

t.test('the output stops when its reader does, without an error', async (t) => {
  const directory = testDirectory(t);
  const file = join(directory, 'many.log');
  writeFileSync(file, Array.from({ length: 400_000 }, (_, index) => `line ${index}\n`).join(''));
  const { execFileSync } = await import('node:child_process');
  const shell = `set -o pipefail; bin/run.js pipe --from 'file:${file}' --to stdout --once 2>'${directory}/err' | head -n 2; echo "\${PIPESTATUS[0]}"`;
  t.equal(execFileSync('bash', ['-c', shell]).toString(), 'line 0\nline 1\n0\n');
  t.notMatch(readFileSync(join(directory, 'err'), 'utf8'), /Error/);
});

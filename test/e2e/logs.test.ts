import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { type CliRun, runCli, startCli } from '../support/cli.js';
import { testDirectory } from '../support/test-directory.js';
import { startTestNode } from '../support/test-node.js';

/** What a terminal would obey, or show as something else. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;
const logLine = /^\d{4}-\d\d-\d\dT\S+Z (trace|debug|info |warn |error) /;

/** Colours, a title for the terminal, a line that looks like one of the log, and a text from right to left. */
const hostile =
  '\u001b[31mred\u001b]0;title\u0007\n2026-01-01T00:00:00.000Z info  Fine.\u202e\u0085\u2028';

interface JsonLine {
  readonly time: string;
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

function linesOf(stderr: string): string[] {
  return stderr.split('\n').slice(0, -1);
}

/** Checks that all of it is log lines in the form of JSON, and returns them. */
function checkJson(t: Test, stderr: string): JsonLine[] {
  return linesOf(stderr).map((line) => {
    t.notMatch(line, unprintable);
    const read = JSON.parse(line) as JsonLine;
    t.match(read, {
      time: /^\d{4}-\d\d-\d\dT.*Z$/,
      level: /^(debug|info|warn|error)$/,
      msg: /\.$/,
    });
    return read;
  });
}

/** The first line that has a sentence. */
async function lineWith({ child }: CliRun, sentence: string): Promise<string> {
  const lines = createInterface({ input: child.stderr, terminal: false });
  for await (const line of lines) if (line.includes(sentence)) return line;
  throw new Error(`The command has ended without ${JSON.stringify(sentence)}.`);
}

/** Answers every request with the text, as a server would that is not what it says. */
async function startHostileServer(t: Test, status: number, body: string): Promise<string> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

t.test('a node logs as its flags, variables and file say, in this order', async (t) => {
  const directory = testDirectory(t);
  const config = join(directory, 'node.yaml');
  writeFileSync(config, 'listen: 127.0.0.1:0\nlog-format: json\nlog-level: warn\n');
  const words = ['serve', '--config', config, '--data', join(directory, 'data'), '--name', 'n1'];
  const run = startCli(words, { env: { CHUKCHA_LOG_LEVEL: 'info' } });
  t.teardown(() => run.child.kill('SIGKILL'));
  const ready = JSON.parse(await lineWith(run, 'ready')) as JsonLine;
  t.match(ready, { level: 'info', msg: 'Node is ready.', name: 'n1', url: /^http:/ });
  const url = String(ready['url']);
  const write = (): Promise<Response> =>
    fetch(`${url}/write?category=logs`, { method: 'POST', body: 'x\n' });
  t.equal((await write()).status, 200);
  await fetch(`${url}/seal?category=logs`, { method: 'POST' });
  run.child.kill('SIGUSR2');
  // The signal comes when the process is at leisure; what is sealed after that is told.
  await delay(300);
  await write();
  await fetch(`${url}/seal?category=logs`, { method: 'POST' });
  run.child.kill('SIGTERM');
  const { stderr, exit } = await run.result;
  t.equal(exit, 0);
  const lines = checkJson(t, stderr);
  t.same(
    lines.map(({ level, msg }) => `${level} ${msg}`),
    [
      'info Node is ready.',
      'info The level of the log was changed by SIGUSR2.',
      'debug Sealed a chunk.',
      'info Node has stopped.',
    ],
    'the first chunk was sealed without a word',
  );
});

t.test('a level or a form that there is not is refused, in every way to give it', async (t) => {
  const directory = testDirectory(t);
  const config = join(directory, 'node.yaml');
  writeFileSync(config, 'log-level: loud\n');
  const runs = await Promise.all([
    runCli(['serve', '--log-level', 'loud']),
    runCli(['serve', '--config', config]),
    runCli(['serve'], { env: { CHUKCHA_LOG_LEVEL: 'loud' } }),
  ]);
  for (const { exit, stderr } of runs) {
    t.equal(exit, 2);
    t.match(
      stderr,
      /^Error: (--log-level "loud" is not valid: expected|Option log-level is "loud": it must be) one of trace, debug, info/,
    );
  }
  const { exit, stderr } = await runCli(['serve', '--lisen', 'x'], {
    env: { CHUKCHA_LOG_FORMAT: 'json' },
  });
  t.equal(exit, 2);
  t.match(checkJson(t, stderr), [{ level: 'error', error: /--lisen: did you mean --listen/ }]);
});

t.test('all that a pipeline tells is lines of JSON when that is asked for', async (t) => {
  const directory = testDirectory(t);
  const logs = join(directory, 'logs');
  mkdirSync(logs);
  const name = 'a\n2026-01-01T00:00:00.000Z info  Forged.\u001b[2J\u202e.log';
  writeFileSync(join(logs, name), 'one\ntwo');
  const words = ['pipe', '--from', `file:${logs}/*`, '--to', 'stdout', '--once'];
  const json = await runCli([...words, '--log-format', 'json', '--log-level', 'debug']);
  t.equal(json.exit, 0);
  t.equal(json.stdout.toString(), 'one\ntwo\n');
  const lines = checkJson(t, json.stderr);
  const added = lines.find(({ msg }) => msg.startsWith('Added the missing newline'));
  t.equal(added?.['file'], join(logs, name), 'the name of the file as it is');
  t.match(
    lines.filter(({ msg }) => msg === 'The work has ended.'),
    [
      { verb: 'shipped', bytes: 8 },
      { verb: 'delivered', bytes: 8 },
    ],
  );
  t.ok(lines.some(({ msg, level }) => msg === 'Node is ready.' && level === 'debug'));

  const text = await runCli(words);
  t.equal(text.exit, 0);
  for (const line of linesOf(text.stderr)) t.notMatch(line, unprintable);
  t.notMatch(text.stderr, /^\S+ info {2}Forged/m);
  t.equal(linesOf(text.stderr).filter((line) => logLine.test(line)).length, 1);
});

t.test('what a hostile server says reaches no terminal as it is', async (t) => {
  const directory = testDirectory(t);
  const error = JSON.stringify({ error: { code: hostile, message: hostile, chunk: hostile } });
  const input = join(directory, 'in.log');
  writeFileSync(input, 'x\n');
  const ship = ['ship', '--from', `file:${input}`, '--once', '--retry-for', '0'];
  const sink = ['sink', '--to', 'stdout', '--once', '--retry-for', '0'];
  const chunk = { name: hostile, complete: true, size: 1, category: hostile };
  const servers: [what: string, status: number, body: unknown, commands: string[][]][] = [
    ['an error of a node', 500, error, [['doctor'], ['node', 'ls'], ['write', 'x'], ship, sink]],
    ['an error that is a page', 502, hostile, [['categories'], ['dlq', 'ls'], ship]],
    ['names of chunks and groups', 200, [chunk], [['chunks'], ['groups'], ['status'], ['doctor']]],
    ['names of categories', 200, [hostile], [['categories'], ['groups']]],
  ];
  const env = { XDG_STATE_HOME: join(directory, 'state') };
  for (const [what, status, body, commands] of servers) {
    const answer = typeof body === 'string' ? body : JSON.stringify(body);
    const server = await startHostileServer(t, status, answer);
    const results = await Promise.all(
      commands.map((words) => runCli([...words, '--server', server], { env })),
    );
    for (const [at, { stdout, stderr }] of results.entries()) {
      const told = `${stdout}${stderr}`;
      t.notMatch(told.replaceAll('\n', ''), unprintable, `${commands[at]?.join(' ')} at ${what}`);
      t.notMatch(told, /^2026-01-01T00:00:00.000Z info {2}Fine/m);
    }
  }
});

t.test('what a target answers reaches no terminal as it is, and no secret is told', async (t) => {
  const directory = testDirectory(t);
  const node = await startTestNode(join(directory, 'data'));
  t.teardown(() => node.close());
  const body = `{"message":"x\n"}\n`;
  await fetch(`${node.url}/write?category=logs`, { method: 'POST', body });
  const secret = 'pass-word-of-the-target';
  const targets: [string, number][] = [
    ['clickhouse', 500],
    ['clickhouse', 401],
    ['elasticsearch', 400],
    ['elasticsearch', 401],
  ];
  await Promise.all(
    targets.map(async ([plugin, status], at) => {
      const said = plugin === 'clickhouse' ? `Code: 60. DB::Exception: ${hostile}` : hostile;
      const answer =
        plugin === 'clickhouse'
          ? said
          : JSON.stringify({ error: { type: hostile, reason: `${secret} ${hostile}` } });
      const url = await startHostileServer(t, status, answer);
      const address = url.replace('http:', `${plugin}:`).replace('//', `//user:${secret}@`);
      const path = plugin === 'clickhouse' ? '/default/logs' : '/logs';
      for (const format of ['text', 'json']) {
        const { exit, stderr, stdout } = await runCli([
          ...['sink', '--to', `${address}${path}`, '--server', node.url, '--once'],
          ...['--retry-for', '1', '--log-format', format, '--log-level', 'trace'],
          ...['--state', join(directory, `state-${at}-${format}`)],
        ]);
        const what = `${plugin} ${status} ${format}`;
        t.not(exit, 0, what);
        t.notMatch(`${stdout}${stderr}`.replaceAll('\n', ''), unprintable, what);
        t.notMatch(stderr, secret, `${what} has no secret`);
        t.notMatch(stderr, /^2026-01-01/m);
        if (format === 'json') checkJson(t, stderr);
      }
    }),
  );
});

t.test('a password in an address of a node or of etcd is refused and not repeated', async (t) => {
  const secret = 'secret/with-a-slash';
  const wrong: string[][] = [
    ['categories', '--server', `http://user:${secret}@127.0.0.1:1`],
    ['categories', '--server', 'http://:only-secret@127.0.0.1:1'],
    ['serve', '--etcd', `http://root:${secret}@127.0.0.1:1`],
    ['serve', '--advertise', `http://root:${secret}@127.0.0.1:1`],
  ];
  for (const words of wrong) {
    const { exit, stderr } = await runCli(words);
    t.equal(exit, 2, words.join(' '));
    t.match(stderr, /^Error: /);
    t.notMatch(stderr, /secret/);
  }
});

t.test(
  'a reader of the log that stands still does not stop a node, and misses nothing that was held',
  async (t) => {
    const directory = testDirectory(t);
    const words = ['serve', '--data', join(directory, 'data'), '--listen', '127.0.0.1:0'];
    const run = startCli([
      ...words,
      '--name',
      'n1',
      '--log-level',
      'debug',
      '--log-format',
      'json',
    ]);
    t.teardown(() => run.child.kill('SIGKILL'));
    const url = String((JSON.parse(await lineWith(run, 'ready')) as JsonLine)['url']);
    run.child.stderr.pause();
    // The pipe holds 64 KiB, and this process as much again; each of the lines has more than 300 bytes.
    const chunkCount = 600;
    for (let count = 0; count < chunkCount; count += 20) {
      const categories = Array.from({ length: 20 }, (_, at) => `${'c'.repeat(120)}${count + at}`);
      await Promise.all(
        categories.map(async (category) => {
          for (const path of ['write', 'seal']) {
            const target = `${url}/${path}?category=${category}`;
            const answer = await fetch(target, {
              method: 'POST',
              body: path === 'write' ? 'x\n' : '',
            });
            if (!answer.ok) throw new Error(await answer.text());
          }
        }),
      );
    }
    t.equal((await fetch(`${url}/livez`)).status, 200, 'it answers while nobody reads');
    run.child.kill('SIGTERM');
    await delay(500);
    run.child.stderr.resume();
    const { exit, stderr } = await run.result;
    t.equal(exit, 0);
    t.ok(stderr.length > 2 * 65_536, `${stderr.length} bytes`);
    const lines = checkJson(t, stderr);
    t.equal(lines.filter(({ msg }) => msg === 'Sealed a chunk.').length, chunkCount);
    t.equal(lines.at(-1)?.msg, 'Node has stopped.');
  },
);

t.test('a log whose reader is gone does not stop a node', async (t) => {
  const directory = testDirectory(t);
  const words = ['serve', '--data', join(directory, 'data'), '--listen', '127.0.0.1:0'];
  const run = startCli([...words, '--name', 'n1', '--log-level', 'debug']);
  t.teardown(() => run.child.kill('SIGKILL'));
  const url = / url=(\S+)/.exec(await lineWith(run, 'ready'))?.[1] ?? '';
  run.child.stderr.destroy();
  await fetch(`${url}/write?category=logs`, { method: 'POST', body: 'x\n' });
  await fetch(`${url}/seal?category=logs`, { method: 'POST' });
  t.equal((await fetch(`${url}/livez`)).status, 200);
  run.child.kill('SIGTERM');
  t.equal((await run.result).exit, 0);
});

t.test('every command that logs takes the flags for it', async (t) => {
  const directory = join(import.meta.dirname, '../../../src/commands');
  const files = readdirSync(directory, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.ts') && !name.startsWith('shared'));
  const logging = files.filter((name) =>
    readFileSync(join(directory, name), 'utf8').includes('this.logger'),
  );
  t.ok(logging.length >= 7, logging.join(', '));
  for (const name of logging)
    t.match(readFileSync(join(directory, name), 'utf8'), /\.\.\.logFlags\b/, name);
});

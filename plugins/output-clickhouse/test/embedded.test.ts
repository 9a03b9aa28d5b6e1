import { execFile, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Output, PluginOptions } from '@chukcha/plugin-api';
import {
  createTestLog,
  createTestOutputContext,
  outputConformance,
} from '@chukcha/plugin-api/conformance';
import t from 'tap';
import { check, open } from '../src/clickhouse-output.js';
import { EmbeddedEngine } from '../src/embedded-engine.js';
import { createBatch, withDefaults } from './support/plugin-options.js';
import { reasonWithoutEngine } from './support/test-clickhouse.js';

const skip = reasonWithoutEngine();
if (skip !== false) t.comment(`SKIPPED: ${skip}`);

const never = new AbortController().signal;
const run = promisify(execFile);
/** Most tests share it, because opening one takes a second. */
const directory = t.testdir();

async function ask(statement: string): Promise<string> {
  const engine = await EmbeddedEngine.open(directory);
  const text = await engine.query(statement, never);
  await engine.close();
  return text.replace(/\n$/, '');
}

function openHere(options: PluginOptions): Promise<Output> {
  return open(withDefaults({ directory, ...options }), createTestOutputContext());
}

t.test('the conformance suite, with lines of text', { skip }, async (t) => {
  let tableCount = 0;
  const createTarget = async () => {
    tableCount += 1;
    const table = `text${tableCount}`;
    return {
      open: (context: Parameters<typeof open>[1]) =>
        open(withDefaults({ directory, table, format: 'text' }), context),
      received: async () => {
        const hex = await ask(
          `SELECT hex(message) || '0A' FROM ${table} ORDER BY _part, _part_offset`,
        );
        return Buffer.from(hex.replaceAll('\n', ''), 'hex');
      },
      close: async () => undefined,
    };
  };
  for (const { name, run } of outputConformance({ createTarget })) await t.test(name, run);
});

t.test('JSON is stored once, and a created table drops what comes again', { skip }, async (t) => {
  const batch = createBatch(['{"id":"a","n":1}', '{"id":"b","n":2}']);
  for (let round = 0; round < 2; round += 1) {
    const output = await openHere({ table: 'events' });
    t.equal(output.batching?.inFlightMax, 1);
    t.equal(await output.write(batch, never), undefined);
    t.equal(await output.write(batch, never), undefined);
    await output.close();
  }
  t.equal(await ask('SELECT groupArray((id, n)) FROM events'), "[('a',1),('b',2)]");
});

t.test('messages are never run as statements', { skip }, async (t) => {
  const output = await openHere({ table: 'events' });
  const messages = [
    '{"id":"c","n":3}',
    '',
    '',
    'DROP TABLE events;',
    ';',
    "') --",
    '{"id":"d","n":4}',
  ];
  const outcome = await output.write(createBatch(messages), never);
  t.same(
    outcome?.failures.map(({ index }) => index),
    [1, 2, 3, 4, 5],
  );
  await output.close();
  t.equal(await ask('SELECT count() FROM events'), '4');
});

t.test('an aborted insert is finished by the engine, and stored once', { skip }, async (t) => {
  const output = await openHere({ table: 'events' });
  const messages = Array.from({ length: 50_000 }, (_, n) => `{"id":"abort${n}","n":${n}}`);
  const batch = createBatch(messages);
  const expected = Buffer.from(batch.bytes);
  const abort = new AbortController();
  const write = output.write(batch, abort.signal);
  setImmediate(() => abort.abort(new Error('given up')));
  await t.rejects(write, { message: 'given up' });
  // The bytes are the host's again.
  batch.bytes.fill(0x78);
  await output.write({ ...batch, bytes: expected }, never);
  await output.close();
  t.equal(await ask("SELECT count() FROM events WHERE id LIKE 'abort%'"), '50000');
});

t.test('check looks at a directory', { skip }, async (t) => {
  const steps = [];
  for await (const step of check(
    withDefaults({ directory, table: 'events' }),
    createTestOutputContext(),
  ))
    steps.push(step);
  t.same(
    steps.map(({ name, result }) => `${name} ${result}`),
    ['reachable ok', 'version ok', 'table ok', 'rights ok', 'repetitions ok', 'columns ok'],
  );
  const missing = join(t.testdir(), 'missing');
  const context = createTestOutputContext({ sample: async () => Buffer.from('{"id":"a"}\n') });
  const early = [];
  for await (const step of check(withDefaults({ directory: missing }), context)) early.push(step);
  t.match(early, [{ name: 'reachable', result: 'ok', detail: /made.*CREATE TABLE/ }]);
  t.equal(early.length, 1);
  t.notOk(existsSync(missing), 'it has changed nothing');
});

t.test('one process at a time has a directory', { skip }, async (t) => {
  const engine = await EmbeddedEngine.open(directory);
  const program = `
    import { EmbeddedEngine } from ${JSON.stringify(new URL('../src/embedded-engine.js', import.meta.url).href)};
    await EmbeddedEngine.open(${JSON.stringify(directory)}).catch((error) => console.log(error.kind, error.message));
    process.exit();
  `;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program]);
  t.match(stdout, /^operator The embedded ClickHouse could not open .*one process at a time/);
  await engine.close();
  const [first, other] = await Promise.all([
    EmbeddedEngine.open(directory),
    EmbeddedEngine.open(t.testdir()),
  ]);
  t.equal(await other.query('SELECT 7', never), '7\n', 'several directories are no trouble');
  await Promise.all([first.close(), other.close()]);
});

t.test('an engine that was killed is started again by the next statement', { skip }, async (t) => {
  const engine = await EmbeddedEngine.open(t.testdir());
  t.teardown(() => engine.close());
  await engine.query('CREATE TABLE kept (a String) ENGINE = MergeTree ORDER BY a', never);
  await engine.query("INSERT INTO kept VALUES ('1')", never);
  const sleeping = engine.query('SELECT sleep(3)', never);
  const failed = t.rejects(sleeping, /ended with SIGKILL; the next statement starts it again/);
  await run('pkill', ['-KILL', '-P', String(process.pid), '-f', 'embedded-engine-process']);
  await failed;
  t.equal(await engine.query('SELECT count() FROM kept', never), '1\n');
});

t.test('what stands in the standard input is not taken for rows', { skip }, async (t) => {
  const program = `
    import { EmbeddedEngine } from ${JSON.stringify(new URL('../src/embedded-engine.js', import.meta.url).href)};
    const never = new AbortController().signal;
    const engine = await EmbeddedEngine.open(${JSON.stringify(t.testdir())});
    await engine.query('CREATE TABLE t (id String) ENGINE = MergeTree ORDER BY id', never);
    await engine.insert({
      target: { database: 'default', table: 't' },
      format: 'JSONEachRow',
      settings: { input_format_skip_unknown_fields: 0 },
      pieces: [Buffer.from('{"id":"own"}\\n')],
    }, never);
    console.log(await engine.query('SELECT id FROM t', never));
    await engine.close();
    for await (const piece of process.stdin) console.log('left:', piece.toString());
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program]);
  child.stdin.end('{"id":"stolen"}\n');
  let stdout = '';
  for await (const piece of child.stdout) stdout += String(piece);
  t.equal(stdout, 'own\n\nleft: {"id":"stolen"}\n\n');
});

t.test('without the package, the error says what to install', async (t) => {
  // The plugin as it is installed where nobody asked for the engine.
  const home = mkdtempSync(join(tmpdir(), 'chukcha-without-chdb-'));
  t.teardown(() => rmSync(home, { recursive: true }));
  const built = fileURLToPath(new URL('../src', import.meta.url));
  cpSync(built, join(home, 'src'), { recursive: true });
  cpSync(join(dirname(built), '..', 'package.json'), join(home, 'package.json'));
  mkdirSync(join(home, 'node_modules', '@chukcha'), { recursive: true });
  symlinkSync(
    dirname(fileURLToPath(import.meta.resolve('@chukcha/plugin-api/package.json'))),
    join(home, 'node_modules', '@chukcha', 'plugin-api'),
  );
  const module = pathToFileURL(join(home, 'src', 'clickhouse-output.js')).href;
  const program = `
    import { open, check } from ${JSON.stringify(module)};
    const context = { category: 'logs', sample: async () => new Uint8Array() };
    await open({ directory: './analytics' }, context).catch((error) => console.log(error.kind, error.message));
    for await (const step of check({ directory: './analytics' }, context)) console.log(step.name, step.result);
    await open({ host: '127.0.0.1', port: 1, timeout_seconds: 1 }, { ...context, log: { warn: console.log } });
  `;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: home,
  });
  t.match(stdout, /^operator The embedded ClickHouse is not installed: run npm install chdb/);
  t.match(stdout, /\noptions failed\n/);
  t.match(stdout, /\nThe target cannot be asked yet/, 'a server needs none of it');
});

t.test('the log names the table that was created', { skip }, async (t) => {
  const log = createTestLog();
  const output = await open(
    withDefaults({ directory, table: 'noted' }),
    createTestOutputContext({ log, sample: async () => Buffer.from('{"id":"a"}\n') }),
  );
  await output.close();
  t.match(await log.waitFor('The table was created.'), {
    fields: { statement: /^CREATE TABLE IF NOT EXISTS default\.noted/ },
  });
});

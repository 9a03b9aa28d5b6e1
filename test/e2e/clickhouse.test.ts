import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import t from 'tap';
import { CliNode, runCli, startCli } from '../support/cli.js';
import { testDirectory } from '../support/test-directory.js';

/** Where the engine is not installed these are skipped, but never in CI. */
const skip = reasonWithoutEngine();
if (skip !== false) t.comment(`SKIPPED: ${skip}`);

t.test('a file is analysed on one machine with two commands', { skip }, async (t) => {
  const directory = testDirectory(t);
  const [source, analytics] = [join(directory, 'events.ndjson'), join(directory, 'analytics')];
  const lines = Array.from({ length: 20_000 }, (_, n) =>
    JSON.stringify({
      id: `e${n}`,
      level: n % 4 === 0 ? 'error' : 'info',
      ms: n,
      at: '2026-01-02T03:04:05.678Z',
    }),
  );
  writeFileSync(source, `${lines.join('\n')}\n`);
  const pipe = await runCli([
    ...['pipe', '--from', `file:${source}`, '--to', `clickhouse:${analytics}`, '--once'],
    ...['--data', join(directory, 'data'), '--category', 'shop'],
  ]);
  t.equal(pipe.exit, 0, pipe.stderr);

  const statement =
    'SELECT level, count() AS events, max(ms) AS slowest FROM shop GROUP BY level ORDER BY level';
  const tsv = await runCli(['query', analytics, statement]);
  t.equal(
    tsv.stdout.toString(),
    'level\tevents\tslowest\nerror\t5000\t19996\ninfo\t15000\t19999\n',
  );
  const json = await runCli(['query', analytics, statement, '--json']);
  t.same(
    json.stdout
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
    [
      { level: 'error', events: 5000, slowest: 19_996 },
      { level: 'info', events: 15_000, slowest: 19_999 },
    ],
  );
  const engine = "SELECT engine_full FROM system.tables WHERE name = 'shop' FORMAT TSVRaw";
  const own = await runCli(['query', analytics, engine]);
  t.match(
    own.stdout.toString(),
    /^ReplacingMergeTree ORDER BY id /,
    'a format of the statement wins',
  );
});

t.test(
  'a bad row becomes a dead letter, and comes in when the table is mended',
  { skip },
  async (t) => {
    const directory = testDirectory(t);
    const node = await CliNode.start(join(directory, 'data'));
    t.teardown(() => node.stop());
    const analytics = join(directory, 'analytics');
    const env = { XDG_STATE_HOME: join(directory, 'state') };
    const run = (...words: string[]) => runCli([...words, '--server', node.url], { env });
    const ask = async (statement: string): Promise<string> =>
      (await runCli(['query', analytics, statement])).stdout.toString().trim();
    const lines = Array.from({ length: 100_000 }, (_, n) =>
      JSON.stringify({ id: `e${n}`, ms: n === 50_000 ? 'slow' : n }),
    );
    const source = join(directory, 'events.ndjson');
    writeFileSync(source, `${lines.join('\n')}\n`);
    t.match(await run('ship', '--from', `file:${source}`, '--once'), { exit: 0 });
    const sink = await run('sink', '--to', `clickhouse:${analytics}`, '--once');
    t.equal(sink.exit, 0, sink.stderr);
    t.match(sink.stderr, /1 dead letters/);
    t.equal(await ask('SELECT count(), uniqExact(id) FROM logs FORMAT TSV'), '99999\t99999');
    const letters = await run('dlq', 'show', '--json');
    t.match(JSON.parse(letters.stdout.toString()), {
      message: '{"id":"e50000","ms":"slow"}',
      target: 'clickhouse',
      reason: /ms/,
    });
    const early = await run('dlq', 'replay', '--all', '--to', `clickhouse:${analytics}`);
    t.match(
      early.stderr,
      /Replayed 0 letters .* 1 stay/,
      'it is refused again as long as nothing is mended',
    );
    await ask('ALTER TABLE logs MODIFY COLUMN ms String');
    const replay = await run('dlq', 'replay', '--all', '--to', `clickhouse:${analytics}`);
    t.match(replay, { exit: 0, stderr: /Replayed 1 letters .* 0 stay/ });
    t.equal(await ask('SELECT count(), uniqExact(id) FROM logs FORMAT TSV'), '100000\t100000');
  },
);

t.test('what a query cannot do is one sentence', { skip }, async (t) => {
  const directory = testDirectory(t);
  const data = join(directory, 'data');
  const node = await CliNode.start(data);
  t.teardown(() => node.stop());
  await runCli(['write', '{"id":"a"}', '--server', node.url]);
  const analytics = join(directory, 'analytics');
  const sink = startCli([
    ...['sink', '--to', `clickhouse:${analytics}`, '--server', node.url],
    ...['--state', join(directory, 'state')],
  ]);
  let stderr = '';
  await new Promise<void>((resolve) => {
    sink.child.stderr.on('data', (piece: Buffer) => {
      stderr += piece.toString();
      if (stderr.includes('The table was created')) resolve();
    });
    sink.child.once('exit', () => resolve());
  });
  const locked = await runCli(['query', analytics, 'SELECT 1']);
  t.equal(locked.exit, 1);
  t.match(locked.stderr, /^Error: .*one process at a time has a directory.*End the sink/m);
  sink.child.kill('SIGTERM');
  t.equal((await sink.result).exit, 0, stderr);
  t.equal((await runCli(['query', analytics, 'SELECT id FROM logs'])).stdout.toString(), 'id\na\n');

  const wrong = await runCli(['query', analytics, 'SELECT * FROM nowhere']);
  t.equal(wrong.exit, 1);
  t.match(wrong.stderr, /^Error: The embedded ClickHouse in .* says \(code 60, UNKNOWN_TABLE\)/);
  const elsewhere = await runCli(['query', data, 'SELECT 1']);
  t.equal(elsewhere.exit, 2);
  t.match(elsewhere.stderr, /is not a directory of the embedded ClickHouse/);
});

t.test('a wrong address is said without its password', async (t) => {
  const server = 'http://127.0.0.1:1';
  for (const address of ['clickhouse://u:secret@host/a/b/c', 'clickhouse:analytics']) {
    const { exit, stderr } = await runCli(['sink', '--to', address, '--server', server]);
    t.equal(exit, 2);
    t.match(stderr, /expected/);
    t.notMatch(stderr, /secret/);
  }
});

function reasonWithoutEngine(): string | false {
  try {
    createRequire(import.meta.url).resolve('chdb');
    return false;
  } catch (error) {
    const reason = `chdb is not installed (${(error as Error).message.split('\n')[0]}): run npm install`;
    if (process.env['CI']) throw new Error(reason);
    return reason;
  }
}

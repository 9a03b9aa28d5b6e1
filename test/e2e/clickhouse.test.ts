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

import { join } from 'node:path';
import t from 'tap';
import type { NodeStatus } from '../../src/protocol/http-api.js';
import { type CliRun, readUrl, runCli, startCli } from '../support/cli.js';
import { testDirectory } from '../support/test-directory.js';
import { startTestNode } from '../support/test-node.js';
import { call, json } from '../support/test-server.js';
import { until } from '../support/until.js';

interface Status {
  readonly reasons: readonly string[];
  readonly tasks: readonly {
    readonly kind: string;
    readonly name: string;
    readonly state: string;
    readonly bytes: number;
    readonly readBytes: number;
    readonly figures: readonly { readonly name: string }[];
  }[];
}

t.test('ship, sink and pipe tell how they stand, and their node shows it', async (t) => {
  const directory = testDirectory(t, { 'app.log': 'one\ntwo\n', 'other.log': 'three\n' });
  const node = await startTestNode(join(directory, 'data'));
  t.teardown(() => node.close());
  const env = { XDG_STATE_HOME: join(directory, 'state-home') };
  const monitor = ['--monitor', '127.0.0.1:0'];
  const server = ['--server', node.url];
  const begin = (words: readonly string[]): CliRun => {
    const run = startCli(words, { env });
    t.teardown(() => run.child.kill('SIGKILL'));
    return run;
  };
  const ship = begin([
    'ship',
    '--from',
    `file:${join(directory, 'app.log')}`,
    ...server,
    ...monitor,
  ]);
  const sink = begin(['sink', '--to', 'stdout', ...server, ...monitor]);
  const pipe = begin([
    'pipe',
    ...['--from', `file:${join(directory, 'other.log')}`, '--to', 'stdout', ...monitor],
  ]);
  const [shipUrl, sinkUrl, pipeUrl] = await Promise.all(
    [ship, sink, pipe].map((run) => readUrl(run.child.stderr)),
  );
  const statusOf = async (url = ''): Promise<Status> => json(await call(url, '/status')) as Status;
  await until(async () => (await statusOf(shipUrl)).tasks[0]?.bytes === 8);
  const [shipped] = (await statusOf(shipUrl)).tasks;
  t.match(shipped, { kind: 'ship', name: /^ship-logs-/, state: 'running', readBytes: 8 });
  t.ok(shipped?.figures.some(({ name }) => name === 'input_file_open_files'));
  await until(async () => (await statusOf(sinkUrl)).tasks[0]?.bytes === 8);
  t.same((await statusOf(sinkUrl)).reasons, []);
  const { body } = await call(shipUrl ?? '', '/metrics');
  t.match(
    body.toString(),
    /chukcha_ship_accepted_messages_total\{name="[^"]+",category="logs"\} 2\n/,
  );
  await until(async () => {
    const { tasks } = await statusOf(pipeUrl);
    return tasks.length === 2 && tasks.every(({ bytes }) => bytes === 6);
  });
  t.match((await statusOf(pipeUrl)).tasks, [{ kind: 'sink' }, { kind: 'ship' }]);
  t.equal((await call(pipeUrl ?? '', '/readyz')).status, 200);
  await until(async () => {
    const { pipelines } = json(await call(node.url, '/status')) as NodeStatus;
    return pipelines.length === 2 && pipelines.every(({ bytes }) => bytes === 8);
  });
  for (const { child, result } of [ship, sink, pipe]) {
    child.kill('SIGTERM');
    t.equal((await result).exit, 0);
  }
});

t.test('a monitor that everybody could ask is refused before anything is done', async (t) => {
  for (const words of [
    ['ship', '--from', 'stdin'],
    ['sink', '--to', 'stdout'],
    ['pipe', '--from', 'stdin', '--to', 'stdout'],
  ]) {
    const { exit, stderr } = await runCli([...words, '--monitor', '0.0.0.0:9600']);
    t.equal(exit, 2, words.join(' '));
    t.match(stderr, /^Error: Other machines can reach 0\.0\.0\.0, .*--monitor-insecure-listen/m);
  }
});

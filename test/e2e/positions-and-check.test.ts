import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parseTokens } from '../../src/node/token-file.js';
import { digestOf } from '../../src/server/access/access.js';
import { CliNode, type CliResult, runCli, startCli } from '../support/cli.js';
import { testDirectory } from '../support/test-directory.js';

interface Shown {
  readonly source: string;
  readonly id: string;
  readonly offset: number;
}

/** A node, a log with three lines, and the state directory of its shipper. */
async function startBed(t: Test) {
  const directory = testDirectory(t, { 'app.log': 'one\ntwo\nthree\n' });
  const node = await CliNode.start(join(directory, 'data'));
  t.teardown(() => node.stop());
  const log = join(directory, 'app.log');
  const state = join(directory, 'state');
  const shipWords = ['ship', '--from', `file:${log}`, '--server', node.url, '--state', state];
  const positions = (...words: readonly string[]): Promise<CliResult> =>
    runCli(['positions', ...words, '--state', state]);
  return {
    ...{ directory, node, log, state, shipWords, positions },
    ship: async () => {
      const { exit, stderr } = await runCli([...shipWords, '--once']);
      t.equal(exit, 0, stderr);
    },
    list: async () => JSON.parse((await positions('ls', '--json')).stdout.toString()) as Shown[],
    messages: async () =>
      (await runCli(['sink', '--to', 'stdout', '--once', '--server', node.url])).stdout.toString(),
  };
}

t.test('positions of a shipper are shown, set and forgotten', async (t) => {
  const bed = await startBed(t);
  await bed.ship();
  const [position] = await bed.list();
  t.match(position, { source: bed.log, offset: 14 });
  const table = (await bed.positions('ls')).stdout.toString();
  t.match(table, /^SOURCE +ACCEPTED +OFFSET +ID +FROM\n/);
  t.ok(table.includes(bed.log));
  const exported = JSON.parse((await bed.positions('export')).stdout.toString());
  t.match(exported, {
    version: 1,
    shippers: [
      { from: `file:${bed.log}`, category: 'logs', state: bed.state, positions: [{ offset: 14 }] },
    ],
  });

  const moved = await bed.positions('set', bed.log, '4');
  t.match(moved, { exit: 0, stderr: /goes on at 4 of .*app\.log \(it was 14\)/ });
  t.match(await bed.list(), [{ offset: 4 }]);
  await bed.ship();
  t.equal(await bed.messages(), 'one\ntwo\nthree\ntwo\nthree\n');

  const forgotten = await bed.positions('forget', position?.id ?? '');
  t.match(forgotten, { exit: 0, stderr: /Forgot .*app\.log \(it was at 14\)/ });
  t.same(await bed.list(), []);
  t.match((await bed.positions('ls')).stderr, /No shipper has remembered a position here/);
  await bed.ship();
  t.equal(await bed.messages(), 'one\ntwo\nthree\n', 'the group has the others already');
});

t.test('a position that there is not, and a shipper that runs, are told', async (t) => {
  const bed = await startBed(t);
  await bed.ship();
  t.match(await bed.positions('set', '/none.log', '0'), {
    exit: 2,
    stderr: /There is no position of "\/none\.log": `chukcha positions ls` lists/,
  });
  t.match(await runCli(['positions', 'ls', '--state', bed.directory]), {
    exit: 1,
    stderr: /is not the state directory of a shipper/,
  });
  t.match(await bed.positions('set', bed.log, '-1'), {
    exit: 2,
    stderr: /expected a number of bytes/,
  });
  appendFileSync(bed.log, 'four\n');
  const running = startCli(bed.shipWords);
  let offset = 0;
  while (offset < 19) offset = (await bed.list())[0]?.offset ?? 0;
  t.match(await bed.positions('set', bed.log, '0'), { exit: 1, stderr: /state|in use|runs/i });
  t.match(await bed.list(), [{ offset: 19 }], 'and it is as it was');
  running.child.kill('SIGTERM');
  t.equal((await running.result).exit, 0);
});

t.test('a file of pipelines is checked step by step, and nothing is sent', async (t) => {
  const directory = testDirectory(t, { 'app.log': 'one\n' });
  const node = await CliNode.start(join(directory, 'data'));
  t.teardown(() => node.stop());
  const path = join(directory, 'pipelines.yaml');
  const good = `
nodes:
  here:
    data: ${join(directory, 'new', 'data')}
ships:
  app:
    from: file:${join(directory, 'app.log')}
    server: ${node.url}
sinks:
  out:
    to: stdout
    server: ${node.url}
`;
  writeFileSync(path, good);
  const passed = await runCli(['check', path]);
  t.equal(passed.exit, 0, passed.stderr);
  const said = passed.stdout.toString();
  t.match(said, /node here, directory.*can be written to/s);
  t.match(said, /ship app, server.*Node node1 at .* answers/s);
  t.ok(said.includes('app.log'), 'the sources of the ship');
  t.match(said, /sink out, server/);

  const bad = `
nodes:
  nowhere:
    data: /proc/none
ships:
  app:
    from: file:${join(directory, 'none', '*.log')}
    server: http://127.0.0.1:1
sinks:
  table:
    to: clickhouse://127.0.0.1:1/default/logs
    server: ${node.url}
`;
  writeFileSync(path, bad);
  const failed = await runCli(['check', path, '--json']);
  t.equal(failed.exit, 1, failed.stderr);
  const steps = JSON.parse(failed.stdout.toString()) as { kind: string; result: string }[];
  const of = (kind: string): unknown[] => steps.filter((step) => step.kind === kind);
  t.match(of('ship'), [
    { entry: 'app', name: 'server', result: 'warning', detail: /No chukcha node answers/ },
    { name: /none/, result: 'ok', detail: /No file matches it yet/ },
  ]);
  t.match(
    of('sink').filter((step) => (step as { result: string }).result === 'failed'),
    [{ entry: 'table' }],
  );
  const { stdout } = await runCli(['tail', '--once', '--all', '--server', node.url]);
  t.equal(stdout.toString(), '', 'nothing was sent');
});

t.test('a token is shown once, and its lines are what a node reads', async (t) => {
  const made = await runCli(['token', 'create', 'shipper', '--write', 'logs, app-*']);
  t.equal(made.exit, 0, made.stderr);
  const [, token = ''] = /shown this once: (chukcha_[\w-]{43})\n/.exec(made.stderr) ?? [];
  const lines = made.stdout.toString();
  t.notOk(lines.includes(token), 'the file gets its hash only');
  t.ok(lines.includes(digestOf(token).toString('hex')));
  t.equal(parseTokens(`tokens:\n${lines}`, 'made').length, 1);
  const asJson = await runCli(['token', 'create', 'eyes', '--observe', '*', '--json']);
  const { token: other, entry } = JSON.parse(asJson.stdout.toString());
  t.match(entry, { name: 'eyes', observe: ['*'], sha256: digestOf(other).toString('hex') });
  t.match(await runCli(['token', 'create', 'nobody']), {
    exit: 2,
    stderr: /A token without rights is of no use/,
  });
  t.match(await runCli(['token', 'create', 'odd', '--write', 'a b']), {
    exit: 2,
    stderr: /--write has "a b": expected names of categories/,
  });
  t.match(await runCli(['token', 'create', 'o d', '--write', 'a']), {
    exit: 2,
    stderr: /"o d" is no name of a token/,
  });
});

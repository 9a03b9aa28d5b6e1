import t from 'tap';
import { runCli } from '../support/cli.js';
import { TestCluster } from '../support/test-cluster.js';
import { until } from '../support/until.js';

await t.test('an operator sees the nodes, and drains, removes and replaces one', async (t) => {
  const cluster = new TestCluster(t);
  const { node } = await cluster.start('a');
  await cluster.start('b');
  const run = (...words: string[]) => runCli([...words, '--server', node.url]);
  await until(async () => {
    const { stdout } = await run('node', 'ls');
    return /^b +active +http:\S+ +yes +0 bytes$/m.test(stdout.toString());
  });
  const status = await run('status');
  t.match(status.stdout.toString(), /^only here {2}0 bytes that no other node has$/m);
  t.match(status.stdout.toString(), /^a \* +active/m);

  const drained = await run('node', 'drain', 'b');
  t.equal(drained.exit, 0);
  t.match(
    drained.stderr,
    /^Node b takes no more writes; `chukcha node ls` shows when it is drained\.$/m,
  );
  t.match((await run('node', 'drain', 'b', '--undo')).stderr, /^Node b takes writes again\.$/m);
  const refused = await run('node', 'remove', 'b');
  t.equal(refused.exit, 1);
  t.match(
    refused.stderr,
    /^Error: Node b may have messages that no other node has: empty it first/m,
  );
  const runs = await run('node', 'replace', 'b');
  t.match(runs.stderr, /^Error: Node b runs: stop it before another directory takes its place/m);
  t.match(
    (await run('node', 'drain', 'x')).stderr,
    /There is no node x in the cluster: expected one of a, b/,
  );
  t.equal((await run('node', 'drain', '..')).exit, 2);

  await run('node', 'drain', 'b');
  await until(async () => /^b +drained/m.test((await run('node', 'ls')).stdout.toString()));
  await cluster.stop('b');
  t.match(
    (await run('node', 'remove', 'b')).stderr,
    /^Node b is no member of the cluster any more\.$/m,
  );
  t.notMatch((await run('node', 'ls')).stdout.toString(), /^b/m);
  t.match(
    (await run('node', 'replace', 'b')).stderr,
    /^Node b may start now with an empty --data directory/m,
  );
  t.match(
    (await run('node', 'ls', '--json')).stdout.toString(),
    /"name":"b",.*"state":"replaceable"/,
  );
  t.equal((await run('node', 'remove', 'b', '--force')).exit, 0);
});

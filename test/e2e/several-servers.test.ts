import { join } from 'node:path';
import t from 'tap';
import { CliNode, type CliResult, runCli } from '../support/cli.js';
import { testDirectory } from '../support/test-directory.js';

/** Nobody listens there. */
const nobody = 'http://127.0.0.1:1';

t.test('a command takes several servers, and uses one that answers', async (t) => {
  const directory = testDirectory(t, { 'app.log': 'shipped\n' });
  const node = await CliNode.start(join(directory, 'data'));
  t.teardown(() => node.stop());
  const env = { XDG_STATE_HOME: directory, CHUKCHA_SERVER: `${nobody},${node.url}` };
  const run = async (...words: string[]): Promise<CliResult> => {
    const result = await runCli(words, { env });
    t.equal(result.exit, 0, `${words.join(' ')}: ${result.stderr}`);
    return result;
  };
  t.match((await run('write', 'by hand')).stderr, /Wrote 8 bytes to node1-chunk/);
  await run('ship', '--from', `file:${join(directory, 'app.log')}`, '--once');
  const [tailed, listed, status] = await Promise.all([
    run('tail', '--once', '-n', '1'),
    run('chunks'),
    run('status'),
  ]);
  t.equal(tailed.stdout.toString(), 'shipped\n');
  t.match(listed.stdout.toString(), /node1-chunk0+ .* open/);
  t.match(status.stdout.toString(), /running/);
  const sink = ['sink', '--to', 'stdout', '--once'];
  t.equal((await run(...sink)).stdout.toString(), 'by hand\nshipped\n');
  await run('seal');
  await run('ack', 'node1-chunk000000000');
  await run('write', 'the last');
  // The state belongs to the first address, so that nodes can be added behind it.
  const grown = await run(...sink, '--server', `${nobody},http://127.0.0.1:2,${node.url}`);
  t.equal(grown.stdout.toString(), 'the last\n');
});

t.test('copies are asked for by a flag or a variable, and a lone node has none', async (t) => {
  const directory = testDirectory(t, { 'app.log': 'shipped\n' });
  const node = await CliNode.start(join(directory, 'data'));
  t.teardown(() => node.stop());
  const env = { CHUKCHA_SERVER: node.url, CHUKCHA_MIN_SYNC_REPLICAS: '1' };
  const from = `file:${join(directory, 'app.log')}`;
  const refused = [
    ['write', 'one'],
    ['ship', '--from', from, '--once', '--retry-for', '0', '--state', join(directory, 'ship')],
    ['pipe', '--from', from, '--to', 'stdout', '--once', '--retry-for', '0'],
  ].map(async (words) => {
    const result = await runCli(words, { env });
    t.equal(result.exit, 1, words.join(' '));
    t.match(result.stderr, /min_sync_replicas is 1/);
    t.equal(result.stdout.toString(), '');
  });
  await Promise.all(refused);
  const none = await runCli(['write', 'one', '--min-sync-replicas', '0'], { env });
  t.equal(none.exit, 0, none.stderr);
});

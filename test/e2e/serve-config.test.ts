import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { Client } from '../../src/index.js';
import { type CliOptions, type CliResult, runCli, startCli } from '../support/cli.js';
import { testDirectory } from '../support/test-directory.js';

interface Ready {
  readonly name: string;
  readonly url: string;
  readonly data: string;
  stop(): Promise<CliResult>;
}

/** Starts `serve` and returns what it says when it is ready. */
async function serve(words: readonly string[], options: CliOptions = {}): Promise<Ready> {
  const { child, result } = startCli(['serve', ...words], options);
  for await (const line of createInterface({ input: child.stderr, terminal: false })) {
    const [, name = '', url = '', data = ''] =
      /Node is ready\. name=(\S+) url=(\S+) data=(\S+)/.exec(line) ?? [];
    if (url === '') continue;
    const stop = (): Promise<CliResult> => {
      child.kill('SIGTERM');
      // What a reader of lines has stopped would keep the process from ending.
      child.stderr.resume();
      return result;
    };
    return { name, url, data, stop };
  }
  throw new Error(`serve ended: ${(await result).stderr}`);
}

/** Writes a configuration file, with the directory of the test in the place of DIRECTORY. */
function writeConfig(t: Test, content: string): { directory: string; config: string } {
  const directory = testDirectory(t);
  const config = join(directory, 'node.yaml');
  writeFileSync(config, content.replaceAll('DIRECTORY', directory));
  return { directory, config };
}

t.test('options come from flags, then the environment, then the file', async (t) => {
  const { directory, config } = writeConfig(
    t,
    '# our node\nname: of-file\nlisten: 127.0.0.1:0\nflush-interval: 2s\n',
  );
  const env = { CHUKCHA_NAME: 'of-environment' };
  const runs = [
    { expected: 'of-file', words: [], env: {} },
    { expected: 'of-environment', words: [], env },
    { expected: 'of-flag', words: ['--name', 'of-flag'], env },
  ];
  for (const run of runs) {
    const data = join(directory, run.expected);
    const words = ['--config', config, '--data', data, ...run.words];
    const node = await serve(words, { env: run.env });
    t.equal(node.name, run.expected);
    t.equal(node.data, data);
    t.equal((await node.stop()).exit, 0);
  }
});

t.test('what the file says is what the node does, in YAML and in JSON', async (t) => {
  const files = [
    'data: DIRECTORY/data\nlisten: 127.0.0.1:0\nname: "7"\nmax-chunk-size: 1\n',
    '{"data": "DIRECTORY/data", "listen": "127.0.0.1:0", "name": 7, "max-chunk-size": "1b"}',
  ];
  for (const content of files) {
    const { directory, config } = writeConfig(t, content);
    const node = await serve([], { env: { CHUKCHA_CONFIG: config } });
    t.equal(node.name, '7');
    t.equal(node.data, join(directory, 'data'));
    const client = new Client({ server: node.url });
    for (const line of ['a\n', 'b\n']) await client.write('logs', [Buffer.from(line)]);
    t.match(await client.listChunks('logs'), { chunks: [{ complete: true }, { complete: false }] });
    client.close();
    t.equal((await node.stop()).exit, 0);
  }
});

t.test('a mistake in the file is told in one sentence, and nothing is started', async (t) => {
  const { directory, config } = writeConfig(t, 'naem: a\nmax-chunk-size: 20M\n');
  const data = join(directory, 'data');
  const wrong = await runCli(['serve', '--config', config, '--data', data]);
  t.equal(wrong.exit, 2);
  t.match(
    wrong.stderr,
    /^Error: .* no option "naem": did you mean name\? Option max-chunk-size is "20M"/,
  );
  t.equal(wrong.stderr.trimEnd().split('\n').length, 1, wrong.stderr);
  t.equal(wrong.stdout.length, 0);
  const missing = await runCli(['serve', '--config', join(directory, 'x.yaml'), '--data', data]);
  t.equal(missing.exit, 2);
  t.match(missing.stderr, /x\.yaml cannot be read \(ENOENT/);
  t.notOk(existsSync(data), 'no data directory was made');
});

t.test('SIGHUP does not end a node that is about to start', async (t) => {
  const data = join(testDirectory(t), 'data');
  // It waits for an etcd that is not there, and gives up after some seconds.
  const words = ['--data', data, '--name', 'a', '--listen', '127.0.0.1:0'];
  const { child, result } = startCli(['serve', ...words, '--etcd', 'http://127.0.0.1:1']);
  await once(child.stderr, 'data');
  child.kill('SIGHUP');
  const { exit, stderr } = await result;
  t.equal(exit, 1);
  t.match(stderr, /cannot join the cluster .* does not answer/);
});

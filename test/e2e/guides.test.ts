import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { SeededRandom } from '../../src/common/seeded-random.js';
import { findFreePort } from '../../src/torture/free-port.js';
import { testDirectory } from '../support/test-directory.js';
import { isShown, readTranscript, runTranscript } from '../support/transcript.js';

// Every guide starts a dozen processes.
t.setTimeout(600_000);

const random = new SeededRandom(process.pid);

const guides = 'docs/guides';

/** The ports that guides use; each run has others. */
const ports = ['8080', '8081', '8082', '8083', '2379', '2380'];

t.test('a transcript is read and compared', async (t) => {
  const steps = readTranscript(
    'Text\n```console\n$ one\nout\n$ cat > x <<END\n> a\n> END\n$ two  # ends with 2\n```\n```sh\n$ not run\n```\n',
  );
  t.same(
    steps.map(({ command, expected, exit }) => [command, expected, exit]),
    [
      ['one', ['out'], 0],
      ['cat > x <<END\na\nEND', [], 0],
      ['two', [], 2],
    ],
  );
  t.ok(isShown(['a...c', '...', 'end'], ['abbc', 'x', 'y', 'end']));
  t.ok(isShown(['a', '...'], ['a']));
  t.notOk(isShown(['a'], ['a', 'b']));
  t.notOk(isShown(['a'], ['b']));
  t.notOk(isShown([], ['b']));
  const directory = testDirectory(t);
  const results = await runTranscript(
    readTranscript(
      '```console\n$ cd /; false  # ends with 1\n$ pwd\n/\n$ echo x\ny\n$ echo never\n```',
    ),
    {
      directory,
      env: { PATH: process.env['PATH'] ?? '' },
    },
  );
  t.same(
    results.map(({ exit, output }) => [exit, output]),
    [
      [1, []],
      [0, ['/']],
      [0, ['x']],
    ],
  );
});

/** What a guide needs and is not here; `false` when everything is. */
async function missingService(text: string): Promise<string | false> {
  if (/^\$ etcd /m.test(text) && spawnSync('etcd', ['--version']).status !== 0) {
    return 'etcd is not on the PATH';
  }
  if (text.includes('localhost:9200')) {
    const answers = await fetch('http://localhost:9200').catch(() => undefined);
    if (answers?.ok !== true) return 'no Elasticsearch or OpenSearch answers at localhost:9200';
  }
  return false;
}

for (const name of readdirSync(guides).sort()) {
  const text = readFileSync(join(guides, name), 'utf8');
  if (!text.includes('```console')) continue;
  t.test(
    `the commands of ${name} do what it says`,
    { skip: await missingService(text) },
    async (t) => {
      const directory = testDirectory(t, { bin: {}, work: {} });
      symlinkSync(resolve('bin/run.js'), join(directory, 'bin', 'chukcha'));
      const home = join(directory, 'home');
      mkdirSync(home);
      let guide = text;
      for (const port of ports) guide = guide.replaceAll(port, String(await findFreePort(random)));
      const port =
        /^.*serve .*--listen 127\.0\.0\.1:(\d+)/m.exec(guide)?.[1] ??
        String(await findFreePort(random));
      const results = await runTranscript(readTranscript(guide), {
        directory: join(directory, 'work'),
        env: {
          PATH: `${join(directory, 'bin')}:${process.env['PATH']}`,
          HOME: home,
          LANG: 'C.UTF-8',
          // The defaults of the document, on a port of this run.
          CHUKCHA_SERVER: `http://127.0.0.1:${port}`,
          ...(/serve .*--listen/.test(guide) ? {} : { CHUKCHA_LISTEN: `127.0.0.1:${port}` }),
          CHUKCHA_DISK_RESERVE: '0',
          npm_config_audit: 'false',
          npm_config_fund: 'false',
          npm_config_update_notifier: 'false',
        },
      });
      for (const { step, exit, output } of results) {
        t.equal(exit, step.exit, `${name}:${step.line} ${step.command}\n${output.join('\n')}`);
        t.ok(isShown(step.expected, output), `${name}:${step.line} shows what comes out`, {
          expected: step.expected,
          output,
        });
      }
      t.equal(results.length, readTranscript(guide).length, 'every command was run');
    },
  );
}

import { chmodSync, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { CliNode, type CliOptions, runCli } from '../support/cli.js';
import { testDirectory } from '../support/test-directory.js';

/** Nobody listens there. */
const nobody = 'http://127.0.0.1:1';

/** Checks that words fail with one sentence that matches, and with the exit code. */
async function checkFailure(
  test: Test,
  words: readonly string[],
  expected: { readonly exit: number; readonly sentence: RegExp },
  options: CliOptions = {},
): Promise<void> {
  const { exit, stdout, stderr } = await runCli(words, options);
  const name = words.join(' ');
  test.equal(exit, expected.exit, `exit code of: ${name}`);
  test.match(stderr, expected.sentence, name);
  test.notMatch(stderr, /^\s+at /m, 'no stack trace');
  test.equal(stdout.length, 0, 'nothing on standard output');
}

t.test('wrong words end with 2 and say what is expected', async (t) => {
  const directory = testDirectory(t, { 'app.log': 'one\n' });
  const file = `file:${join(directory, 'app.log')}`;
  const env = { XDG_STATE_HOME: directory };
  await checkFailure(t, ['ship', '--from', 'fiel:x'], {
    exit: 2,
    sentence: /no input plugin "fiel": did you mean file\?/,
  });
  await checkFailure(t, ['sink', '--to', 'clickhuose'], {
    exit: 2,
    sentence: /no output plugin "clickhuose": did you mean clickhouse\?/,
  });
  await checkFailure(t, ['ship'], { exit: 2, sentence: /from/ });
  await checkFailure(t, ['ship', '--from', file, '--nope'], { exit: 2, sentence: /--nope/ });
  await checkFailure(t, ['ship', '--from', file, '--set', 'pathz=x'], {
    exit: 2,
    sentence: /no option "pathz": did you mean paths\?/,
  });
  await checkFailure(t, ['ship', '--from', file, '--set', 'x'], {
    exit: 2,
    sentence: /--set NAME=VALUE/,
  });
  await checkFailure(t, ['ship', '--from', file, '--server', 'nowhere'], {
    exit: 2,
    sentence: /http:\/\/HOST:PORT/,
  });
  await checkFailure(t, ['sink', '--to', 'stdout:x'], {
    exit: 2,
    sentence: /takes nothing behind its name/,
  });
  await checkFailure(t, ['write', '--server', nobody], { exit: 2, sentence: /nothing to write/ });
  await checkFailure(t, ['plugins', 'inspect', 'nope'], { exit: 2, sentence: /no plugin "nope"/ });
  await checkFailure(t, ['serve', '--listen', 'nowhere'], {
    exit: 2,
    sentence: /listen is "nowhere": it must be HOST:PORT, for example/,
  });
  await checkFailure(t, ['serve', '--data', directory, '--name', 'a/b'], {
    exit: 2,
    sentence: /name is "a\/b": it must be 1 to 64 of the characters A-Z/,
  });
  await checkFailure(t, ['serve', '--max-chunk-size', '-5'], {
    exit: 2,
    sentence: /max-chunk-size/,
  });
  for (const name of ['a/b', '..', 'x'.repeat(300)]) {
    await checkFailure(
      t,
      ['ship', '--from', file, '--category', name],
      { exit: 2, sentence: /category name .* is not valid/ },
      { env },
    );
  }
  await checkFailure(t, ['nonsense'], { exit: 2, sentence: /nonsense/ });
});

t.test('a mistyped command, flag or value gets the nearest one', async (t) => {
  for (const [words, sentence] of [
    ['shpi --from x', /no command shpi: did you mean ship\?/],
    ['node lst', /no command node lst: did you mean node ls\?/],
    ['plugins inspct file', /no command plugins inspct file: did you mean plugins inspect\?/],
    ['status x', /something too much: x\. `chukcha status --help`/],
    ['ack a b', /something too much: b\. The command takes chunk and no more/],
    ['ship --form x', /no flag --form: did you mean --from\? `chukcha ship --help`/],
    ['pipe --set x=y', /no flag --set: did you mean --set-from\?/],
    ['ship', /from is missing: input to read/],
    ['ship --from', /Flag --from expects a value\. `chukcha ship/],
    ['tail --lines 99999', /--lines is not valid: expected an integer less than or equal to 10000/],
    ['plugins inspect', /NAME is missing: name of the plugin/],
    ['plugins inspect fil', /no plugin "fil": did you mean file\?/],
    [
      'plugins create inptu x',
      /"inptu" is not valid: expected one of input, output\. Did you mean input\?/,
    ],
  ] as const) {
    await checkFailure(t, words.split(' '), { exit: 2, sentence });
  }
});

t.test('what does not work out ends with 1 and says what to do next', async (t) => {
  const directory = testDirectory(t, { 'app.log': 'one\n', data: {}, 'not-a-directory': '' });
  const file = `file:${join(directory, 'app.log')}`;
  const env = { XDG_STATE_HOME: directory };
  const node = await CliNode.start(join(directory, 'data'));
  t.teardown(() => node.stop());
  const server = ['--server', node.url];

  for (const words of [
    ['ship', '--from', file],
    ['sink', '--to', 'stdout'],
    ['write', 'x'],
    ['tail'],
    ['categories'],
    ['chunks'],
  ]) {
    await checkFailure(
      t,
      [
        ...words,
        '--server',
        nobody,
        ...(words[0] === 'tail' ? ['--once', '--retry-for', '0'] : []),
      ],
      { exit: 1, sentence: /No chukcha node answers at http:\/\/127\.0\.0\.1:1 .*chukcha serve/ },
      { env },
    );
  }
  await checkFailure(
    t,
    ['ship', '--from', 'file:/nowhere/app.log', ...server],
    { exit: 1, sentence: /\/nowhere\/app\.log/ },
    { env },
  );
  await checkFailure(
    t,
    ['ship', '--from', `file:${directory}`, ...server],
    { exit: 1, sentence: /directory/ },
    { env },
  );
  await checkFailure(
    t,
    ['serve', '--data', join(directory, 'data2'), '--listen', `127.0.0.1:${node.port}`],
    { exit: 1, sentence: /Another process listens on 127\.0\.0\.1:\d+ already.*--listen/ },
  );
  await checkFailure(t, ['serve', '--data', join(directory, 'data'), '--listen', '127.0.0.1:0'], {
    exit: 1,
    sentence: new RegExp(`in use by node node1, process ${node.pid}: stop that one`),
  });
  await checkFailure(
    t,
    ['serve', '--data', join(directory, 'not-a-directory'), '--listen', '127.0.0.1:0'],
    { exit: 1, sentence: /not-a-directory/ },
  );
});

const hasProc = existsSync('/proc/self');

t.test(
  'a directory that no file system lets anybody make is told',
  { skip: hasProc ? false : 'there is no /proc' },
  async (t) => {
    const directory = testDirectory(t, { 'app.log': 'one\n' });
    const from = ['--from', `file:${join(directory, 'app.log')}`];
    const node = await CliNode.start(directory);
    const state = ['--server', node.url, '--state', '/proc/none/below'];
    await Promise.all([
      checkFailure(t, ['serve', '--data', '/proc/none', '--listen', '127.0.0.1:0'], {
        exit: 1,
        sentence: /Data directory \/proc\/none cannot be made \(ENOENT.*choose one .* --data/,
      }),
      checkFailure(t, ['ship', ...from, ...state], {
        exit: 1,
        sentence: /State directory \/proc\/none\/below cannot be made \(ENOENT.* --state/,
      }),
      checkFailure(t, ['sink', '--to', 'stdout', '--category', 'logs', ...state], {
        exit: 1,
        sentence: /State directory \/proc\/none\/below cannot be made \(ENOENT.* --state/,
      }),
      checkFailure(t, ['plugins', 'create', 'input', 'mine', '--directory', '/proc/none'], {
        exit: 1,
        sentence: /Directory \/proc\/none cannot be made \(ENOENT.* --directory/,
      }),
    ]);
    await node.stop();
  },
);

t.test('a data directory of another node is refused', async (t) => {
  const directory = testDirectory(t);
  const node = await CliNode.start(directory);
  await node.stop();
  await checkFailure(
    t,
    ['serve', '--data', directory, '--name', 'node2', '--listen', '127.0.0.1:0'],
    { exit: 1, sentence: /belongs to node node1, not to node2: start with --name node1/ },
  );
});

t.test('a server that is no node, and a state directory that is in use, are told', async (t) => {
  const directory = testDirectory(t, { 'app.log': 'one\n' });
  const file = `file:${join(directory, 'app.log')}`;
  const stranger = createServer((_request, response) => response.end('<html>'));
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
  t.teardown(() => stranger.close());
  const strangerUrl = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`;
  await checkFailure(
    t,
    ['ship', '--from', file, '--server', strangerUrl, '--state', join(directory, 's')],
    { exit: 1, sentence: /chukcha node/ },
  );
  const { openPipelineState } = await import('../../src/commands/shared/pipeline-state.js');
  const state = await openPipelineState(join(directory, 'held'));
  t.teardown(() => state.close());
  const node = await CliNode.start(join(directory, 'data'));
  t.teardown(() => node.stop());
  await checkFailure(
    t,
    ['ship', '--from', file, '--server', node.url, '--state', join(directory, 'held')],
    { exit: 1, sentence: /held is in use by another run of the same pipeline/ },
  );
});

t.test(
  'a file without permission is named',
  {
    skip: process.getuid?.() === 0 ? 'root may read everything' : false,
  },
  async (t) => {
    const directory = testDirectory(t, { 'secret.log': 'one\n' });
    chmodSync(join(directory, 'secret.log'), 0);
    await checkFailure(
      t,
      ['pipe', '--from', `file:${join(directory, 'secret.log')}`, '--to', 'stdout', '--once'],
      { exit: 1, sentence: /secret\.log/ },
    );
  },
);

t.test('help and version answer without a node', async (t) => {
  const version = await runCli(['--version']);
  t.equal(version.exit, 0);
  t.match(version.stdout.toString(), /^chukcha\/\d+\.\d+\.\d+ /);
  for (const command of [
    '',
    'serve',
    'ship',
    'sink',
    'pipe',
    'write',
    'tail',
    'categories',
    'chunks',
    'plugins',
    'plugins inspect',
  ]) {
    const help = await runCli([...command.split(' ').filter(Boolean), '--help']);
    t.equal(help.exit, 0, `${command} --help`);
    if (command !== '')
      t.match(help.stdout.toString(), /EXAMPLES/, `${command} --help has an example`);
  }
});

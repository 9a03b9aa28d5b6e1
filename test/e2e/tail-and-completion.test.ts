import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createMessageFilter } from '../../src/commands/shared/message-filter.js';
import { errorCode } from '../../src/protocol/chukcha-error.js';
import { CliNode, runCli } from '../support/cli.js';
import { testDirectory } from '../support/test-directory.js';

const messages = [
  '{"level":"error","http":{"status":500},"text":"time out"}\n',
  '{"level":"info","http":{"status":200}}\n',
  'plain error\n',
  '{"level":"error","http":{"status":404}}\n',
  '\n',
];

t.test('messages are chosen by text, pattern and field', async (t) => {
  const choose = (options: Parameters<typeof createMessageFilter>[0]): string =>
    Buffer.from(createMessageFilter(options)?.(Buffer.from(messages.join(''))) ?? []).toString();
  const pick = (...indexes: number[]): string => indexes.map((index) => messages[index]).join('');
  t.equal(createMessageFilter({}), undefined);
  t.equal(choose({ grep: 'error' }), pick(0, 2, 3));
  t.equal(choose({ grep: 'ERROR' }), '');
  t.equal(choose({ grep: '/ERROR/i' }), pick(0, 2, 3));
  t.equal(choose({ grep: '/^plain.*r$/' }), pick(2));
  t.equal(choose({ where: ['level=error'] }), pick(0, 3));
  t.equal(choose({ where: ['level=error', 'http.status=404'] }), pick(3));
  t.equal(choose({ grep: 'time', where: ['http.status=500'] }), pick(0));
  t.equal(choose({ where: ['http={"status":200}'] }), pick(1));
  t.equal(choose({ where: ['text.deeper=x'] }), '');
  for (const options of [{ grep: '/(/' }, { where: ['level'] }, { where: ['=x'] }]) {
    try {
      createMessageFilter(options);
      t.fail(JSON.stringify(options));
    } catch (error) {
      t.equal(errorCode(error), 'invalid_option');
    }
  }
});

t.test('tail shows the messages that were asked for', async (t) => {
  const node = await CliNode.start(join(testDirectory(t), 'data'));
  t.teardown(() => node.stop());
  const server = ['--server', node.url];
  await runCli(['ship', '--from', 'stdin', ...server], {
    input: messages.join(''),
    env: { XDG_STATE_HOME: testDirectory(t) },
  });
  const shown = async (words: readonly string[]): Promise<string> =>
    (await runCli(['tail', '--all', '--once', ...words, ...server])).stdout.toString();
  t.equal(await shown([]), messages.join(''));
  t.equal(await shown(['--where', 'level=error', '--grep', 'time']), messages[0]);
  t.equal(await shown(['--grep', 'nowhere']), '');
  const wrong = await runCli(['tail', '--where', 'x', ...server]);
  t.equal(wrong.exit, 2);
  t.match(wrong.stderr, /--where "x" is not valid: expected FIELD=VALUE/);
});

t.test('bash completes commands, flags, values and plugins', async (t) => {
  const directory = testDirectory(t);
  const env = { XDG_DATA_HOME: directory };
  const script = (await runCli(['completion', 'bash'], { env })).stdout.toString();
  writeFileSync(join(directory, 'chukcha.bash'), script);
  const complete = (words: readonly string[]): string[] => {
    const list = words.map((word) => `'${word}'`).join(' ');
    const program = `source ${join(directory, 'chukcha.bash')}; COMP_WORDS=(chukcha ${list}); COMP_CWORD=${words.length}; _chukcha; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync('bash', ['-c', program], { encoding: 'utf8' })
      .split('\n')
      .filter(Boolean)
      .sort();
  };
  t.same(complete(['shi']), ['ship']);
  t.same(complete(['plugins', 'in']), ['inspect', 'install']);
  t.same(complete(['ship', '--fr']), ['--from']);
  t.ok(complete(['ship', '--from', '']).includes('file'));
  t.same(complete(['sink', '--to', 'std']), ['stdout']);
  t.same(complete(['ship', '--once', '--cate']), ['--category']);
  t.same(complete(['completion', '']), ['--help', 'bash', 'fish', 'zsh']);
  t.same(complete(['plugins', 'inspect', 'std']), ['stdin', 'stdout']);
  t.same(complete(['nonsense', 'shi']), ['ship']);
  // Shells that are not here are looked at for what every script of theirs has.
  t.match((await runCli(['completion', 'zsh'], { env })).stdout.toString(), /^#compdef chukcha\n/);
  const fish = (await runCli(['completion', 'fish'], { env })).stdout.toString();
  t.match(fish, /^complete -c chukcha -f -n '__chukcha_at ' -a 'ship' -d 'Ship lines/m);
  t.match(fish, /^complete -c chukcha -n '__chukcha_at ship' -l from -x -a '[^']*\bfile\b/m);
});

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
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
  t.same(complete(['ship', '--format', '=', 'js']), ['json']);
  t.same(complete(['ship', '--format', '=']), ['envelope', 'json', 'raw']);
});

/** What the other shells have to offer behind words, each with the names of the files in a directory at hand. */
const offers: readonly (readonly [words: string, candidates: readonly string[]])[] = [
  ['shi', ['ship']],
  ['plugins in', ['inspect', 'install']],
  ['ship --fr', ['--from']],
  ['ship --once --cate', ['--category']],
  ['sink --to cl', ['clickhouse']],
  ['ship --from=std', ['stdin']],
  ['ship --format ', ['envelope', 'json', 'raw']],
  ['ship --format=js', ['json']],
  ['plugins inspect std', ['stdin', 'stdout']],
  ['completion z', ['zsh']],
  ['verify DIRECTORY/da', ['data']],
  ['run DIRECTORY/pipe', ['pipelines.yaml']],
  ['ship --config DIRECTORY/pipe', ['pipelines.yaml']],
  ['ship --from file:DIRECTORY/pipe', ['pipelines.yaml']],
  ['groups rm DIRECTORY/pipe', []],
  ['ship nonsense --cate', ['--category']],
];

/** Why a test of a shell is left out; `false` when the shell is there. */
function reasonWithout(shell: string): string | false {
  const { error } = spawnSync(shell, ['--version']);
  const reason = `${shell} is not installed: apt-get install ${shell}`;
  if (error !== undefined) t.comment(`SKIPPED: ${reason}`);
  return error === undefined ? false : reason;
}

/** The script for a shell, in a directory that has some files too. */
async function writeScript(t: Test, shell: string, name: string): Promise<string> {
  const directory = testDirectory(t, { data: {}, 'pipelines.yaml': '', functions: {} });
  const script = await runCli(['completion', shell], { env: { XDG_DATA_HOME: directory } });
  writeFileSync(join(directory, 'functions', name), script.stdout);
  return directory;
}

t.test('zsh completes them too', { skip: reasonWithout('zsh') }, async (t) => {
  const directory = await writeScript(t, 'zsh', '_chukcha');
  const found = join(directory, 'found.txt');
  // An interactive zsh that writes down what it offers instead of showing it.
  writeFileSync(
    join(directory, 'setup.zsh'),
    `fpath=(${directory}/functions $fpath)
autoload -Uz compinit; compinit -u -D
compadd() {
  if [[ " \${@[1,(i)(-|--)]} " == *\\ -[OAD]\\ * ]]; then builtin compadd "$@"; return; fi
  local -a offered
  builtin compadd -A offered "$@"
  print -rl -- $offered >> ${found}
  builtin compadd "$@"
}
# zsh takes the function out of the list before each use.
_offered() { comppostfuncs=(_offered); print -r -- END >> ${found}; print DONE; compstate[insert]=; compstate[list]= }
comppostfuncs=(_offered)
PS1=:'READY':
`,
  );
  const driver = join(directory, 'driver.zsh');
  writeFileSync(
    driver,
    `zmodload zsh/zpty
TERM=dumb zpty inner zsh -f -i
zpty -w inner 'source ${directory}/setup.zsh'
zpty -r -m inner said '*:READY:*'
for line in "$@"; do
  zpty -n -w inner $'\\C-u'"$line"$'\\t'
  zpty -r -m inner said '*DONE*'
done
zpty -d inner
`,
  );
  const lines = offers.map(([words]) => `chukcha ${words.replace('DIRECTORY', directory)}`);
  execFileSync('zsh', ['-f', driver, ...lines], { timeout: 60_000 });
  const answers = readFileSync(found, 'utf8').split('END\n');
  for (const [index, [words, candidates]] of offers.entries()) {
    const offered = answers[index]?.split('\n').filter(Boolean).sort();
    t.same([...new Set(offered)], candidates, words);
  }
});

t.test('fish completes them too', { skip: reasonWithout('fish') }, async (t) => {
  const directory = await writeScript(t, 'fish', 'chukcha.fish');
  for (const [words, candidates] of offers) {
    const line = `chukcha ${words.replace('DIRECTORY', directory)}`;
    const program = `source ${directory}/functions/chukcha.fish; complete -C '${line}'`;
    const { stdout, stderr } = spawnSync('fish', ['--no-config', '-c', program], {
      encoding: 'utf8',
      env: { ...process.env, HOME: directory },
      timeout: 20_000,
    });
    t.equal(stderr, '', words);
    // Each with a description behind a tab; here whole words, of which zsh shows the end only.
    const offered = stdout.split('\n').flatMap((each) => each.split('\t')[0] || []);
    const ends = offered.map((each) => each.replace(/^--\w+=(?=.)/, '').replace(/\/$/, ''));
    t.same(ends.map((each) => each.split('/').at(-1)).sort(), candidates, words);
  }
});

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t, { type Test } from 'tap';
import { type CliResult, runCli } from '../support/cli.js';
import { testDirectory } from '../support/test-directory.js';

// npm is started several times, and takes a second each time.
t.setTimeout(120_000);

/** The user's directories, so that what is added here is nobody else's. */
function userEnvironment(directory: string): Record<string, string> {
  return {
    HOME: directory,
    XDG_DATA_HOME: join(directory, 'data'),
    XDG_STATE_HOME: join(directory, 'state'),
    XDG_CACHE_HOME: join(directory, 'cache'),
    XDG_CONFIG_HOME: join(directory, 'config'),
    npm_config_cache: join(directory, 'npm'),
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
  };
}

/** Runs npm without what the test runner put into the environment. */
function npm(directory: string, words: readonly string[], env: Record<string, string>): string {
  const { PATH } = process.env;
  return execFileSync('npm', [...words], {
    cwd: directory,
    env: { ...env, PATH },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** The lines of an answer that are about added plugins. */
async function addedPlugins(env: Record<string, string>): Promise<string[]> {
  const { stdout } = await runCli(['plugins', '--json'], { env });
  const found = JSON.parse(stdout.toString()) as { name: string; package: string }[];
  return found.filter(({ package: name }) => !name.startsWith('@')).map(({ name }) => name);
}

function succeed(result: CliResult, t: Test): string {
  t.equal(result.exit, 0, result.stderr);
  return result.stdout.toString();
}

t.test(
  'what `plugins create` makes passes its own test, and works when it is linked',
  async (t) => {
    const directory = testDirectory(t, { 'app.log': 'one\n\ntwo\n' });
    const env = userEnvironment(directory);
    for (const kind of ['input', 'output']) {
      const name = `my-${kind}`;
      const root = join(directory, name);
      succeed(await runCli(['plugins', 'create', kind, name, '--directory', root], { env }), t);
      npm(root, ['install'], env);
      const report = npm(root, ['test', '--', '--test-reporter=tap'], env);
      t.match(report, /^# pass [1-9]/m);
      t.match(report, /^# fail 0$/m);
      const linked = succeed(await runCli(['plugins', 'link', root], { env }), t);
      t.match(linked, new RegExp(`--(from|to) ${name} `));
    }
    t.same(await addedPlugins(env), ['my-input', 'my-output']);
    const target = join(directory, 'out.log');
    const from = `my-input:${join(directory, 'app.log')}`;
    succeed(
      await runCli(['pipe', '--from', from, '--to', `my-output:${target}`, '--once'], { env }),
      t,
    );
    t.equal(readFileSync(target, 'utf8'), 'one\n\ntwo\n');

    const again = await runCli(
      ['plugins', 'create', 'input', 'x', '--directory', join(directory, 'my-input')],
      { env },
    );
    t.equal(again.exit, 2);
    t.match(again.stderr, /has something in it/);
    t.equal((await runCli(['plugins', 'create', 'input', 'No Name'], { env })).exit, 2);
  },
);

t.test(
  'the example of a third party passes the suite and is used from the command line',
  async (t) => {
    const directory = testDirectory(t, { 'app.log': 'a\nb\n' });
    const env = userEnvironment(directory);
    const example = resolve('examples/chukcha-output-daily-files');
    t.match(npm(example, ['test', '--', '--test-reporter=tap'], env), /^# fail 0$/m);
    succeed(await runCli(['plugins', 'link', example], { env }), t);
    const archive = join(directory, 'archive');
    const from = `file:${join(directory, 'app.log')}`;
    const words = ['--category', 'web', '--to', `daily-files:${archive}`];
    succeed(await runCli(['pipe', '--from', from, ...words, '--once'], { env }), t);
    const [file = ''] = readdirSync(archive);
    t.match(file, /^web-\d{4}-\d\d-\d\d\.log$/);
    t.equal(readFileSync(join(archive, file), 'utf8'), 'a\nb\n');

    // By the name of the plugin, and its directory stays.
    succeed(await runCli(['plugins', 'uninstall', 'daily-files'], { env }), t);
    t.same(await addedPlugins(env), []);
    t.ok(existsSync(join(example, 'package.json')));
  },
);

/** A package with one output that does nothing but be there. */
function smallPackage(name: string, hook: string): Record<string, string> {
  return {
    'package.json': JSON.stringify({
      name,
      version: '1.0.0',
      type: 'module',
      oclif: { hooks: { 'chukcha:plugins': './hook.js' } },
    }),
    'hook.js': hook,
  };
}

const nothingHook = `export default async () => ({
  apiVersion: 1, kind: 'output', name: 'nothing', summary: 'Does nothing.',
  options: { type: 'object', additionalProperties: false, properties: {} },
  load: async () => ({ open: async () => ({ write: async () => undefined, close: async () => {} }) }),
});`;

t.test('a package is installed by npm, used at once, and taken away again', async (t) => {
  const directory = testDirectory(t, {
    'small-package': smallPackage('small', nothingHook),
    plain: { 'package.json': '{"name":"plain","version":"1.0.0"}' },
  });
  const env = userEnvironment(directory);
  npm(join(directory, 'small-package'), ['pack'], env);
  const archive = join(directory, 'small-package', 'small-1.0.0.tgz');
  succeed(await runCli(['plugins', 'install', archive], { env }), t);
  t.same(await addedPlugins(env), ['nothing']);
  // The same again is no mistake.
  succeed(await runCli(['plugins', 'install', archive], { env }), t);
  const from = ['--from', 'stdin', '--to', 'nothing', '--once'];
  succeed(await runCli(['pipe', ...from], { env, input: 'x\n' }), t);

  const unknown = await runCli(['plugins', 'uninstall', 'smal'], { env });
  t.equal(unknown.exit, 2);
  t.match(unknown.stderr, /did you mean small\?/);
  succeed(await runCli(['plugins', 'uninstall', 'small'], { env }), t);
  t.same(await addedPlugins(env), []);
  t.notOk(existsSync(join(directory, 'data', 'chukcha', 'node_modules', 'small')));

  // What is no plugin does not stay.
  npm(join(directory, 'plain'), ['pack'], env);
  const plain = await runCli(['plugins', 'install', join(directory, 'plain', 'plain-1.0.0.tgz')], {
    env,
  });
  t.equal(plain.exit, 1);
  t.match(plain.stderr, /is no plugin of chukcha: its package\.json needs a name and "oclif"/);
  const list = readFileSync(join(directory, 'data', 'chukcha', 'package.json'), 'utf8');
  t.match(JSON.parse(list), { oclif: { plugins: [] } });
  t.notMatch(list, /plain/);

  const missing = await runCli(['plugins', 'install', join(directory, 'none.tgz')], { env });
  t.equal(missing.exit, 1);
  t.match(missing.stderr, /`npm install .*none\.tgz` failed/);
});

t.test(
  'a plugin that cannot be loaded is named, when it is added and later, and the others work',
  async (t) => {
    const directory = testDirectory(t, {
      broken: smallPackage('broken', "throw new Error('its licence has run out');"),
      turning: smallPackage('turning', nothingHook),
      plain: { 'package.json': '{"name":"plain","version":"1.0.0"}' },
    });
    const env = userEnvironment(directory);
    for (const [name, sentence] of [
      ['broken', /broken could not be loaded \(its licence has run out\)/],
      ['plain', /plain is no plugin of chukcha/],
      ['nowhere', /nowhere is no plugin of chukcha: its package\.json cannot be read/],
    ] as const) {
      const { exit, stderr } = await runCli(['plugins', 'link', join(directory, name)], { env });
      t.equal(exit, 1, name);
      t.match(stderr, sentence);
    }
    t.same(await addedPlugins(env), []);

    succeed(await runCli(['plugins', 'link', join(directory, 'turning')], { env }), t);
    writeFileSync(join(directory, 'turning', 'hook.js'), "throw new Error('it broke later');");
    const words = ['pipe', '--from', 'stdin', '--to', 'stdout', '--once'];
    const result = await runCli(words, { env, input: 'x\n' });
    t.equal(succeed(result, t), 'x\n');
    t.match(
      result.stderr,
      /Warning: Plugin package turning could not be loaded \(it broke later\)/,
    );
    succeed(await runCli(['plugins', 'uninstall', 'turning'], { env }), t);
  },
);

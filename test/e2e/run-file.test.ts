import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Client, Consumer } from '../../src/index.js';
import { type CliRun, runCli, startCli } from '../support/cli.js';
import { testDirectory } from '../support/test-directory.js';
import { startTestNode } from '../support/test-node.js';
import { until } from '../support/until.js';

interface Task {
  readonly kind: string;
  readonly name: string;
  readonly state: string;
  readonly bytes: number;
  readonly restarts: number;
  readonly lastError?: string;
}

/** A run of a file whose state can be asked for. */
class FileRun {
  readonly #run: CliRun;
  readonly #url: string;

  private constructor(run: CliRun, url: string) {
    this.#run = run;
    this.#url = url;
  }

  static async start(t: Test, path: string, words: readonly string[] = []): Promise<FileRun> {
    const run = startCli(['run', path, '--monitor', '127.0.0.1:0', ...words], {
      env: { XDG_STATE_HOME: join(path, '..', 'state-home') },
    });
    let stderr = '';
    run.child.stderr.on('data', (piece: Buffer) => {
      stderr += piece.toString();
    });
    t.teardown(() => run.child.kill('SIGKILL'));
    await until(() => /url=http\S+|"url":"[^"]+"/.test(stderr));
    const url = /https?:\/\/127\.0\.0\.1:\d+/.exec(stderr)?.[0] ?? '';
    return new FileRun(run, url);
  }

  async task(kind: string, name: string): Promise<Task | undefined> {
    const { tasks } = (await (await fetch(`${this.#url}/status`)).json()) as { tasks: Task[] };
    return tasks.find((task) => task.kind === kind && task.name === name);
  }

  async metrics(): Promise<string> {
    return (await fetch(`${this.#url}/metrics`)).text();
  }

  signal(name: NodeJS.Signals): void {
    this.#run.child.kill(name);
  }

  async stop(): Promise<{ exit: number | string | null; stderr: string }> {
    this.#run.child.kill('SIGTERM');
    return this.#run.result;
  }
}

async function readLines(url: string, category: string): Promise<string[]> {
  const client = new Client({ server: url });
  let text = '';
  const options = { category, acknowledge: false, untilEnd: true, group: 'onlooker' };
  for await (const batch of new Consumer(client, options)) {
    text += batch.bytes.toString();
    batch.ack();
  }
  client.close();
  return text.split('\n').slice(0, -1);
}

t.test('mistakes in a file are told with line and column, and what was meant', async (t) => {
  const directory = testDirectory(t);
  const path = join(directory, 'pipelines.yaml');
  const refuse = async (text: string, ...expected: RegExp[]): Promise<void> => {
    writeFileSync(path, text);
    const { exit, stderr } = await runCli(['check', path]);
    t.equal(exit, 2, text);
    for (const pattern of expected) t.match(stderr, pattern);
  };
  await refuse(
    'ships:\n  app:\n    form: file:/x\n',
    /yaml:3:5: There is no key "form" here: did you mean from\?/,
    /yaml:2:3: The key from is missing/,
  );
  await refuse('ships: [1]\n', /yaml:1:1: ships must be object/);
  await refuse('a: b: c\n', /yaml:1:/);
  await refuse(
    'sinks:\n  s:\n    to: stdot\n',
    /yaml:2:3: There is no output plugin "stdot": did you mean stdout\?/,
  );
  await refuse(
    'sinks:\n  s:\n    to: stdout\n    options:\n      fromat: raw\n',
    /yaml:2:3: .*no option "fromat": did you mean format\?/,
  );
  await refuse(
    'sinks:\n  s:\n    to: stdout\n    batch-bytes: lots\n',
    /yaml:2:3: .*batch-bytes is "lots"/,
  );
  await refuse(
    `sinks:\n  s:\n    to: \${CHUKCHA_NOT_THERE}\n`,
    /yaml:3:5: The environment has no CHUKCHA_NOT_THERE/,
  );
  await refuse(
    `sinks:\n  s:\n    to: \${file:none.txt}\n`,
    /yaml:3:5: The file .*none\.txt cannot be read/,
  );
  await refuse(
    'sinks:\n  "bad name":\n    to: stdout\n',
    /yaml:2:3: The name "bad name" is not valid/,
  );
  await refuse('# nothing\n', /there are no nodes, ships or sinks/);
  t.match(await runCli(['check', join(directory, 'none.yaml')]), {
    exit: 2,
    stderr: /cannot be read/,
  });
});

t.test('what a reference brings in cannot change what the file says', async (t) => {
  const directory = testDirectory(t, { secret: 'x"\n    to: other\n' });
  const path = join(directory, 'pipelines.yaml');
  writeFileSync(path, `sinks:\n  s:\n    to: stdout\n    category: \${file:secret}\n`);
  const { exit, stderr } = await runCli(['check', path]);
  t.equal(exit, 2);
  t.match(stderr, /category name .* is not valid/);
});

t.test('the schema for editors is one, and takes a good file', async (t) => {
  const { stdout, exit } = await runCli(['run', '--schema']);
  t.equal(exit, 0);
  const schema = JSON.parse(stdout.toString()) as Record<string, unknown>;
  t.match(schema, { $schema: /draft-07/, properties: { ships: {}, sinks: {}, nodes: {} } });
});

t.test('ten pipelines run in one process, and one broken target leaves nine', async (t) => {
  const directory = testDirectory(t);
  const node = await startTestNode(join(directory, 'data'));
  t.teardown(() => node.close());
  const ships = Array.from({ length: 9 }, (_, at) => {
    writeFileSync(join(directory, `app${at}.log`), `line of ${at}\n`);
    return `  app${at}:\n    from: file:${join(directory, `app${at}.log`)}\n    category: cat${at}\n`;
  });
  const path = join(directory, 'pipelines.yaml');
  const broken = `  broken:\n    from: http:${new URL(node.url).host}\n`;
  writeFileSync(path, `server: ${node.url}\nships:\n${ships.join('')}${broken}`);
  const run = await FileRun.start(t, path);
  for (let at = 0; at < 9; at += 1) {
    await until(async () => ((await run.task('ship', `app${at}`))?.bytes ?? 0) > 0);
    t.same(await readLines(node.url, `cat${at}`), [`line of ${at}`]);
  }
  await until(async () => (await run.task('ship', 'broken'))?.state === 'waiting');
  t.match((await run.task('ship', 'broken'))?.lastError, /Another process listens/);
  t.match(await run.metrics(), /chukcha_task_up\{kind="ship",name="app3"\} 1/);
  const { exit } = await run.stop();
  t.equal(exit, 0);
});

t.test(
  'a new form of the file under load loses and doubles nothing; a bad one is refused',
  async (t) => {
    const directory = testDirectory(t);
    const node = await startTestNode(join(directory, 'data'));
    t.teardown(() => node.close());
    const log = join(directory, 'app.log');
    writeFileSync(log, '');
    const path = join(directory, 'pipelines.yaml');
    const fileOf = (linger: number): string =>
      `server: ${node.url}\nships:\n  app:\n    from: file:${log}\n    retry-for: ${linger}\n  still:\n    from: file:${log}\n    category: still\n`;
    writeFileSync(path, fileOf(60));
    const run = await FileRun.start(t, path, ['--watch']);
    let count = 0;
    let isWriting = true;
    const writing = (async () => {
      const { appendFile } = await import('node:fs/promises');
      while (isWriting) {
        const lines = Array.from({ length: 50 }, () => `line ${count++}\n`).join('');
        await appendFile(log, lines);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    })();
    for (let round = 0; round < 4; round += 1) {
      const before = (await run.task('ship', 'app'))?.bytes ?? 0;
      writeFileSync(path, fileOf(61 + round));
      if (round === 0) run.signal('SIGHUP');
      await until(async () => {
        const task = await run.task('ship', 'app');
        return task?.state === 'running' && task.bytes !== before;
      });
    }
    writeFileSync(path, 'ships:\n  app:\n    form: x\n');
    run.signal('SIGHUP');
    const restarts = (await run.task('ship', 'still'))?.restarts;
    isWriting = false;
    await writing;
    const expected = Array.from({ length: count }, (_, at) => `line ${at}`);
    await until(async () => (await readLines(node.url, 'still')).length >= count);
    await until(async () => (await readLines(node.url, 'logs')).length >= count);
    t.same(await readLines(node.url, 'logs'), expected);
    t.same(await readLines(node.url, 'still'), expected);
    t.equal(restarts, 0, 'what has not changed runs on');
    const { exit, stderr } = await run.stop();
    t.equal(exit, 0);
    t.match(stderr, /is refused; everything runs on.*did you mean from/);
  },
);

t.test('a node, a ship and a sink of one file work together, and go on after a kill', async (t) => {
  const directory = testDirectory(t, { 'in.log': 'a\nb\n' });
  const path = join(directory, 'pipelines.yaml');
  writeFileSync(
    path,
    `server: http://127.0.0.1:18471
nodes:
  main: { data: ${join(directory, 'data')}, listen: "127.0.0.1:18471", disk-reserve: 0 }
ships:
  app: { from: "file:${join(directory, 'in.log')}" }
`,
  );
  const first = await FileRun.start(t, path);
  await until(async () => (await first.task('ship', 'app'))?.bytes === 4);
  t.same(await readLines('http://127.0.0.1:18471', 'logs'), ['a', 'b']);
  first.signal('SIGKILL');
  writeFileSync(join(directory, 'in.log'), `${readFileSync(join(directory, 'in.log'))}c\n`);
  const second = await FileRun.start(t, path);
  await until(async () => (await second.task('ship', 'app'))?.bytes === 2);
  t.same(await readLines('http://127.0.0.1:18471', 'logs'), ['a', 'b', 'c']);
  t.equal((await second.stop()).exit, 0);
});

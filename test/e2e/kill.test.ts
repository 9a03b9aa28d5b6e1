import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Client } from '../../src/index.js';
import { CliNode, runCli, startCli } from '../support/cli.js';
import { SeededRandom } from '../support/seeded-random.js';
import { testDirectory } from '../support/test-directory.js';

/** Enough that a run takes a few hundred milliseconds, so that kills hit it in the middle. */
const lineCount = 300_000;

const seed = Number(process.env['CHUKCHA_TEST_SEED'] ?? Date.now() % 1_000_000);

function makeLines(): string {
  const lines = Array.from(
    { length: lineCount },
    (_, index) => `${String(index).padStart(9, '0')} ${'.'.repeat(index % 200)}\n`,
  );
  return lines.join('');
}

/** Every line of the input is in the output, whole, and nothing else is; lines may come twice. */
function checkLines(t: Test, output: string, input: string): void {
  const expected = new Set(input.split('\n'));
  const seen = new Set<string>();
  let foreign = 0;
  for (const line of output.split('\n')) {
    if (expected.has(line)) seen.add(line);
    else foreign += 1;
  }
  t.equal(foreign, 0, 'no line is torn or joined');
  t.equal(seen.size, expected.size, 'no line is lost');
}

async function pause(delayMs: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, delayMs));
}

t.test(`kill -9 of the shipper, the node and the sink loses no line (seed ${seed})`, async (t) => {
  const random = new SeededRandom(seed);
  const directory = testDirectory(t);
  const input = makeLines();
  const file = join(directory, 'input.log');
  writeFileSync(file, input);
  const data = join(directory, 'data');
  let node = await CliNode.start(data, ['--max-chunk-size', '1000000']);
  const { port } = node;
  t.teardown(() => node.stop());

  const ship = [
    'ship',
    '--from',
    `file:${file}`,
    '--server',
    node.url,
    '--once',
    '--state',
    join(directory, 'ship'),
  ];
  let kills = 0;
  for (let done = false; !done; ) {
    const run = startCli(ship);
    const delayMs = 150 + random.fraction() * 400;
    const victim = kills < 6 ? random.integer(0, 1) : -1;
    if (victim === 0) {
      await pause(delayMs);
      if (run.child.kill('SIGKILL')) kills += 1;
    } else if (victim === 1) {
      await pause(delayMs);
      await node.kill();
      kills += 1;
      node = await CliNode.start(data, [
        '--listen',
        `127.0.0.1:${port}`,
        '--max-chunk-size',
        '1000000',
      ]);
    }
    const { exit, stderr } = await run.result;
    done = exit === 0;
    if (!done) t.match(String(exit), /SIGKILL|1/, stderr);
  }
  t.ok(kills > 0, `${kills} kills while shipping`);

  let output = '';
  const sink = [
    'sink',
    '--to',
    'stdout',
    '--server',
    node.url,
    '--once',
    '--state',
    join(directory, 'sink'),
  ];
  for (let sinkKills = 0, done = false; !done; sinkKills += 1) {
    const run = startCli(sink);
    if (sinkKills < 3) {
      await pause(150 + random.fraction() * 300);
      run.child.kill('SIGKILL');
    }
    const { exit, stdout } = await run.result;
    // What a killed process had not written whole is no line of its own.
    const text = stdout.toString();
    output += exit === 0 ? text : text.slice(0, text.lastIndexOf('\n') + 1);
    done = exit === 0;
  }
  checkLines(t, output, input);
});

t.test(
  'a node that is killed under load has every line that was answered, and no part of another',
  async (t) => {
    const random = new SeededRandom(seed + 1);
    const directory = testDirectory(t);
    const data = join(directory, 'data');
    const answered: string[] = [];
    const sent = new Set<string>();
    for (let round = 0; round < 5; round += 1) {
      const node = await CliNode.start(data, ['--max-chunk-size', '300000']);
      const client = new Client({ server: node.url });
      let running = true;
      const writers = Array.from({ length: 4 }, async (_, writer) => {
        for (let count = 0; running; count += 1) {
          const lines = Array.from(
            { length: 1 + (count % 50) },
            (_, line) => `${round}-${writer}-${count}-${line} ${'y'.repeat(line * 20)}`,
          );
          for (const line of lines) sent.add(line);
          try {
            await client.write('logs', [Buffer.from(`${lines.join('\n')}\n`)]);
            answered.push(...lines);
          } catch {
            return;
          }
        }
      });
      await pause(200 + random.fraction() * 300);
      await node.kill();
      running = false;
      await Promise.all(writers);
      client.close();
    }
    const node = await CliNode.start(data);
    t.teardown(() => node.stop());
    const { stdout } = await runCli([
      'sink',
      '--to',
      'stdout',
      '--server',
      node.url,
      '--once',
      '--state',
      join(directory, 'state'),
    ]);
    const lines = stdout.toString().split('\n').slice(0, -1);
    const got = new Set(lines);
    t.ok(answered.length > 1_000, `${answered.length} lines were answered`);
    t.equal(answered.filter((line) => !got.has(line)).length, 0, 'no answered line is lost');
    t.equal(lines.filter((line) => !sent.has(line)).length, 0, 'no line is torn or joined');
    t.equal(got.size, lines.length, 'no line is there twice');
  },
);

t.test(
  'SIGTERM drains a following shipper and sink and a node, all of which end with 0',
  async (t) => {
    const directory = testDirectory(t, { 'app.log': 'one\ntwo\n' });
    const file = join(directory, 'app.log');
    const node = await CliNode.start(join(directory, 'data'));
    const ship = startCli([
      'ship',
      '--from',
      `file:${file}`,
      '--server',
      node.url,
      '--state',
      join(directory, 'ship'),
    ]);
    const sink = startCli([
      'sink',
      '--to',
      'stdout',
      '--server',
      node.url,
      '--state',
      join(directory, 'sink'),
    ]);
    const got = await new Promise<string>((resolve) => {
      let text = '';
      sink.child.stdout.on('data', (piece: Buffer) => {
        text += piece.toString();
        if (text.length >= 8) resolve(text);
      });
    });
    t.equal(got, 'one\ntwo\n', 'the lines are followed from one end to the other');
    writeFileSync(file, 'three\n', { flag: 'a' });
    await new Promise((resolve) => sink.child.stdout.once('data', resolve));
    ship.child.kill('SIGTERM');
    sink.child.kill('SIGINT');
    t.equal((await ship.result).exit, 0);
    t.equal((await sink.result).exit, 0);
    const stopped = await node.stop();
    t.equal(stopped.exit, 0);
    t.match(stopped.stderr, /Node has stopped/);
    t.equal(
      readFileSync(join(directory, 'data/logs/node1-chunk000000000'), 'utf8'),
      'one\ntwo\nthree\n',
    );
  },
);

t.test('a second signal ends a node at once that waits for a request', async (t) => {
  const node = await CliNode.start(testDirectory(t));
  const { hostname, port } = new URL(node.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  socket.write(
    'POST /write?category=logs HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n',
  );
  await once(socket, 'data');
  process.kill(node.pid, 'SIGINT');
  // The node refuses what is new from then on, so it has taken notice of the first signal.
  for (let refused = false; !refused; ) {
    refused = await new Client({ server: node.url }).live().then(
      () => false,
      () => true,
    );
  }
  const { exit } = await node.stop();
  t.equal(exit, 143);
  socket.destroy();
});

t.test(
  'a sink that was killed goes on at once, and one with another state stands by',
  async (t) => {
    const directory = testDirectory(t);
    const node = await CliNode.start(join(directory, 'data'));
    t.teardown(() => node.stop());
    await runCli(['write', 'first', '--server', node.url]);
    const sink = (state: string, ...words: string[]): string[] => [
      ...['sink', '--to', 'stdout', '--server', node.url, '--state', join(directory, state)],
      ...words,
    ];
    const killed = startCli(sink('one'));
    await once(killed.child.stdout, 'data');
    const other = startCli(sink('two'));
    const [said] = (await once(other.child.stderr, 'data')) as [Buffer];
    t.match(said.toString(), /^Standing by: /);
    other.child.kill('SIGTERM');
    await other.result;
    killed.child.kill('SIGKILL');
    await killed.result;
    await runCli(['write', 'second', '--server', node.url]);
    const { exit, stdout, stderr } = await runCli(sink('one', '--once'));
    t.equal(exit, 0, stderr);
    t.match(stdout.toString(), /second\n$/);
    t.notMatch(stderr, /Standing by/);
  },
);

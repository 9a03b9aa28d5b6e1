// Kills a shipper and a sink again and again while a log grows and is rotated, and counts what comes out:
// `node build/test/torture/pipeline-rounds.js --rounds 200 --seed 7 [--to OUTPUT --count COMMAND]`. Every line has a number. In
// the bus, and in a target that knows names, each must be exactly once. Without `--to` only the shipper is killed.
// `--count` is a shell command that prints the lines of the target, one JSON object or number for each.
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Client, Consumer } from '../../src/index.js';
import { type CliRun, runCli, startCli } from '../support/cli.js';
import { SeededRandom } from '../support/seeded-random.js';
import { startTestNode } from '../support/test-node.js';

/** From the start of the process: some of that is its own start. */
const killDelayMs = { min: 150, max: 1_500 };

/** How many lines one append has. */
const appendLineCountMax = 400;

/** One append in so many is followed by a rotation. */
const rotationPeriod = 25;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
    to: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    count: { type: 'string' },
  },
});
const random = new SeededRandom(Number(values.seed));
const directory = mkdtempSync(join(tmpdir(), 'chukcha-pipeline-rounds-'));
const log = join(directory, 'app.log');
const node = await startTestNode(join(directory, 'data'), { 'max-chunk-size': '1MB' });
const env = { XDG_STATE_HOME: join(directory, 'state') };
const shipWords = ['ship', '--from', `file:${log}*`, '--server', node.url];
const sinkWords =
  values.to === undefined
    ? undefined
    : [
        'sink',
        '--to',
        values.to,
        '--server',
        node.url,
        ...values.set.flatMap((set) => ['--set', set]),
      ];

// Somebody who never acknowledges, so that everything is there at the end.
const keeper = new Client({ server: node.url });
await keeper.registerGroup('logs', 'keeper');
keeper.close();

let lineCount = 0;
let rotationCount = 0;
let isWriting = true;
const writing = write();
const startedMs = performance.now();
for (let round = 1; round <= Number(values.rounds); round += 1) {
  const runs = [start(shipWords), ...(sinkWords === undefined ? [] : [start(sinkWords)])];
  await Promise.all(runs.map(killLater));
  if (round % 20 === 0)
    console.log(`round ${round}: ${lineCount} lines, ${rotationCount} rotations`);
}
isWriting = false;
await writing;
await finish(shipWords);
if (sinkWords !== undefined) await finish(sinkWords);
const seconds = ((performance.now() - startedMs) / 1_000).toFixed(0);
const inBus = await readBus();
const problems = judge('the bus', inBus);
if (values.count !== undefined) problems.push(...judge('the target', countTarget(values.count)));
await node.close();
console.log(
  `${values.rounds} rounds, seed ${values.seed}: ${lineCount} lines, ${rotationCount} rotations, ${seconds} s; ${problems.length === 0 ? 'lost 0, duplicate 0' : problems.join('; ')}`,
);
if (problems.length === 0) rmSync(directory, { recursive: true });
else console.error(`Data in ${directory}.`);
process.exit(problems.length === 0 ? 0 : 1);

async function write(): Promise<void> {
  while (isWriting) {
    const count = random.integer(1, appendLineCountMax);
    const lines = Array.from(
      { length: count },
      () => `{"seq":${lineCount++},"text":"${'x'.repeat(random.integer(0, 200))}"}\n`,
    );
    appendFileSync(log, lines.join(''));
    if (random.integer(1, rotationPeriod) === 1) {
      rotationCount += 1;
      renameSync(log, `${log}.${rotationCount}`);
    }
    await sleep(random.integer(1, 30));
  }
}

function start(words: readonly string[]): CliRun {
  return startCli(words, { env });
}

async function killLater(run: CliRun): Promise<void> {
  await sleep(random.integer(killDelayMs.min, killDelayMs.max));
  const { exitCode } = run.child;
  run.child.kill('SIGKILL');
  const { stderr } = await run.result;
  // A process that ended before it was killed has failed.
  if (exitCode !== null) console.error(`It ended by itself with ${exitCode}: ${stderr}`);
}

async function finish(words: readonly string[]): Promise<void> {
  const { exit, stderr } = await runCli([...words, '--once'], { env });
  if (exit !== 0) throw new Error(`${words[0]} --once ended with ${exit}: ${stderr}`);
}

async function readBus(): Promise<number[]> {
  const client = new Client({ server: node.url });
  const numbers: number[] = [];
  const options = { category: 'logs', acknowledge: false, untilEnd: true, group: 'onlooker' };
  for await (const batch of new Consumer(client, options)) {
    for (const line of batch.bytes.toString().split('\n').slice(0, -1))
      numbers.push(numberOf(line));
    batch.ack();
  }
  client.close();
  return numbers;
}

function countTarget(command: string): number[] {
  const output = execFileSync('sh', ['-c', command], { maxBuffer: 1024 ** 3 }).toString();
  return output.split('\n').flatMap((line) => (line.trim() === '' ? [] : numberOf(line)));
}

function numberOf(line: string): number {
  const value = JSON.parse(line) as number | { readonly seq: number };
  return typeof value === 'number' ? value : value.seq;
}

function judge(where: string, numbers: readonly number[]): string[] {
  const seen = new Set(numbers);
  const problems: string[] = [];
  const missing = Array.from({ length: lineCount }, (_, at) => at).filter((at) => !seen.has(at));
  if (missing.length > 0)
    problems.push(`${missing.length} lines lost in ${where}, the first ${missing[0]}`);
  const doubled = numbers.length - seen.size;
  if (doubled > 0) problems.push(`${doubled} lines double in ${where}`);
  return problems;
}

// Kills a shipper and a sink again and again while a log grows and is rotated, and counts what comes out:
// `node build/test/torture/pipeline-rounds.js --rounds 200 --seed 7 --target clickhouse --faults`. Every line has a number. In
// the bus, and in the target, each must be exactly once. The target is a real one, as the tests of the plugins start it
// (clickhouse, opensearch, elasticsearch). With `--faults` a proxy between the sink and the target loses answers, is late,
// and so on (`target-proxy.ts`), and the target is killed for a minute and silent for another. Without a target only the
// shipper is killed. `--to OUTPUT --count COMMAND` is for one that runs already: the shell command prints its lines, one
// JSON object or number for each.
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
import {
  type PipelineTarget,
  startTarget,
  type TargetName,
  targetNames,
} from './pipeline-target.js';
import { TargetProxy } from './target-proxy.js';

/** From the start of the process: some of that is its own start, and more of it where the machine is busy (`--life`). */
const killDelayMsMin = 150;

/** How long a sink waits for an answer of the target; a fault can take twice as long. */
const timeoutMs = 1_000;

/** Small deliveries that wait for little company, so that a kill meets one more often than not. */
const deliveryWords = ['--batch-messages', '1000', '--batch-age', '100ms'];

/** How many lines one append has. */
const appendLineCountMax = 100;

/** One append in so many is followed by a rotation. */
const rotationPeriod = 25;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string' },
    faults: { type: 'boolean', default: false },
    'outage-seconds': { type: 'string', default: '60' },
    /** The longest time from a start to a kill, in seconds. */
    life: { type: 'string', default: '3' },
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
const target = values.target === undefined ? undefined : await startTarget(targetName());
const proxy = target === undefined ? undefined : await startProxy(target);
const to = proxy === undefined ? values.to : target?.address(proxy.port);
const sinkWords =
  to === undefined
    ? undefined
    : [
        ...['sink', '--to', to, '--server', node.url, ...deliveryWords],
        ...values.set.flatMap((option) => ['--set', option]),
      ];
const impatience = (target?.impatience(timeoutMs) ?? []).flatMap((option) => ['--set', option]);

// Somebody who never acknowledges, so that everything is there at the end.
const keeper = new Client({ server: node.url });
await keeper.registerGroup('logs', 'keeper');
keeper.close();

let roundNow = 0;
let lineCount = 0;
let rotationCount = 0;
let isWriting = true;
const writing = write();
const startedMs = performance.now();
const outages = values.faults ? breakTarget() : undefined;
for (let round = 1; round <= Number(values.rounds); round += 1) {
  roundNow = round;
  const runs = [
    start(shipWords),
    ...(sinkWords === undefined ? [] : [start([...sinkWords, ...impatience])]),
  ];
  await Promise.all(runs.map(killLater));
  if (round % 20 === 0)
    console.log(`round ${round}: ${lineCount} lines, ${rotationCount} rotations`);
}
isWriting = false;
await writing;
await outages;
// The rounds are over: what is left is to come through in bearable time.
if (proxy !== undefined) proxy.isFaulty = false;
await finish(shipWords);
if (sinkWords !== undefined) await finish(sinkWords);
const seconds = ((performance.now() - startedMs) / 1_000).toFixed(0);
const inBus = await readBus();
const problems = judge('the bus', inBus);
if (values.count !== undefined) problems.push(...judge('the target', countTarget(values.count)));
if (target !== undefined) problems.push(...judge('the target', await target.numbers()));
proxy?.close();
await target?.close();
await node.close();
if (proxy !== undefined) console.log(`At the proxy: ${describeCounts(proxy)}`);
console.log(
  `${values.rounds} rounds, seed ${values.seed}: ${lineCount} lines, ${rotationCount} rotations, ${seconds} s; ${problems.length === 0 ? 'lost 0, duplicate 0' : problems.join('; ')}`,
);
if (problems.length === 0) rmSync(directory, { recursive: true });
else console.error(`Data in ${directory}.`);
process.exit(problems.length === 0 ? 0 : 1);

function targetName(): TargetName {
  const name = targetNames.find((known) => known === values.target);
  if (name !== undefined) return name;
  throw new Error(
    `There is no target ${values.target}: expected one of ${targetNames.join(', ')}.`,
  );
}

async function startProxy(target: PipelineTarget): Promise<TargetProxy> {
  const proxy = await TargetProxy.start({
    targetPort: () => target.port,
    isWrite: target.isWrite,
    timeoutMs,
    // Not the one that the rounds have, so that both stay the same from run to run.
    random: new SeededRandom(Number(values.seed) + 1),
  });
  proxy.isFaulty = values.faults;
  return proxy;
}

/** After a third of the rounds the target is away for a minute, and after two thirds silent. */
async function breakTarget(): Promise<void> {
  if (target === undefined || proxy === undefined) return;
  const rounds = Number(values.rounds);
  const outageMs = Number(values['outage-seconds']) * 1_000;
  while (roundNow < rounds / 3) await sleep(100);
  await target.kill();
  console.log(`round ${roundNow}: the target is killed`);
  await sleep(outageMs);
  await target.restart();
  console.log(`round ${roundNow}: the target is back`);
  while (roundNow < (rounds * 2) / 3) await sleep(100);
  proxy.isSilent = true;
  console.log(`round ${roundNow}: the target is silent`);
  await sleep(outageMs);
  proxy.isSilent = false;
  console.log(`round ${roundNow}: the target answers again`);
}

function describeCounts({ counts }: TargetProxy): string {
  return [...counts].map(([what, count]) => `${what} ${count}`).join(', ');
}

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
  await sleep(random.integer(killDelayMsMin, Number(values.life) * 1_000));
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

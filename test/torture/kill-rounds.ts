// Kills a node again and again under load, and checks that it keeps every promise that it has answered:
// `node build/test/torture/kill-rounds.js --rounds 300 --seed 7 [--sync]`. What a seed repeats are the batches and the
// delays; when a kill meets which write is left to the machine.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { runCli } from '../support/cli.js';
import { SeededRandom } from '../support/seeded-random.js';
import { BatchLedger } from './batch-ledger.js';
import { GroupReader } from './group-reader.js';
import { type Call, NodeConnection } from './node-connection.js';
import { NodeRuns } from './node-runs.js';
import { RoundWriter } from './round-writer.js';
import { Violation } from './violation.js';

/** From the start of the process, or from when it takes calls. */
const killDelayMs = { min: 5, max: 400 };

/** From when the process has taken its directory: recovery and the listener take about as long. */
const recoveryDelayMsMax = 20;

/** Rounds between two checks of the directory as a kill has left it. */
const verifyRounds = 20;

/** A round takes about a second; the rest is for the first start and the last readers. */
const roundMsMax = 5_000;
const endMsMax = 120_000;

const groups = ['first', 'second'] as const;

const writerKinds = [
  { name: 'stamped1', isStamped: true, connectionCount: 1 },
  { name: 'stamped2', isStamped: true, connectionCount: 2 },
  { name: 'stamped3', isStamped: true, connectionCount: 3 },
  { name: 'plain1', isStamped: false, connectionCount: 1 },
  { name: 'plain2', isStamped: false, connectionCount: 2 },
] as const;

/** Far enough apart that no two connections draw the same numbers. */
const seedStep = 1_000;

const options = readArguments();
const startedMs = performance.now();
const directory = mkdtempSync(join(tmpdir(), 'chukcha-kill-rounds-'));
const nodes = new NodeRuns(join(directory, 'data'), ['--max-chunk-size', '100KB']);
try {
  const limitMs = options.rounds * roundMsMax + endMsMax;
  console.log(await Promise.race([torture(), nodes.failed, failAfter(limitMs)]));
  rmSync(directory, { recursive: true });
  process.exit(0);
} catch (error) {
  const reason = error instanceof Violation ? error.message : String((error as Error).stack);
  console.error(`Seed ${options.seed}, data in ${directory}: ${reason}`);
  await nodes.kill().catch(() => undefined);
  process.exit(1);
}

/** Returns the summary; throws the first violation. */
async function torture(): Promise<string> {
  const { rounds, seed, sync: isSync } = options;
  const random = new SeededRandom(seed);
  const ledger = new BatchLedger();
  nodes.begin();
  // Before the first write: a chunk is deleted when all groups that are known have acknowledged it.
  for (const group of groups) await control('PUT', `/groups/${group}?category=logs`);
  const writers = writerKinds.map((kind, index) => {
    const writerOptions = { ...kind, isSync, seed: seed + (index + 1) * seedStep };
    return new RoundWriter(writerOptions, nodes, ledger);
  });
  const readers = groups.map((group, index) => {
    return new GroupReader({ group, rereads: index > 0 }, nodes, ledger);
  });
  const writing = Promise.all(writers.map((writer) => writer.run()));
  const reading = Promise.all(readers.map((reader) => reader.run()));
  const working = Promise.all([writing, reading]).then(() => undefined);

  const kills = { starting: 0, recovering: 0 };
  for (let round = 1; round <= rounds; round += 1) {
    await Promise.race([waitForKill(random), working]);
    if (!nodes.isReady) kills[nodes.hasDirectory ? 'recovering' : 'starting'] += 1;
    await nodes.kill();
    if (round % verifyRounds === 0) await verify();
    nodes.begin();
  }
  for (const writer of writers) writer.stop();
  await Promise.race([writing, working]);
  await control('POST', '/seal?category=logs');
  for (const reader of readers) reader.drain();
  await working;
  await nodes.stop();
  ledger.checkComplete(groups);
  await verify();
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(0);
  return (
    `seed ${seed}${isSync ? ' sync' : ''}: ${rounds} rounds, ${ledger.answeredCount} batches answered, ` +
    `${ledger.answeredLineCount} lines, ${kills.recovering} kills during recovery, ` +
    `${kills.starting} before it, ${ledger.repeatCount} repeated stamps, ` +
    `${ledger.duplicateCount} duplicates suppressed, ${seconds} s`
  );
}

/** Most kills meet a node under load, every sixth one that starts, and every sixth one that recovers. */
async function waitForKill(random: SeededRandom): Promise<void> {
  const kind = random.integer(1, 6);
  const delayMs = random.integer(killDelayMs.min, killDelayMs.max);
  if (kind === 1) {
    await sleep(delayMs);
  } else if (kind === 2) {
    await nodes.directoryTaken();
    await sleep(random.integer(0, recoveryDelayMsMax));
  } else {
    await nodes.running;
    await sleep(delayMs);
  }
}

/** A call of the tool itself, while nobody kills the node. */
async function control(method: Call['method'], path: string): Promise<void> {
  const connection = new NodeConnection();
  await connection.call(await nodes.running, { method, path });
  connection.close();
}

/** Compares the directory with its checksums, and moves nothing aside for being damaged. */
async function verify(): Promise<void> {
  const { exit, stdout, stderr } = await runCli(['verify', nodes.directory]);
  const report = stdout.toString();
  if (exit !== 0 || report.includes('moved aside')) {
    throw new Violation(`verify ended with ${exit}: ${report}${stderr}`);
  }
}

async function failAfter(limitMs: number): Promise<never> {
  await sleep(limitMs);
  throw new Violation(`The run has not ended after ${limitMs} ms.`);
}

function readArguments(): { rounds: number; seed: number; sync: boolean } {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '300' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      sync: { type: 'boolean', default: false },
    },
  });
  const rounds = Number(values.rounds);
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(rounds) || rounds < 1 || !Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError('Give --rounds as a whole number from 1, and --seed as one from 0.');
  }
  return { rounds, seed, sync: values.sync };
}

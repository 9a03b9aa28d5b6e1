// Is hard on a node in every way that a client can be, one after the other, and measures its memory and the writes of
// other clients meanwhile. Run by hand: `npx tsc -b && node build/test/torture/flood.js [ATTACK...]`. Prints a table,
// and ends with 1 when something must not have happened.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { percentile } from '../../bench/support/statistics.js';
import { printTable } from '../../bench/support/table.js';
import { Client } from '../../src/index.js';
import { errorMessage } from '../../src/protocol/chukcha-error.js';
import { type Attack, attacks } from './attacks.js';
import { FloodTarget } from './flood-target.js';
import { Tally } from './tally.js';

/** How long writes are measured without an attack, for comparison. */
const quietMs = 3_000;

const heads = [
  'attack',
  'ends',
  's',
  'RSS before MiB',
  'peak MiB',
  'after MiB',
  'p50 ms',
  'p99 ms',
  'max ms',
  'writes',
  'refused',
];

const quiet: Attack = {
  summary: 'nothing, for comparison',
  growthMibMax: 64,
  run: () => new Promise((resolve) => setTimeout(resolve, quietMs)),
};

const names = process.argv.slice(2);
const unknown = names.filter((name) => !(name in attacks));
if (unknown.length > 0) {
  const known = Object.entries(attacks).map(
    ([name, { summary }]) => `  ${name.padEnd(18)}${summary}`,
  );
  console.error(`There is no attack ${unknown.join(', ')}. There are:\n${known.join('\n')}`);
  process.exit(2);
}

const directory = mkdtempSync(join(tmpdir(), 'chukcha-flood-'));
const violations: string[] = [];
const rows: string[][] = [];
try {
  const target = await FloodTarget.start(directory);
  try {
    await runAttack(target, 'quiet', quiet);
    for (const [name, attack] of Object.entries(attacks)) {
      if (names.length === 0 || names.includes(name)) await runAttack(target, name, attack);
    }
  } finally {
    await target.stop();
  }
  violations.push(...target.faults().map((line) => `the node said: ${line}`));
} finally {
  rmSync(directory, { recursive: true, force: true });
}
printTable(heads, rows);
for (const violation of violations) console.log(`VIOLATION ${violation}`);
if (violations.length > 0) process.exitCode = 1;

async function runAttack(target: FloodTarget, name: string, attack: Attack): Promise<void> {
  console.error(`${name}: ${attack.summary} ...`);
  const tally = new Tally();
  const beforeMib = await target.steadyMemoryMib();
  target.forgetMemoryPeak();
  const stopProbe = target.startProbe();
  const startMs = performance.now();
  await attack.run(target, tally).catch((error: unknown) => {
    tally.violations.push(`the attack failed: ${errorMessage(error)}`);
  });
  const seconds = (performance.now() - startMs) / 1_000;
  const { timesMs, refusals } = await stopProbe();
  const peakMib = target.memoryPeakMib();
  const afterMib = await target.steadyMemoryMib();
  const foreign = refusals.filter((code) => attack.probeRefusals?.test(code) !== true);
  if (foreign.length > 0) tally.violations.push(`other clients met ${[...new Set(foreign)]}`);
  if (peakMib > beforeMib + attack.growthMibMax)
    tally.violations.push(`memory grew by more than ${attack.growthMibMax} MiB`);
  if (!(await isWell(target))) tally.violations.push('the node does not answer afterwards');
  violations.push(...tally.violations.map((text) => `${name}: ${text}`));
  rows.push([
    name,
    String(tally),
    seconds.toFixed(1),
    ...[beforeMib, peakMib, afterMib].map((mib) => mib.toFixed(0)),
    ...[0.5, 0.99, 1].map((fraction) => percentile(timesMs, fraction).toFixed(1)),
    String(timesMs.length),
    String(refusals.length),
  ]);
}

async function isWell(target: FloodTarget): Promise<boolean> {
  const client = new Client({ server: target.url });
  const answered = await client.live().then(
    () => true,
    () => false,
  );
  client.close();
  return answered;
}

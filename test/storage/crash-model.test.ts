import t from 'tap';
import type { CrashMode } from '../support/crash-content.js';
import { CrashTrial } from '../support/crash-trial.js';
import { checkProperty, type SeededRandom } from '../support/seeded-random.js';

/** How many lives of a store are tried; more by hand. */
const lifeCount = Number(process.env['CHUKCHA_CRASH_LIVES'] ?? 1500);

const categories = ['logs', 'audit'];
const groups = ['default', 'one', 'two'];
const modes: readonly CrashMode[] = [
  'process dies',
  'power cut, nothing left',
  'power cut, anything left',
];

/** A producer's next sequences, by category and producer. */
type Sequences = Map<string, number>;

function nextStamp(random: SeededRandom, category: string, sequences: Sequences) {
  const producer = random.pick(['shipper', 'sidecar']);
  const key = `${category} ${producer}`;
  const sequence = sequences.get(key) ?? 0;
  sequences.set(key, sequence + 1);
  return { producer, sequence };
}

async function appendSome(
  trial: CrashTrial,
  random: SeededRandom,
  sequences: Sequences,
): Promise<void> {
  const batches = Array.from({ length: random.integer(1, 4) }, () => {
    const category = random.pick(categories);
    const lineBytesMax = random.fraction() < 0.1 ? 80_000 : random.pick([30, 300, 3_000]);
    const lineBytes = Array.from({ length: random.integer(1, 4) }, () =>
      random.integer(20, lineBytesMax),
    );
    const stamp = random.fraction() < 0.5 ? nextStamp(random, category, sequences) : undefined;
    return trial.append(category, {
      lineBytes,
      sync: random.fraction() < 0.3,
      ...(stamp && { stamp }),
    });
  });
  await Promise.all(batches);
}

async function ackSome(trial: CrashTrial, random: SeededRandom): Promise<void> {
  const category = random.pick(categories);
  const group = random.pick(groups);
  for (const chunk of random.shuffle(await trial.ackable(category, group))) {
    if (random.fraction() < 0.6) await trial.ack(category, group, chunk);
  }
}

/** Repeats a batch with a stamp, perhaps one that is under way. */
async function repeatSome(trial: CrashTrial, random: SeededRandom): Promise<void> {
  const stamped = trial.ledger.batches.filter((batch) => batch.stamp !== undefined);
  if (stamped.length === 0) return;
  const batch = random.pick(stamped);
  const sync = random.fraction() < 0.5;
  await Promise.all([trial.submit(batch, sync), trial.submit(batch, !sync)]);
}

async function spoilDisk(trial: CrashTrial, random: SeededRandom): Promise<void> {
  const spoilers = [
    () => trial.fillDisk(random.integer(0, 5_000)),
    () => trial.disk.limit({}),
    () => trial.disk.limit({ inodesMax: random.integer(10, 60) }),
    () => trial.failNextSync(random.pick([/chunk\d{9}$/, /\.batches$/])),
  ];
  await random.pick(spoilers)();
}

async function act(trial: CrashTrial, random: SeededRandom, sequences: Sequences): Promise<void> {
  const category = random.pick(categories);
  const group = random.pick(groups);
  const choice = random.integer(0, 99);
  if (choice < 45) await appendSome(trial, random, sequences);
  else if (choice < 60) await ackSome(trial, random);
  else if (choice < 70) await repeatSome(trial, random);
  else if (choice < 77) await trial.flush();
  else if (choice < 83) await trial.seal(category);
  else if (choice < 87) await trial.register(category, group, random.pick(['earliest', 'latest']));
  else if (choice < 90) await trial.removeGroup(category, group);
  else if (choice < 95) await trial.check();
  else await spoilDisk(trial, random);
}

/** One process, from its start to its death or its end. */
async function runProcess(
  trial: CrashTrial,
  random: SeededRandom,
  sequences: Sequences,
): Promise<void> {
  const side = random.pick(['before', 'within', 'after'] as const);
  await trial.start({ call: random.integer(0, 120), side });
  for (let left = random.integer(0, 15); left > 0; left -= 1) await act(trial, random, sequences);
  if (random.fraction() < 0.2) await trial.close();
}

await t.test('no promise is broken, whatever is done and whatever crashes', async (t) => {
  await checkProperty(t, lifeCount, async (random) => {
    const trial = new CrashTrial(random, random.pick([60, 400, 5_000, 1_000_000]));
    const sequences: Sequences = new Map();
    for (let left = random.integer(1, 5); left > 0; left -= 1) {
      await trial.runUntilDeath(() => runProcess(trial, random, sequences));
      trial.crash(random.pick(modes));
    }
    await trial.prove();
  });
});

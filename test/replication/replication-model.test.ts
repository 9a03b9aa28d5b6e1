import t from 'tap';
import type { CrashMode } from '../support/crash-content.js';
import { ReplicaTrial } from '../support/replica-trial.js';
import { checkProperty, SeededRandom } from '../support/seeded-random.js';

/** How many histories are tried; more by hand. */
const historyCount = Number(process.env['CHUKCHA_REPLICA_HISTORIES'] ?? 100);

const names = ['a', 'b', 'c'];
const modes: readonly CrashMode[] = [
  'process dies',
  'process dies',
  'power cut, nothing left',
  'power cut, anything left',
];

async function act(trial: ReplicaTrial, random: SeededRandom): Promise<void> {
  const choice = random.integer(0, 99);
  const { running, stopped } = trial;
  const name = running.length === 0 ? undefined : random.pick(running);
  if (name === undefined || (choice < 12 && stopped.length > 0)) {
    await trial.start(random.pick(stopped));
  } else if (choice < 50) {
    await trial.write(name, {
      isSynced: random.fraction() < 0.3,
      isReplicated: random.fraction() < 0.5,
    });
  } else if (choice < 56) {
    await trial.seal(name);
  } else if (choice < 64) {
    await trial.ack(name, 0.5);
  } else if (choice < 72) {
    trial.crash(name, random.pick(modes));
  } else if (choice < 78) {
    trial.network.cut(`memory:${random.pick(names)}`, `memory:${random.pick(names)}`);
  } else if (choice < 84) {
    trial.network.heal();
  } else {
    await trial.pass(random.pick([100, 300, 1_000, 5_000]));
  }
}

/** One history, with two rests in it at which everything that was promised has to be there. */
async function live(random: SeededRandom): Promise<void> {
  const trial = new ReplicaTrial(names, random);
  for (const name of names) await trial.start(name);
  for (let round = 0; round < 2; round += 1) {
    const count = random.integer(5, 60);
    for (let index = 0; index < count; index += 1) await act(trial, random);
    await trial.settle();
    await trial.check();
  }
  await trial.drain();
  await trial.check();
}

await t.test('through crashes, cuts and acks nothing is lost that was promised', async (t) => {
  await checkProperty(t, historyCount, live);
});

await t.test(
  'a chunk that a power failure took from its owner is not taken for one that was never used',
  async (t) => {
    // A history that lost a chunk so: its owner told the others that it has no chunk that is not acknowledged.
    await live(new SeededRandom(3_044_163_090));
    t.pass('nothing is lost');
  },
);

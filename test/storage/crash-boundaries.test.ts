import t, { type Test } from 'tap';
import { errorMessage } from '../../src/protocol/chukcha-error.js';
import type { CrashMode } from '../support/crash-content.js';
import type { CrashPoint } from '../support/crash-disk.js';
import { CrashTrial } from '../support/crash-trial.js';
import { SeededRandom } from '../support/seeded-random.js';
import { expect } from '../support/store-ledger.js';

/**
 * How often power is cut at each point, every time with another seed. The suite takes turns instead: the
 * nothing-left cut and the random one have half of the points each.
 */
const rounds = Number(process.env['CHUKCHA_CRASH_ROUNDS'] ?? 0);

const random = 'power cut, anything left';
const modes: readonly CrashMode[] = ['process dies', 'power cut, nothing left', random];

interface Scenario {
  readonly chunkBytesMax: number;
  run(trial: CrashTrial): Promise<void>;
}

type NamedPoint = CrashPoint & { readonly name: string };

const stamp = (sequence: number) => ({ producer: 'shipper', sequence });

/** Above 64 KiB a batch goes to the disk beside the event loop, below it at once. */
const large = [70_000, 20];

const writing: Scenario = {
  chunkBytesMax: 1_000_000,
  async run(trial) {
    await trial.start();
    await trial.append('logs');
    await trial.append('logs', { sync: true });
    await trial.append('logs', { lineBytes: large, stamp: stamp(0) });
    await Promise.all([
      trial.append('logs', { lineBytes: [15] }),
      trial.append('logs', { sync: true, stamp: stamp(1) }),
      trial.append('logs', { lineBytes: [600, 20, 700] }),
      trial.append('audit', { stamp: stamp(0) }),
    ]);
    await trial.flush();
    await trial.append('audit', { lineBytes: large, sync: true });
    await trial.append('audit', { stamp: stamp(1) });
    await trial.append('logs', { stamp: stamp(2) });
  },
};

const rotating: Scenario = {
  chunkBytesMax: 150,
  async run(trial) {
    await trial.start();
    for (const sync of [false, true, false]) {
      await trial.append('logs', { sync, stamp: stamp(trial.ledger.batches.length) });
      await trial.append('logs', { lineBytes: [80] });
    }
    await trial.seal('logs');
    await trial.append('logs', { stamp: stamp(100) });
    await trial.flush();
    await trial.append('logs', { lineBytes: [200] });
    await trial.check();
    await trial.append('logs', { sync: true, stamp: stamp(101) });
  },
};

const acknowledging: Scenario = {
  chunkBytesMax: 60,
  async run(trial) {
    await trial.start();
    for (let sequence = 0; sequence < 5; sequence += 1) {
      await trial.append('logs', { sync: sequence % 2 === 0, stamp: stamp(sequence) });
    }
    await trial.register('logs', 'one');
    const [first = '', second = '', third = '', fourth = ''] = await trial.ackable('logs', 'one');
    await trial.ack('logs', 'one', first);
    await trial.ack('logs', 'two', third);
    await trial.ack('logs', 'one', third);
    await trial.flush();
    await trial.ack('logs', 'two', first);
    await trial.register('logs', 'three', 'latest');
    await trial.ack('logs', 'one', second);
    await trial.removeGroup('logs', 'two');
    await trial.append('logs', { sync: true });
    await trial.ack('logs', 'one', fourth);
  },
};

const closing: Scenario = {
  chunkBytesMax: 150,
  async run(trial) {
    await trial.start();
    await trial.append('logs', { stamp: stamp(0) });
    await trial.append('logs', { lineBytes: large, stamp: stamp(1) });
    await trial.append('logs');
    await trial.append('audit', { sync: true });
    await trial.register('audit', 'one');
    await trial.close();
  },
};

const fillingUp: Scenario = {
  chunkBytesMax: 150,
  async run(trial) {
    await trial.start();
    for (let sequence = 0; sequence < 4; sequence += 1) {
      await trial.append('logs', { stamp: stamp(sequence) });
    }
    await trial.fillDisk(100);
    await trial.append('logs', { stamp: stamp(4), lineBytes: [300] });
    await trial.append('logs', { sync: true, lineBytes: [30] });
    await trial.append('logs', { stamp: stamp(5), lineBytes: large });
    await trial.flush();
    for (const chunk of await trial.ackable('logs', 'one')) {
      expect(await trial.ack('logs', 'one', chunk), 'a full disk refused an acknowledgement');
    }
    await trial.append('logs', { stamp: stamp(6), sync: true, lineBytes: [50] });
  },
};

const losingWrites: Scenario = {
  chunkBytesMax: 150,
  async run(trial) {
    await trial.start();
    await trial.append('logs', { sync: true, stamp: stamp(0) });
    await trial.append('logs', { stamp: stamp(1) });
    await trial.append('logs');
    trial.failNextSync(/chunk000000001$/);
    await trial.append('logs', { sync: true, stamp: stamp(2) });
    await trial.append('logs', { stamp: stamp(3) });
    await trial.flush();
    await trial.register('logs', 'one');
    await trial.close();
  },
};

const scenarios = { writing, rotating, acknowledging, closing, fillingUp, losingWrites };

function newTrial({ chunkBytesMax }: Scenario, seed: number): CrashTrial {
  return new CrashTrial(new SeededRandom(seed), chunkBytesMax);
}

/** Every call that the run makes, from both sides, and writes in the middle. */
async function pointsOf(trial: CrashTrial, run: () => Promise<void>): Promise<NamedPoint[]> {
  const { disk } = trial;
  await run();
  await disk.quiet();
  return disk.calls.flatMap(({ change, path }, call) => {
    const sides: CrashPoint['side'][] = ['before', 'after'];
    if (change === 'write') sides.push('within');
    return sides.map((side) => ({
      call,
      side,
      name: `${side} call ${call}, ${change} of ${path}`,
    }));
  });
}

/** Runs the body, and says where it was when a promise was broken. */
async function holds(t: Test, where: string, body: () => Promise<void>): Promise<boolean> {
  try {
    await body();
    return true;
  } catch (error) {
    t.fail(`${where}: ${errorMessage(error)}`, { cause: error });
    return false;
  }
}

/** Crashes at every point until a promise is broken. */
async function crashEverywhere(
  t: Test,
  mode: CrashMode,
  points: readonly NamedPoint[],
  crashAndCheck: (point: NamedPoint, seed: number) => Promise<void>,
): Promise<void> {
  const seedCount = mode === random ? Math.max(1, rounds) : 1;
  for (let seed = 1; seed <= seedCount; seed += 1) {
    for (const [index, point] of points.entries()) {
      if (rounds === 0 && index % 2 === modes.indexOf(mode) % 2 && mode !== 'process dies')
        continue;
      const where = `${mode}, ${point.name}, seed ${seed}`;
      if (!(await holds(t, where, () => crashAndCheck(point, seed)))) return;
    }
  }
  t.pass(`${mode} at ${points.length} points`);
}

for (const [name, scenario] of Object.entries(scenarios)) {
  await t.test(`a crash at any call while ${name} breaks no promise`, async (t) => {
    const whole = newTrial(scenario, 1);
    const points = await pointsOf(whole, () => scenario.run(whole));
    for (const mode of modes) {
      await crashEverywhere(t, mode, points, async (point, seed) => {
        const trial = newTrial(scenario, seed);
        trial.disk.crashAt(point);
        await trial.runUntilDeath(() => scenario.run(trial));
        trial.crash(mode);
        await trial.prove();
      });
    }
  });
}

await t.test('a crash at any call of a start, again and again, breaks no promise', async (t) => {
  for (const scenario of [writing, acknowledging]) {
    const whole = newTrial(scenario, 1);
    const points = await pointsOf(whole, () => scenario.run(whole));
    for (const mode of modes) {
      // Some of the states that a start can find; the property below finds others.
      const step = Math.ceil(points.length / 2);
      for (const first of points.filter((_, index) => (index + 1) % step === 0)) {
        const crashOnce = async (seed: number): Promise<CrashTrial> => {
          const trial = newTrial(scenario, seed);
          trial.disk.crashAt(first);
          await trial.runUntilDeath(() => scenario.run(trial));
          trial.crash(mode);
          return trial;
        };
        const counted = await crashOnce(1);
        const starts = await pointsOf(counted, () => counted.start());
        await crashEverywhere(t, mode, starts, async (point, seed) => {
          const trial = await crashOnce(seed);
          for (const call of [point.call, Math.floor(point.call / 2)]) {
            await trial.runUntilDeath(() => trial.start({ call, side: point.side }));
            trial.crash(mode);
          }
          await trial.prove();
        });
      }
    }
  }
});

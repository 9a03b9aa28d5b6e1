import { randomInt } from 'node:crypto';
import type { Test } from 'tap';
import { SeededRandom } from '../../src/common/seeded-random.js';
import { errorMessage } from '../../src/protocol/chukcha-error.js';

export { SeededRandom };

/**
 * Runs the body with seeds that differ from run to run, or with the one of `CHUKCHA_TEST_SEED`. The body
 * throws when the property does not hold; the failure names the seed that shows it again.
 */
export async function checkProperty(
  t: Test,
  runCount: number,
  body: (random: SeededRandom) => void | Promise<void>,
): Promise<void> {
  const given = process.env['CHUKCHA_TEST_SEED'];
  const seeds =
    given === undefined
      ? Array.from({ length: runCount }, () => randomInt(2 ** 32))
      : [Number(given)];
  for (const seed of seeds) {
    try {
      await body(new SeededRandom(seed));
    } catch (error) {
      // Not `t.error`, which shows the error's own message in place of this one.
      t.fail(`run again with CHUKCHA_TEST_SEED=${seed}: ${errorMessage(error)}`, { cause: error });
      return;
    }
  }
  t.pass(`holds for ${seeds.length} seeds`);
}

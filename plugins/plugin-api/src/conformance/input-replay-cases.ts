import assert from 'node:assert/strict';
import type { JsonValue, PluginState } from '../plugin-state.js';
import type { ConformanceCase } from './conformance-case.js';
import {
  assertIncludes,
  assertSameBytes,
  exampleLines,
  expectBatch,
  inputCase,
  joinLines,
  readAll,
  smallLimits,
} from './input-case.js';
import { InputRun } from './input-run.js';
import type { InputSource, InputSuite } from './input-suite.js';
import { createMemoryState } from './memory-state.js';
import { createTestContext } from './test-context.js';

/** What was sent, and may or may not have arrived, when a process was killed. */
interface Interrupted {
  readonly bytes: readonly Buffer[];
  readonly ranges: readonly JsonValue[];
  /** The state as the kill left it. */
  readonly state: PluginState;
}

/** The rules for inputs that can read a range again. */
export function replayCases(suite: InputSuite): ConformanceCase[] {
  return [
    inputCase('replays exactly the bytes of each range, in their order', suite, async (source) => {
      const { bytes, ranges, state } = await interrupt(source, 3);
      const run = await openAgain(source, state);
      const replayed = await run.replay(ranges);
      assert.equal(replayed.length, ranges.length, 'Expected one batch for each range.');
      for (const [index, batch] of replayed.entries()) {
        assert.ok(
          batch !== undefined,
          `Expected the bytes of range ${index}: the source has them.`,
        );
        assertSameBytes(Buffer.from(batch.bytes), bytes[index] ?? Buffer.alloc(0));
        await batch.ack();
      }
      await run.stop();
    }),
    inputCase('does not give in batches what replay was given', suite, async (source) => {
      const { bytes, ranges, state } = await interrupt(source, 2);
      const run = await openAgain(source, state);
      // Not settled yet, so that no checkpoint hides what comes twice.
      const replayed = await run.replay(ranges);
      const rest = await run.ackAll(Number.POSITIVE_INFINITY);
      for (const batch of replayed) await batch?.ack();
      await run.close();
      assertSameBytes(Buffer.concat([...bytes, rest]), joinLines(exampleLines()));
    }),
    inputCase('gives a replayed batch again that was not accepted', suite, async (source) => {
      const { bytes, ranges, state } = await interrupt(source, 1);
      const run = await openAgain(source, state);
      for (const batch of await run.replay(ranges)) await batch?.nack(new Error('Refused.'));
      await run.ackAll(Number.POSITIVE_INFINITY);
      await run.close();
      assertIncludes(await readAll(source, state), Buffer.concat(bytes));
    }),
  ];
}

/** A run that has taken some batches, of which none is settled, and is killed. */
async function interrupt(source: InputSource, count: number): Promise<Interrupted> {
  const state = createMemoryState();
  const run = await openAgain(source, state);
  const bytes: Buffer[] = [];
  const ranges: JsonValue[] = [];
  const batches = [];
  while (batches.length < count) {
    const batch = await expectBatch(run);
    assert.ok(batch.range !== undefined, 'Expected a range with every batch.');
    batches.push(batch);
    bytes.push(Buffer.from(batch.bytes));
    ranges.push(JSON.parse(JSON.stringify(batch.range)) as JsonValue);
  }
  const killed = createMemoryState(state.entries());
  for (const batch of batches) await batch.nack(new Error('The run is over.'));
  await run.stop();
  return { bytes, ranges, state: killed };
}

function openAgain(source: InputSource, state: PluginState): Promise<InputRun> {
  return InputRun.open(source, createTestContext({ ...smallLimits, state, once: true }));
}

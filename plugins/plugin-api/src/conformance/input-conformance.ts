import assert from 'node:assert/strict';
import { pluginErrorKind } from '../plugin-error.js';
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
import { positionCases } from './input-position-cases.js';
import { replayCases } from './input-replay-cases.js';
import { reportCases } from './input-report-cases.js';
import { InputRun } from './input-run.js';
import type { InputSuite } from './input-suite.js';
import { createMemoryState } from './memory-state.js';
import { createTestContext } from './test-context.js';
import { soon } from './time-limit.js';

/**
 * The rules that every input has to keep, as cases for a test runner:
 *
 *     for (const { name, run } of inputConformance(suite)) test(name, run);
 */
export function inputConformance(suite: InputSuite): ConformanceCase[] {
  if (suite.remembers && suite.endless) {
    throw new TypeError(
      'An input that is both endless and remembers is not supported by the suite.',
    );
  }
  if (suite.replays === true && !suite.remembers) {
    throw new TypeError('An input that replays has to remember: set `remembers`.');
  }
  return [
    ...lifeCases(suite),
    ...(suite.endless ? endlessCases(suite) : onceCases(suite)),
    ...(suite.remembers ? memoryCases(suite) : []),
    ...(suite.replays === true ? replayCases(suite) : []),
    ...reportCases(suite),
    ...positionCases(suite),
  ];
}

function lifeCases(suite: InputSuite): ConformanceCase[] {
  return [
    inputCase('opens and closes without being asked for batches', suite, async (source) => {
      const run = await InputRun.open(source, createTestContext());
      await run.close();
    }),
    inputCase('may be closed twice', suite, async (source) => {
      const run = await InputRun.open(source, createTestContext());
      await Promise.all([run.close(), run.close()]);
      await run.close();
    }),
    inputCase('yields the lines as they are, in batches of whole lines', suite, async (source) => {
      const run = await InputRun.open(source, createTestContext(smallLimits));
      const expected = joinLines(exampleLines());
      const received = await run.ackAll(expected.length);
      await run.stop();
      assertSameBytes(received, expected);
    }),
    inputCase('takes a second ack of a batch without an error', suite, async (source) => {
      const run = await InputRun.open(source, createTestContext());
      const batch = await expectBatch(run);
      await soon(batch.ack(), 'ack to resolve');
      await soon(batch.ack(), 'the second ack to resolve');
      await run.stop();
    }),
    inputCase(
      'ends soon after an abort, with batches that are not settled',
      suite,
      async (source) => {
        const run = await InputRun.open(source, createTestContext(smallLimits));
        const batch = await expectBatch(run);
        run.abort();
        await run.drain();
        await soon(batch.ack(), 'ack to resolve after the end');
        await run.close();
      },
    ),
    inputCase('ends soon after an abort while it waits for lines', suite, async (source) => {
      const run = await InputRun.open(source, createTestContext());
      await run.ackAll(joinLines(exampleLines()).length);
      const pending = run.nextOrPending();
      run.abort();
      const result = await soon(pending, 'batches to end after the abort');
      assert.equal(result.done, true, 'Expected no more lines than the source has.');
      await run.close();
    }),
  ];
}

function endlessCases(suite: InputSuite): ConformanceCase[] {
  return [
    inputCase('refuses to be opened with once, because it has no end', suite, async (source) => {
      const opened = soon(source.open(createTestContext({ once: true })), 'open to reject');
      await assert.rejects(opened, (error) => pluginErrorKind(error) === 'operator');
    }),
  ];
}

function onceCases(suite: InputSuite): ConformanceCase[] {
  return [
    inputCase('ends by itself with once, when everything was yielded', suite, async (source) => {
      const run = await InputRun.open(source, createTestContext({ ...smallLimits, once: true }));
      const received = await run.ackAll(Number.POSITIVE_INFINITY);
      await run.close();
      assertSameBytes(received, joinLines(exampleLines()));
    }),
  ];
}

function memoryCases(suite: InputSuite): ConformanceCase[] {
  return [
    inputCase('yields nothing again that was acknowledged', suite, async (source) => {
      const state = createMemoryState();
      const first = await InputRun.open(source, createTestContext({ state, once: true }));
      await first.ackAll(Number.POSITIVE_INFINITY);
      await first.close();
      assert.equal((await readAll(source, state)).length, 0, 'Expected no lines in the next run.');
    }),
    inputCase('yields a batch again that was not accepted', suite, async (source) => {
      const state = createMemoryState();
      const run = await InputRun.open(
        source,
        createTestContext({ ...smallLimits, state, once: true }),
      );
      const batch = await expectBatch(run);
      const refused = Buffer.from(batch.bytes);
      await soon(batch.nack(new Error('Refused by the suite.')), 'nack to resolve');
      // What comes after it is accepted, and must not carry the checkpoint past it.
      await run.ackAll(Number.POSITIVE_INFINITY);
      await run.close();
      assertIncludes(await readAll(source, state), refused);
    }),
    inputCase(
      'does not move past an unsettled batch when a later one is acknowledged',
      suite,
      async (source) => {
        const state = createMemoryState();
        const run = await InputRun.open(
          source,
          createTestContext({ ...smallLimits, state, once: true }),
        );
        const unsettled = await expectBatch(run);
        const bytes = Buffer.from(unsettled.bytes);
        const later = await expectBatch(run);
        await soon(later.ack(), 'ack to resolve before that of an earlier batch');
        const killed = createMemoryState(state.entries());
        await unsettled.nack(new Error('The run is over.'));
        await run.stop();
        assertIncludes(await readAll(source, killed), bytes);
      },
    ),
    inputCase('goes on behind what was acknowledged when it was stopped', suite, async (source) => {
      const state = createMemoryState();
      const run = await InputRun.open(source, createTestContext({ ...smallLimits, state }));
      const batch = await expectBatch(run);
      const first = Buffer.from(batch.bytes);
      await soon(batch.ack(), 'ack to resolve');
      await run.stop();
      const rest = await readAll(source, state);
      assertSameBytes(Buffer.concat([first, rest]), joinLines(exampleLines()));
    }),
  ];
}

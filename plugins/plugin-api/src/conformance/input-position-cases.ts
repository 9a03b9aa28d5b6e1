import assert from 'node:assert/strict';
import { pluginErrorKind } from '../plugin-error.js';
import type { PluginState } from '../plugin-state.js';
import type { ConformanceCase } from './conformance-case.js';
import { assertSameBytes, exampleLines, inputCase, joinLines, readAll } from './input-case.js';
import type { InputSuite } from './input-suite.js';
import { createMemoryState } from './memory-state.js';
import { soon } from './time-limit.js';

/** The rules for the positions of an input that does not run; none for an input without them. */
export function positionCases(suite: InputSuite): ConformanceCase[] {
  const positions = suite.positions?.bind(suite);
  if (positions === undefined) return [];
  const onlyPosition = (state: PluginState) => {
    const [position, ...others] = positions(state).list();
    assert.ok(
      position !== undefined && others.length === 0,
      'Expected one position: that of the source.',
    );
    return position;
  };
  const all = joinLines(exampleLines());
  return [
    inputCase('lists how far a source was accepted', suite, async (source) => {
      const state = createMemoryState();
      assert.deepEqual([...positions(state).list()], [], 'Expected no positions before any run.');
      await readAll(source, state);
      const { offset } = onlyPosition(state);
      assert.ok(offset > 0, `Expected a position behind what was accepted, got ${offset}.`);
    }),
    inputCase('begins again with a source that was forgotten', suite, async (source) => {
      const state = createMemoryState();
      await readAll(source, state);
      await soon(positions(state).forget(onlyPosition(state).id), 'forget to resolve');
      assertSameBytes(await readAll(source, state), all);
    }),
    inputCase('goes on from the place that was set', suite, async (source) => {
      const state = createMemoryState();
      await readAll(source, state);
      await soon(positions(state).set(onlyPosition(state).id, 0), 'set to resolve');
      assertSameBytes(await readAll(source, state), all);
    }),
    inputCase('refuses a position of a source that is not there', suite, async (source) => {
      const state = createMemoryState();
      await readAll(source, state);
      const set = soon(positions(state).set('no-such-source', 0), 'set to reject');
      await assert.rejects(set, (error) => pluginErrorKind(error) === 'operator');
    }),
  ];
}

import t from 'tap';
import {
  createMemoryState,
  createTestContext,
  createTestLog,
  inputConformance,
  outputConformance,
} from '../src/conformance/index.js';
import { countNewlines, findLongMessage, PluginError, pluginErrorKind } from '../src/index.js';
import { listSuite } from './support/list-input.js';
import { memorySuite } from './support/memory-target.js';

t.test('an input that keeps the rules passes', async (t) => {
  for (const { name, run } of inputConformance(listSuite())) t.test(name, run);
});

t.test('an input that breaks a rule fails the case that is named for it', async (t) => {
  for (const [fault, name] of [
    ['cuts_lines', 'yields the lines as they are, in batches of whole lines'],
    ['changes_lines', 'yields the lines as they are, in batches of whole lines'],
    ['throws_at_second_close', 'may be closed twice'],
    ['throws_at_second_ack', 'takes a second ack of a batch without an error'],
    ['checkpoints_at_yield', 'yields a batch again that was not accepted'],
    [
      'checkpoints_over_holes',
      'does not move past an unsettled batch when a later one is acknowledged',
    ],
    ['forgets', 'yields nothing again that was acknowledged'],
    ['forgets', 'goes on behind what was acknowledged when it was stopped'],
    ['replays_other_bytes', 'replays exactly the bytes of each range, in their order'],
    ['gives_replayed_again', 'does not give in batches what replay was given'],
    ['forgets_refused_replays', 'gives a replayed batch again that was not accepted'],
    ['places_by_batch', 'names places that do not depend on how the source is cut'],
    ['invents_ids', 'names places that do not depend on how the source is cut'],
    ['explains_nothing', 'explains its sources before, while and after it reads'],
    ['long_range', 'yields the lines as they are, in batches of whole lines'],
    ['bad_key', 'yields the lines as they are, in batches of whole lines'],
    ['lists_nothing', 'lists how far a source was accepted'],
    ['sets_nothing', 'begins again with a source that was forgotten'],
    ['sets_nothing', 'goes on from the place that was set'],
    ['sets_strangers', 'refuses a position of a source that is not there'],
  ] as const) {
    const found = inputConformance(listSuite(fault)).find((each) => each.name === name);
    t.ok(found, name);
    await t.rejects(async () => found?.run(), fault);
  }
});

t.test('the suite refuses flags that exclude each other', async (t) => {
  t.throws(() => inputConformance({ ...listSuite(), endless: true }), TypeError);
  t.throws(() => inputConformance({ ...listSuite(), remembers: false }), TypeError);
});

t.test('an output that keeps the rules passes', async (t) => {
  for (const { name, run } of outputConformance(memorySuite())) t.test(name, run);
});

t.test('an output that breaks a rule fails the case that is named for it', async (t) => {
  for (const [fault, name] of [
    ['keeps_bytes', 'does not need the bytes of a batch once write has resolved'],
    ['resolves_early', 'has every message in the target when write resolves, as it is'],
    ['loses_order', 'has every message in the target when write resolves, as it is'],
    ['throws_at_second_close', 'may be closed twice'],
    ['bears_one_at_a_time', 'bears as many writes at a time as it asks for'],
    ['repeats', 'has a batch once that was written twice, also by a later run'],
    ['knows_bytes_not_places', 'takes the same bytes of another place for other messages'],
    ['takes_bad', 'tells a message that the target will never take'],
    ['blames_others', 'tells a message that the target will never take'],
    ['gives_up', 'fails for now while the target is away, and goes on afterwards'],
    ['ignores_only', 'gives the messages again that `only` names, and no others'],
    ['writes_at_check', 'checks without changing anything'],
    ['checks_nothing', 'checks without changing anything'],
  ] as const) {
    const found = outputConformance(memorySuite(fault)).find((each) => each.name === name);
    t.ok(found, name);
    await t.rejects(async () => found?.run(), fault);
  }
});

t.test('the memory state keeps JSON values and nothing else', async (t) => {
  const state = createMemoryState([['a', { b: [1, null] }]]);
  const value = state.get('a') as { b: unknown[] };
  value.b.push('not kept');
  t.same([...state.entries()], [['a', { b: [1, null] }]]);
  await state.set('c', 'text');
  await state.set('a', undefined);
  t.same([...createMemoryState(state.entries()).entries()], [['c', 'text']]);
  await t.rejects(state.set('d', 1n), TypeError);
});

t.test('the test log keeps entries and tells of them', async (t) => {
  const log = createTestLog();
  const waiting = log.waitFor('Ready.');
  log.debug('Starting.');
  log.info('Ready.', { port: 1 });
  t.same(await waiting, { level: 'info', sentence: 'Ready.', fields: { port: 1 } });
  t.same(await log.waitFor('Starting.'), { level: 'debug', sentence: 'Starting.', fields: {} });
  t.equal(createTestContext({ once: true }).once, true);
});

t.test('the kind of an error does not depend on the copy of its class', async (t) => {
  for (const kind of ['transient', 'operator', 'data', 'closed'] as const) {
    t.equal(pluginErrorKind(new PluginError(kind, 'x')), kind);
    t.equal(pluginErrorKind({ kind }), kind);
  }
  for (const error of [new Error('x'), undefined, null, 'x', { kind: 'other' }]) {
    t.equal(pluginErrorKind(error), 'transient');
  }
  const cause = new Error('below');
  t.equal(new PluginError('data', 'x', { cause }).cause, cause);
});

t.test('a message that is too long is found', async (t) => {
  const find = (text: string) => findLongMessage(Buffer.from(text), 4);
  t.equal(find(''), undefined);
  t.equal(find('abc\n'), undefined);
  t.equal(find('abcd\n'), 0);
  t.equal(find('a\nb\nabc\n\n\nabcd\nefghi\n'), 10);
  t.equal(find('a\nb\nabc\n\n\nabc\n'), undefined);
});

t.test('newlines are counted', async (t) => {
  t.equal(countNewlines(Buffer.from('')), 0);
  t.equal(countNewlines(new TextEncoder().encode('\na\n\nb')), 3);
});

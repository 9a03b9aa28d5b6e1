import t from 'tap';
import { type AckRecords, AckStates } from '../../src/storage/ack-states.js';
import { checkProperty, type SeededRandom } from '../support/seeded-random.js';

const owners = ['node1', 'node2'];
const groups = ['default', 'audit'];

/** A change that a node makes to what it knows, as a user's call or the sight of a gap causes it. */
function changeSome(states: AckStates, random: SeededRandom): void {
  const group = random.pick(groups);
  const owner = random.pick(owners);
  const chunks = Array.from({ length: random.integer(1, 3) }, () => ({
    index: random.integer(0, 30),
    size: 100,
  }));
  const choice = random.integer(0, 9);
  if (choice < 6) states.ack(group, { owner, chunks, floor: 0 });
  else if (choice === 6) states.expire({ owner, chunks, floor: 0 });
  else if (choice === 7) states.remove(group, states.generationOf(group));
  else if (choice === 8) states.register(group, states.generationOf(group) + 1);
  else states.raise(owner, (isAcked) => (isAcked(0) ? 1 : 0));
}

function textOf(states: AckStates): string {
  return JSON.stringify(states.toRecords());
}

function merged(...all: readonly AckRecords[]): AckStates {
  const states = new AckStates();
  for (const records of all) states.merge(records);
  return states;
}

t.test('neither the order nor the repetition of what is merged matters', async (t) => {
  await checkProperty(t, 300, (random) => {
    const nodes = [0, 1, 2].map(() => new AckStates());
    const sent: AckRecords[] = [];
    for (let step = 0; step < 40; step += 1) {
      const states = random.pick(nodes);
      changeSome(states, random);
      sent.push(states.toRecords());
      if (random.fraction() < 0.2) states.merge(random.pick(sent));
    }
    const last = nodes.map((states) => states.toRecords());
    const expected = textOf(merged(...last));
    for (let count = 0; count < 5; count += 1) {
      const shuffled = random.shuffle([...last, ...random.shuffle(sent).slice(0, 10), ...last]);
      const found = textOf(merged(...shuffled));
      if (found !== expected) throw new Error(`${found} instead of ${expected}`);
    }
  });
});

t.test('messages that are lost or late are made up by the last state of each node', async (t) => {
  await checkProperty(t, 300, (random) => {
    const nodes = [0, 1, 2].map(() => new AckStates());
    const underWay: { readonly to: AckStates; readonly records: AckRecords }[] = [];
    for (let step = 0; step < 60; step += 1) {
      const from = random.pick(nodes);
      if (random.fraction() < 0.5) changeSome(from, random);
      for (const to of nodes) underWay.push({ to, records: from.toRecords() });
      const [message] = underWay.splice(random.integer(0, underWay.length - 1), 1);
      if (random.fraction() < 0.5) message?.to.merge(message.records);
    }
    // The links are whole again: each sends its last state to each other, twice, so that it can be carried on.
    for (let round = 0; round < 2; round += 1) {
      for (const from of nodes) for (const to of nodes) to.merge(from.toRecords());
    }
    const texts = new Set(nodes.map(textOf));
    if (texts.size !== 1) throw new Error([...texts].join('\n'));
  });
});

t.test(
  'a group that was removed stays removed for an older word of it, not for a newer one',
  (t) => {
    const states = new AckStates();
    states.register('audit', 1);
    const old = states.toRecords();
    states.remove('audit', 1);
    states.merge(old);
    t.notOk(states.isRegistered('audit'));
    const newer = new AckStates();
    newer.register('audit', 2);
    states.merge(newer.toRecords());
    t.ok(states.isRegistered('audit'));
    t.notOk(states.has('audit', 'node1', 0));
    t.end();
  },
);

import t from 'tap';
import { SeededRandom } from '../../src/common/seeded-random.js';
import { faultNames, planFaults } from '../../src/torture/fault-plan.js';

const options = {
  nodeNames: ['node1', 'node2', 'node3'],
  smallDiskNode: 'node3',
  seconds: 600,
  isSecure: false,
};

await t.test('the same seed plans the same faults, and another one others', (t) => {
  const plan = planFaults(new SeededRandom(1), options);
  t.same(planFaults(new SeededRandom(1), options), plan);
  t.notSame(planFaults(new SeededRandom(2), options), plan);
  t.end();
});

await t.test('every kind has its turn, in order, and ends in time', (t) => {
  const plan = planFaults(new SeededRandom(3), options);
  t.same([...new Set(plan.map(({ kind }) => kind))].sort(), [...faultNames(false)].sort());
  let beforeMs = 0;
  const wrong = plan.filter(({ kind, startMs, endMs, node, other }) => {
    const isInOrder = startMs >= beforeMs && endMs > startMs && endMs <= 600_000;
    beforeMs = startMs;
    return !isInOrder || node === other || (kind === 'fill disk' && node !== 'node3');
  });
  t.same(wrong, []);
  t.end();
});

await t.test('no process is killed, frozen or stopped while something else is done to it', (t) => {
  const plan = planFaults(new SeededRandom(4), options);
  const ofProcess = new Set(['kill', 'kill all', 'restart', 'freeze']);
  const busy = plan.filter(({ kind }) => ofProcess.has(kind));
  const overlaps = busy.flatMap((fault, index) =>
    busy.slice(index + 1).filter((later) => {
      const isAll = fault.kind === 'kill all' || later.kind === 'kill all';
      return (isAll || fault.node === later.node) && later.startMs < fault.endMs;
    }),
  );
  t.ok(busy.length > 50, `${busy.length} faults`);
  t.same(overlaps, []);
  t.end();
});

await t.test('only where nodes ask who calls, tokens and certificates are replaced', (t) => {
  const plan = planFaults(new SeededRandom(5), { ...options, isSecure: true });
  t.same([...new Set(plan.map(({ kind }) => kind))].sort(), [...faultNames(true)].sort());
  const more = faultNames(true).filter((name) => !faultNames(false).includes(name));
  t.same(more, ['rotate tokens', 'renew certificate']);
  const rotations = plan.filter(({ kind }) => kind === 'rotate tokens');
  t.ok(rotations.length > 5, `${rotations.length} rotations`);
  const overlaps = rotations.filter(
    ({ startMs }, index) => startMs < (rotations[index - 1]?.endMs ?? 0),
  );
  t.same(overlaps, []);
  t.end();
});

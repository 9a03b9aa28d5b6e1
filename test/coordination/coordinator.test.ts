import t, { type Test } from 'tap';
import type { Coordinator } from '../../src/coordination/coordinator.js';
import { MemoryCoordinator } from '../../src/coordination/memory-coordinator.js';
import { MemoryTable } from '../../src/coordination/memory-table.js';
import { type EtcdProcess, reasonWithoutEtcd } from '../support/etcd-process.js';
import { FakeClock } from '../support/fake-clock.js';
import {
  openEtcdCoordinator,
  startEtcd,
  startProxy,
  untilSeen,
  valuesOf,
} from '../support/test-coordinators.js';

/** One node's way to the table, which a test can break for good. */
interface Node {
  readonly coordinator: Coordinator;
  /** Cuts it off, so that it is as good as dead. */
  die(): Promise<void>;
}

/** An empty table, for a number of nodes. */
interface World {
  join(): Promise<Node>;
  /** Lets so much time go by that what the dead have held goes; with a real clock it goes by itself. */
  passHoldTime(): void;
}

function createMemoryWorld(): World {
  const clock = new FakeClock();
  const table = new MemoryTable(clock);
  return {
    async join() {
      const coordinator = new MemoryCoordinator(table);
      return { coordinator, die: async () => table.cutOff(coordinator) };
    },
    passHoldTime: () => clock.advance(10_000),
  };
}

/** All worlds are in one etcd, in clusters of different names, which know nothing of each other. */
let clusterCount = 0;

async function createEtcdWorld(t: Test, etcd: EtcdProcess): Promise<World> {
  clusterCount += 1;
  const cluster = `world-${clusterCount}`;
  return {
    async join() {
      const proxy = await startProxy(t, etcd.port);
      const { coordinator } = await openEtcdCoordinator(t, proxy.url, { cluster });
      return { coordinator, die: () => proxy.set({ kind: 'cut' }) };
    },
    passHoldTime: () => undefined,
  };
}

const never = (): boolean => false;

async function testCoordinator(t: Test, createWorld: (t: Test) => Promise<World>): Promise<void> {
  await t.test('an entry is created once', async (t) => {
    const world = await createWorld(t);
    const { coordinator } = await world.join();
    const { answeredMsAgo = Number.POSITIVE_INFINITY, ...status } = coordinator.status;
    t.same(status, { isAvailable: true, problem: undefined, isCurrent: true });
    t.ok(answeredMsAgo < 5_000);
    t.equal(coordinator.get('members/node1'), undefined);
    const first = await coordinator.put('members/node1', 'one', 'absent');
    t.match(first, { done: true, entry: { value: 'one', version: Number } });
    t.same(coordinator.get('members/node1'), first.entry, 'it is in the copy at once');
    const second = await coordinator.put('members/node1', 'two', 'absent');
    t.same(second, { done: false, entry: first.entry });
    t.same(coordinator.get('members/node1'), first.entry);
  });

  await t.test('an entry is changed by who knows its version', async (t) => {
    const world = await createWorld(t);
    const [{ coordinator: left }, { coordinator: right }] = [
      await world.join(),
      await world.join(),
    ];
    const created = await left.put('groups/logs', 'a', 'absent');
    const changed = await right.put('groups/logs', 'b', created.entry?.version ?? 0);
    t.match(changed, { done: true, entry: { value: 'b' } });
    t.ok((changed.entry?.version ?? 0) > (created.entry?.version ?? 0), 'versions rise');
    const late = await left.put('groups/logs', 'c', created.entry?.version ?? 0);
    t.same(late, { done: false, entry: changed.entry });
    t.same(left.get('groups/logs'), changed.entry, 'the loser sees what there is');
    t.same(await left.put('groups/none', 'c', 1), { done: false, entry: undefined });
  });

  await t.test('an entry is removed by who knows its version', async (t) => {
    const world = await createWorld(t);
    const { coordinator } = await world.join();
    const { entry } = await coordinator.put('sizes/a', '1', 'absent');
    const version = entry?.version ?? 0;
    t.same(await coordinator.remove('sizes/a', version + 1), { done: false, entry });
    t.same(await coordinator.remove('sizes/a', version), { done: true, entry: undefined });
    t.equal(coordinator.get('sizes/a'), undefined);
    t.same(await coordinator.remove('sizes/a', version), { done: false, entry: undefined });
    const again = await coordinator.put('sizes/a', '1', 'absent');
    t.ok((again.entry?.version ?? 0) > version, 'a version is not used again');
  });

  await t.test('of twenty that create an entry one wins', async (t) => {
    const world = await createWorld(t);
    const nodes = [await world.join(), await world.join()];
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        nodes[index % 2]?.coordinator.put('race', `value ${index}`, 'absent'),
      ),
    );
    const winner = outcomes.find((outcome) => outcome?.done);
    t.equal(outcomes.filter((outcome) => outcome?.done).length, 1);
    for (const outcome of outcomes) t.same(outcome?.entry, winner?.entry);
    for (const { coordinator } of nodes) t.same(coordinator.get('race'), winner?.entry);
  });

  await t.test('entries are listed by their prefix, in order', async (t) => {
    const world = await createWorld(t);
    const { coordinator } = await world.join();
    for (const key of ['b/2', 'a/1', 'b/10', 'bb/1', 'b/1']) {
      await coordinator.put(key, `value of ${key}`, 'absent');
    }
    const keys = (prefix: string): string[] => coordinator.list(prefix).map(([key]) => key);
    t.same(keys('b/'), ['b/1', 'b/10', 'b/2']);
    t.same(keys(''), ['a/1', 'b/1', 'b/10', 'b/2', 'bb/1']);
    t.same(keys('c/'), []);
    t.same(coordinator.list('a/'), [['a/1', coordinator.get('a/1')]]);
  });

  await t.test('another node sees every change, and is told of it', async (t) => {
    const world = await createWorld(t);
    const [{ coordinator: writer }, { coordinator: reader }] = [
      await world.join(),
      await world.join(),
    ];
    const changeCount = 1_000;
    let noted = 0;
    let highest = -1;
    const following = (async () => {
      while (highest < changeCount - 1) {
        await untilSeen(reader, () => Number(reader.get('counter')?.value ?? -1) > highest);
        const next = Number(reader.get('counter')?.value);
        if (next <= highest) t.fail(`the entry went back from ${highest} to ${next}`);
        highest = next;
        noted += 1;
      }
    })();
    let version: number | 'absent' = 'absent';
    for (let index = 0; index < changeCount; index += 1) {
      const { entry } = await writer.put('counter', String(index), version);
      version = entry?.version ?? 'absent';
      if (index % 10 === 0) await writer.put(`entries/${index}`, 'x', 'absent');
    }
    await following;
    t.ok(noted > 1);
    await untilSeen(reader, () => reader.list('entries/').length === changeCount / 10);
    t.same(reader.list(''), writer.list(''));
  });

  await t.test('what is held goes with its holder', async (t) => {
    const world = await createWorld(t);
    const [holder, other] = [await world.join(), await world.join()];
    const held = await holder.coordinator.hold('alive/node1', 'one', never);
    t.match(held, { done: true, entry: { value: 'one' } });
    await untilSeen(other.coordinator, () => other.coordinator.get('alive/node1') !== undefined);
    const refused = await other.coordinator.hold('alive/node1', 'two', never);
    t.same(refused, { done: false, entry: held.entry }, 'what another holds is refused');
    await holder.die();
    world.passHoldTime();
    await untilSeen(other.coordinator, () => other.coordinator.get('alive/node1') === undefined);
    t.match(await other.coordinator.hold('alive/node1', 'two', never), { done: true });
  });

  await t.test('what is held goes at once when its holder ends', async (t) => {
    const world = await createWorld(t);
    const [holder, other] = [await world.join(), await world.join()];
    await holder.coordinator.hold('alive/node1', 'one', never);
    await holder.coordinator.put('members/node1', 'stays', 'absent');
    await untilSeen(other.coordinator, () => other.coordinator.list('').length === 2);
    await holder.coordinator.close();
    await holder.coordinator.close();
    await untilSeen(other.coordinator, () => other.coordinator.get('alive/node1') === undefined);
    t.same(valuesOf(other.coordinator), { 'members/node1': 'stays' });
    const closed = holder.coordinator.put('late', 'x', 'absent');
    await t.rejects(closed, { code: 'coordination_unavailable', message: /was closed/ });
  });

  await t.test('an entry of its own from before is taken over', async (t) => {
    const world = await createWorld(t);
    const [old, next] = [await world.join(), await world.join()];
    await old.coordinator.hold('alive/node1', 'directory 1, start 1', never);
    await old.die();
    const isOwn = (value: string): boolean => value.startsWith('directory 1,');
    const held = await next.coordinator.hold('alive/node1', 'directory 1, start 2', isOwn);
    t.match(held, { done: true, entry: { value: 'directory 1, start 2' } });
    world.passHoldTime();
    const other = await world.join();
    t.same(valuesOf(other.coordinator), { 'alive/node1': 'directory 1, start 2' });
    t.same(await next.coordinator.hold('alive/node1', 'directory 1, start 2', isOwn), held);
  });

  await t.test('what is held is made anew when it was removed', async (t) => {
    const world = await createWorld(t);
    const [holder, other] = [await world.join(), await world.join()];
    const { entry } = await holder.coordinator.hold('alive/node1', 'one', never);
    t.match(await other.coordinator.remove('alive/node1', entry?.version ?? 0), { done: true });
    await untilSeen(other.coordinator, () => {
      return (other.coordinator.get('alive/node1')?.version ?? 0) > (entry?.version ?? 0);
    });
    t.equal(other.coordinator.get('alive/node1')?.value, 'one');
  });

  await t.test('its holder changes what it holds, and lets go of it', async (t) => {
    const world = await createWorld(t);
    const [holder, other] = [await world.join(), await world.join()];
    const { entry } = await holder.coordinator.hold('alive/node1', 'one', never);
    const changed = await holder.coordinator.put('alive/node1', 'two', entry?.version ?? 0);
    await holder.coordinator.hold('alive/node2', 'one', never);
    const { entry: second } = await holder.coordinator.hold('alive/node3', 'one', never);
    const removed = await holder.coordinator.remove('alive/node3', second?.version ?? 0);
    t.match([changed.done, removed.done], [true, true]);
    await holder.coordinator.put('last', 'x', 'absent');
    await untilSeen(other.coordinator, () => other.coordinator.get('last') !== undefined);
    const expected = { 'alive/node1': 'two', 'alive/node2': 'one', last: 'x' };
    t.same(valuesOf(other.coordinator), expected);
    await holder.die();
    world.passHoldTime();
    await untilSeen(other.coordinator, () => other.coordinator.list('alive/').length === 0);
  });

  await t.test('keys and values that are none are refused', async (t) => {
    const world = await createWorld(t);
    const { coordinator } = await world.join();
    for (const key of ['', '/a', 'a/', 'a//b', 'a b', 'ä', `${'a/'.repeat(600)}a`]) {
      await t.rejects(coordinator.put(key, 'x', 'absent'), RangeError);
      await t.rejects(coordinator.hold(key, 'x', never), RangeError);
      await t.rejects(coordinator.remove(key, 1), RangeError);
    }
    const long = coordinator.put('a', 'ä'.repeat(600_000), 'absent');
    await t.rejects(long, { name: 'RangeError', message: /1200000 bytes, of 1048576/ });
    const value = `${'\u0000ä\n"'.repeat(1_000)}`;
    t.match(await coordinator.put('__proto__', value, 'absent'), { done: true });
    t.equal(coordinator.get('__proto__')?.value, value);
  });

  await t.test('one that is cut off keeps its copy, and its changes fail', async (t) => {
    const world = await createWorld(t);
    const [lost, other] = [await world.join(), await world.join()];
    await lost.coordinator.put('a', '1', 'absent');
    await lost.die();
    const put = lost.coordinator.put('b', '1', 'absent');
    await t.rejects(put, { code: 'coordination_unavailable', message: /^Could not put b in .*\./ });
    await t.rejects(lost.coordinator.hold('c', '1', never), { code: 'coordination_unavailable' });
    await t.rejects(lost.coordinator.remove('a', 1), { code: 'coordination_unavailable' });
    await untilSeen(lost.coordinator, () => !lost.coordinator.status.isAvailable);
    t.match(lost.coordinator.status, { problem: /cut off|cannot be reached/, isCurrent: true });
    await other.coordinator.put('d', '1', 'absent');
    t.same(valuesOf(lost.coordinator), { a: '1' });
    await lost.coordinator.close();
  });
}

await t.test('the table in memory', (t) => testCoordinator(t, async () => createMemoryWorld()));

await t.test('the table in memory catches up when it is healed', async (t) => {
  const clock = new FakeClock();
  const table = new MemoryTable(clock);
  const [left, right] = [new MemoryCoordinator(table), new MemoryCoordinator(table)];
  await left.hold('alive/left', '1', never);
  table.cutOff(left);
  await right.put('a', '1', 'absent');
  clock.advance(9_999);
  t.ok(right.get('alive/left'), 'it is held for 10 s');
  clock.advance(1);
  t.same([valuesOf(left), valuesOf(right)], [{ 'alive/left': '1' }, { a: '1' }]);
  table.heal(left);
  t.same(valuesOf(left), { a: '1', 'alive/left': '1' }, 'what it holds is made anew');
  t.same(left.list(''), right.list(''));
  t.equal(left.status.isAvailable, true);
  t.equal(clock.timerCount, 0);
});

await t.test('the table in etcd', { skip: reasonWithoutEtcd() }, async (t) => {
  const etcd = await startEtcd(t);
  await testCoordinator(t, (t) => createEtcdWorld(t, etcd));
});

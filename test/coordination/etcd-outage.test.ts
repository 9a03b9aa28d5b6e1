import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Coordinator } from '../../src/coordination/coordinator.js';
import { EtcdProcess, reasonWithoutEtcd } from '../support/etcd-process.js';
import { MemorySnapshot } from '../support/memory-snapshot.js';
import {
  openEtcdCoordinator,
  startEtcd,
  startProxy,
  untilSeen,
  valuesOf,
} from '../support/test-coordinators.js';
import { until } from '../support/until.js';

/** What a call may take in all, and what a busy machine adds. */
const callMsMax = 3_000 + 500;

/** What a close may take, and what a busy machine adds. */
const closeMsMax = 1_000 + 300;

/** A timer or a connection that was left behind keeps a process for longer; a busy machine needs some time by itself. */
const endMsMax = 8_000;

/** How soon after etcd is back, or a link is healed, the copy has to be like the table; tries are 1 s apart at most. */
const backMsMax = 4_000;

const never = (): boolean => false;

/** Runs it, and checks how long it took. */
async function within<T>(t: Test, what: string, msMax: number, run: () => Promise<T>): Promise<T> {
  const startedMs = performance.now();
  const result = await run();
  const tookMs = Math.round(performance.now() - startedMs);
  t.ok(tookMs <= msMax, `${what} took ${tookMs} ms, of ${msMax}`);
  return result;
}

/** Checks that a change fails as it should, in its time. */
async function failsInTime(t: Test, coordinator: Coordinator): Promise<void> {
  await within(t, 'a change that fails', callMsMax, () =>
    t.rejects(coordinator.put('late', 'x', 'absent'), { code: 'coordination_unavailable' }),
  );
}

async function untilEqual(t: Test, reader: Coordinator, writer: Coordinator): Promise<void> {
  await within(t, 'catching up', backMsMax, () =>
    untilSeen(reader, () => {
      return JSON.stringify(reader.list('')) === JSON.stringify(writer.list(''));
    }),
  );
}

/** Lets a process of its own hold an entry, does something to etcd, and has the process end. */
async function testEnd(t: Test, harm: (etcd: EtcdProcess) => Promise<void> | void): Promise<void> {
  const etcd = await startEtcd(t);
  const program = join(import.meta.dirname, '..', 'support', 'coordinator-process.js');
  const child = fork(program, [etcd.url], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  t.teardown(() => child.kill('SIGKILL'));
  const output: string[] = [];
  child.stdout?.on('data', (text) => output.push(String(text)));
  child.stderr?.on('data', (text) => output.push(String(text)));
  await once(child, 'message');
  await harm(etcd);
  child.send('close');
  const [{ closeMs }] = (await once(child, 'message')) as [{ closeMs: number }];
  t.ok(closeMs <= closeMsMax, `the close took ${Math.round(closeMs)} ms`);
  await within(t, 'the end of the process', endMsMax, () => once(child, 'exit'));
  t.same(output, [], 'nothing was printed');
  etcd.thaw();
  if (!(await etcd.isHealthy())) await etcd.restart();
  // Where etcd could not be told, the lease ends by itself.
  await until(async () => (await etcd.read('/chukcha/test/members/')).size === 0);
}

/** Each in an etcd of its own, so that they can run side by side: most of their time is waiting. */
const outages: Record<string, (t: Test) => Promise<void>> = {
  'etcd is away at the first start': async (t) => {
    const etcd = await EtcdProcess.prepare();
    t.teardown(() => etcd.close());
    const { coordinator, log } = await within(t, 'opening', callMsMax, () =>
      openEtcdCoordinator(t, etcd.url),
    );
    t.match(coordinator.status, { isAvailable: false, problem: /ECONNREFUSED/, isCurrent: false });
    t.same(coordinator.list(''), []);
    await failsInTime(t, coordinator);
    t.match(log.entries, [{ level: 'warn', sentence: /^etcd cannot be reached/ }]);
    t.equal(log.entries.length, 1, 'it is logged once');
    await etcd.restart();
    await within(t, 'coming back', backMsMax, () =>
      untilSeen(coordinator, () => coordinator.status.isCurrent),
    );
    t.match(await coordinator.put('a', '1', 'absent'), { done: true });
    t.match(log.entries.slice(1), [{ level: 'info', sentence: 'etcd is back.' }]);
    t.equal(log.entries.length, 2);
  },

  'etcd is away at a later start': async (t) => {
    const etcd = await startEtcd(t);
    const first = await openEtcdCoordinator(t, etcd.url);
    await first.coordinator.put('members/node1', '1', 'absent');
    const removed = await first.coordinator.put('members/node2', '1', 'absent');
    await first.coordinator.remove('members/node2', removed.entry?.version ?? 0);
    await first.coordinator.hold('alive/node1', '1', never);
    const entry = first.coordinator.get('members/node1');
    await first.coordinator.close();
    await etcd.stop();

    const options = { openMsMax: 100 };
    const second = await openEtcdCoordinator(t, etcd.url, options, first.snapshot);
    t.match(second.coordinator.status, { isAvailable: false, isCurrent: false });
    t.same(second.coordinator.list(''), [['members/node1', entry]], 'what was held is not in it');
    await etcd.restart();
    await untilSeen(second.coordinator, () => second.coordinator.status.isCurrent);
    t.same(second.coordinator.list(''), [['members/node1', entry]]);
    await second.coordinator.put('members/node1', '2', entry?.version ?? 0);
    await second.coordinator.close();
    t.match(JSON.parse(first.snapshot.text ?? ''), {
      version: 1,
      cluster: 'test',
      entries: { 'members/node1': { value: '2' } },
    });
  },

  'a snapshot that cannot be used counts as none': async (t) => {
    const etcd = await EtcdProcess.prepare();
    t.teardown(() => etcd.close());
    for (const text of [
      '{"version":1,"cl',
      '[]',
      '{"version":2,"cluster":"test","revision":1,"entries":{}}',
      '{"version":1,"cluster":"other","revision":1,"entries":{}}',
      '{"version":1,"cluster":"test","revision":1,"entries":{"a":{"value":1,"version":1}}}',
      '{"version":1,"cluster":"test","revision":"1","entries":{}}',
    ]) {
      const snapshot = new MemorySnapshot();
      snapshot.text = text;
      const options = { openMsMax: 10 };
      const { coordinator, log } = await openEtcdCoordinator(t, etcd.url, options, snapshot);
      t.match(log.entries[0], {
        level: 'error',
        sentence: /^The saved copy of what nodes agree on cannot be used/,
        fields: { reason: /it|JSON/ },
      });
      t.same(coordinator.list(''), []);
      await coordinator.close();
      t.equal(snapshot.text, text, 'it is left for whoever looks into it');
    }
  },

  'many changes are saved together': async (t) => {
    const etcd = await startEtcd(t);
    const { coordinator, snapshot } = await openEtcdCoordinator(t, etcd.url);
    const startedMs = performance.now();
    for (let index = 0; index < 200; index += 1) {
      await coordinator.put(`entries/${index}`, 'x', 'absent');
    }
    await coordinator.close();
    const secondCount = (performance.now() - startedMs) / 1_000;
    t.ok(snapshot.saveCount <= secondCount + 2, `${snapshot.saveCount} saves`);
    const { entries } = JSON.parse(snapshot.text ?? '') as { entries: object };
    t.equal(Object.keys(entries).length, 200);
    t.equal((await etcd.read('/chukcha/test/')).get('/chukcha/test/entries/7'), 'x');
  },

  'etcd is stopped for 3 s': async (t) => {
    const etcd = await startEtcd(t);
    const [reader, writer] = [
      await openEtcdCoordinator(t, etcd.url, { leaseSeconds: 10 }),
      await openEtcdCoordinator(t, etcd.url),
    ];
    await reader.coordinator.hold('alive/node1', '1', never);
    await writer.coordinator.put('a', '1', 'absent');
    await etcd.stop();
    await untilSeen(reader.coordinator, () => !reader.coordinator.status.isAvailable);
    await failsInTime(t, writer.coordinator);
    await delay(3_000);
    await etcd.restart();
    await within(t, 'coming back', backMsMax, () =>
      untilSeen(writer.coordinator, () => writer.coordinator.status.isAvailable),
    );
    await writer.coordinator.put('b', '1', 'absent');
    await untilEqual(t, reader.coordinator, writer.coordinator);
    t.same(valuesOf(reader.coordinator), { a: '1', b: '1', 'alive/node1': '1' });
    const lines = reader.log.entries.map(({ sentence }) => sentence.slice(0, 12));
    t.same(lines, ['etcd cannot ', 'etcd is back'], 'one line for each');
    t.ok(Number(reader.log.entries[1]?.fields['awayMs']) > 3_000);
  },

  'etcd is killed and starts again, and what is held outlives it': async (t) => {
    const etcd = await startEtcd(t);
    const { coordinator } = await openEtcdCoordinator(t, etcd.url);
    await coordinator.put('a', '1', 'absent');
    await coordinator.hold('alive/node1', '1', never);
    await etcd.kill();
    // Longer than the lease, so that a new one is needed; the old entry is there again at first.
    await delay(2_500);
    await etcd.restart();
    await within(t, 'coming back', backMsMax, () =>
      untilSeen(coordinator, () => coordinator.status.isAvailable),
    );
    await delay(2_000);
    t.same(valuesOf(coordinator), { a: '1', 'alive/node1': '1' });
    const stored = await etcd.read('/chukcha/test/');
    t.same([...stored.keys()], ['/chukcha/test/a', '/chukcha/test/alive/node1']);
  },

  'a silence of etcd is told before anything is decided by it': async (t) => {
    const etcd = await startEtcd(t);
    const { coordinator } = await openEtcdCoordinator(t, etcd.url);
    await coordinator.hold('alive/node1', '1', never);
    const silenceMs = (): number => coordinator.status.answeredMsAgo ?? Number.POSITIVE_INFINITY;
    for (let count = 0; count < 20; count += 1) {
      t.ok(silenceMs() < 1_200, `answered ${Math.round(silenceMs())} ms ago`);
      await delay(100);
    }
    // Longer than a question that is asked twice a second, shorter than any call may take.
    for (let round = 0; round < 3; round += 1) {
      etcd.freeze();
      await untilSeen(coordinator, () => silenceMs() > 1_000);
      t.ok(coordinator.status.isAvailable, 'it is silent, and not called away');
      etcd.thaw();
      await untilSeen(coordinator, () => silenceMs() < 500);
    }
    t.ok(coordinator.status.isAvailable);
    t.match(await coordinator.put('a', '1', 'absent'), { done: true }, 'the connection is whole');
    await etcd.kill();
    await untilSeen(coordinator, () => !coordinator.status.isAvailable);
    await etcd.restart();
    await untilSeen(coordinator, () => coordinator.status.isAvailable && silenceMs() < 1_000);
  },

  'etcd stands still for 5 s': async (t) => {
    const etcd = await startEtcd(t);
    const [reader, writer] = [
      await openEtcdCoordinator(t, etcd.url),
      await openEtcdCoordinator(t, etcd.url),
    ];
    await reader.coordinator.hold('alive/node1', '1', never);
    etcd.freeze();
    const frozen = delay(5_000);
    await Promise.all([
      failsInTime(t, writer.coordinator),
      failsInTime(t, reader.coordinator),
      within(t, 'a hold that fails', callMsMax, () =>
        t.rejects(writer.coordinator.hold('alive/node2', '1', never), {
          code: 'coordination_unavailable',
        }),
      ),
    ]);
    t.same(valuesOf(reader.coordinator), { 'alive/node1': '1' });
    await frozen;
    etcd.thaw();
    await within(t, 'coming back', backMsMax, () =>
      untilSeen(writer.coordinator, () => writer.coordinator.status.isAvailable),
    );
    await writer.coordinator.put('b', '1', 'absent');
    await until(async () => (await etcd.read('/chukcha/test/')).size >= 2);
    await untilEqual(t, reader.coordinator, writer.coordinator);
    await untilSeen(writer.coordinator, () => {
      const { b, 'alive/node1': held } = valuesOf(writer.coordinator);
      return b === '1' && held === '1';
    });
  },

  'etcd has lost its data': async (t) => {
    const etcd = await startEtcd(t);
    const { coordinator, log } = await openEtcdCoordinator(t, etcd.url);
    for (let index = 0; index < 20; index += 1) {
      await coordinator.put(`entries/${index}`, 'old', 'absent');
    }
    await coordinator.hold('alive/node1', '1', never);
    await etcd.kill();
    await etcd.wipe();
    await etcd.restart();
    const other = await openEtcdCoordinator(t, etcd.url);
    await other.coordinator.put('entries/1', 'new', 'absent');
    await within(t, 'seeing it', backMsMax, () =>
      untilSeen(coordinator, () => {
        const values = valuesOf(coordinator);
        return values['entries/1'] === 'new' && Object.keys(values).length === 2;
      }),
    );
    t.same(valuesOf(coordinator), { 'entries/1': 'new', 'alive/node1': '1' });
    t.ok(log.entries.some(({ sentence }) => /^The data of etcd is older/.test(sentence)));
    for (let index = 0; index < 10; index += 1) {
      await other.coordinator.put(`later/${index}`, 'x', 'absent');
    }
    await untilEqual(t, coordinator, other.coordinator);
  },

  'changes are compacted while the link is cut': async (t) => {
    const etcd = await startEtcd(t);
    const proxy = await startProxy(t, etcd.port);
    const reader = await openEtcdCoordinator(t, proxy.url);
    const writer = await openEtcdCoordinator(t, etcd.url);
    const { entry } = await writer.coordinator.put('gone', '1', 'absent');
    await untilSeen(reader.coordinator, () => reader.coordinator.get('gone') !== undefined);
    await proxy.set({ kind: 'cut' });
    await untilSeen(reader.coordinator, () => !reader.coordinator.status.isAvailable);
    await writer.coordinator.remove('gone', entry?.version ?? 0);
    for (let index = 0; index < 50; index += 1) {
      await writer.coordinator.put(`entries/${index}`, 'x', 'absent');
    }
    await etcd.compact();
    await proxy.set({ kind: 'pass' });
    await untilEqual(t, reader.coordinator, writer.coordinator);
    t.equal(reader.coordinator.get('gone'), undefined);
    await writer.coordinator.put('after', 'x', 'absent');
    await untilEqual(t, reader.coordinator, writer.coordinator);
  },

  'no change is missed when the link is cut in the middle of 5,000': async (t) => {
    const etcd = await startEtcd(t);
    const proxy = await startProxy(t, etcd.port);
    const reader = await openEtcdCoordinator(t, proxy.url);
    const root = '/chukcha/test/';
    const changeCount = 5_000;
    const changesPerWrite = 10;
    const breaks: Promise<void>[] = [];
    const cutAt = [500, 1_500, 2_500, 3_500];
    for (let done = 0; done < changeCount; done += changesPerWrite) {
      if (cutAt.includes(done)) {
        proxy.breakConnections();
        // Again when it has connected and not yet caught up.
        breaks.push(until(() => proxy.connectionCount > 1).then(() => proxy.breakConnections()));
      }
      // Old entries change and go too, so that a copy with all that was made is not enough.
      const entries = Array.from({ length: changesPerWrite - 2 }, (_, index) => {
        return [`${root}entries/${done + index}`, 'x'] as const;
      });
      await etcd.write([
        ...entries,
        [`${root}counters/${done % 7}`, String(done)],
        [`${root}entries/${done - 5 * changesPerWrite}`, undefined],
      ]);
    }
    await Promise.all(breaks);
    const stored = await etcd.read(root);
    const expected = Object.fromEntries(
      [...stored].map(([key, value]) => [key.slice(root.length), value]),
    );
    await within(t, 'catching up', backMsMax, () =>
      untilSeen(reader.coordinator, () => {
        return JSON.stringify(valuesOf(reader.coordinator)) === JSON.stringify(expected);
      }),
    );
    t.equal(reader.coordinator.list('entries/').length, 4_000 - 495);
  },

  'a link that hangs or loses the answers': async (t) => {
    const etcd = await startEtcd(t);
    const proxy = await startProxy(t, etcd.port);
    const { coordinator } = await openEtcdCoordinator(t, proxy.url);
    const direct = await openEtcdCoordinator(t, etcd.url);
    await proxy.set({ kind: 'drop', direction: 'fromTarget' });
    const lost = coordinator.put('lost', 'x', 'absent');
    await within(t, 'a change of which no answer comes', callMsMax, () =>
      t.rejects(lost, { code: 'coordination_unavailable', message: /may have been done/ }),
    );
    await untilSeen(direct.coordinator, () => direct.coordinator.get('lost') !== undefined);
    await proxy.set({ kind: 'pass' });
    await untilEqual(t, coordinator, direct.coordinator);
    t.equal(coordinator.get('lost')?.value, 'x', 'the copy shows that it was made');
    await proxy.set({ kind: 'hang' });
    await failsInTime(t, coordinator);
    await direct.coordinator.put('b', '1', 'absent');
    await proxy.set({ kind: 'delay', delayMs: 50 });
    await untilEqual(t, coordinator, direct.coordinator);
    t.match(await coordinator.put('c', '1', 'absent'), { done: true });
  },

  'of several hosts one that works is used': async (t) => {
    const etcd = await startEtcd(t);
    const dead = await startProxy(t, etcd.port);
    await dead.set({ kind: 'cut' });
    const proxy = await startProxy(t, etcd.port);
    const hosts = [dead.url, proxy.url, etcd.url];
    for (let round = 0; round < 3; round += 1) {
      const { coordinator } = await openEtcdCoordinator(t, hosts);
      t.equal(coordinator.status.isCurrent, true);
      t.match(await coordinator.put(`a/${round}`, '1', 'absent'), { done: true });
      await proxy.set({ kind: 'cut' });
      t.match(await coordinator.put(`b/${round}`, '1', 'absent').catch(() => ({ done: true })), {
        done: true,
      });
      await untilSeen(coordinator, () => coordinator.status.isAvailable);
      await proxy.set({ kind: 'pass' });
      await coordinator.close();
    }
  },

  'the process ends after a close while etcd is there': (t) => testEnd(t, () => undefined),

  'the process ends after a close while etcd stands still': (t) =>
    testEnd(t, (etcd) => etcd.freeze()),

  'the process ends after a close while calls have failed': (t) =>
    testEnd(t, async (etcd) => {
      etcd.freeze();
      await delay(2_500);
    }),

  'the process ends after a close while etcd is gone': (t) => testEnd(t, (etcd) => etcd.kill()),
};

await t.test('the table in an etcd that fails', { skip: reasonWithoutEtcd() }, async (t) => {
  t.jobs = 4;
  const tests = Object.entries(outages).map(([name, run]) => t.test(name, { buffered: true }, run));
  await Promise.all(tests);
});

import t from 'tap';
import { systemRandom } from '../../src/common/random.js';
import { ChangeSignal } from '../../src/common/wait.js';
import { EtcdLink } from '../../src/coordination/etcd-link.js';
import {
  EtcdFailure,
  type EtcdMember,
  noLease,
  type TableEvent,
  type TableList,
} from '../../src/coordination/etcd-port.js';
import { TableCopy } from '../../src/coordination/table-copy.js';
import { TableMirror } from '../../src/coordination/table-mirror.js';
import { FakeClock } from '../support/fake-clock.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { until } from '../support/until.js';

const reconcileIntervalMs = 30_000;

/** A member whose watch tells only what the test has it tell. */
class DeafMember implements EtcdMember {
  readonly host = 'http://deaf:2379';
  static table: TableList = { revision: 1, entries: new Map() };
  static readonly follows: number[] = [];
  static listCount = 0;
  tell: (events: readonly TableEvent[]) => void = () => undefined;
  #end: (failure: EtcdFailure) => void = () => undefined;

  static put(key: string, value: string): TableEvent {
    const revision = DeafMember.table.revision + 1;
    const entry = { value, version: revision, leaseId: noLease };
    const entries = new Map(DeafMember.table.entries).set(key, entry);
    DeafMember.table = { revision, entries };
    return { key, entry, revision };
  }

  async ask(): Promise<void> {}

  async list(): Promise<TableList> {
    DeafMember.listCount += 1;
    return DeafMember.table;
  }

  follow(
    afterRevision: number,
    _limitMs: number,
    onStarted: () => void,
    onEvents: (events: readonly TableEvent[]) => void,
  ): Promise<never> {
    DeafMember.follows.push(afterRevision);
    this.tell = onEvents;
    onStarted();
    return new Promise((_, reject) => {
      this.#end = reject;
    });
  }

  async change(): Promise<never> {
    throw new EtcdFailure('refused', 'nothing is changed here');
  }

  async grantLease(): Promise<string> {
    return '1';
  }

  async keepLease(): Promise<void> {}

  async revokeLease(): Promise<void> {}

  close(): void {
    this.#end(new EtcdFailure('unreachable', 'the member was closed'));
  }
}

t.test('a watch that tells nothing is noticed by the list, and begun anew', async (t) => {
  const clock = new FakeClock();
  const changed = new ChangeSignal();
  const log = new RecordingLogger();
  const copy = new TableCopy();
  const members: DeafMember[] = [];
  const connect = (): DeafMember => {
    const member = new DeafMember();
    members.push(member);
    return member;
  };
  const ports = { clock, random: systemRandom, log, changed };
  const link = new EtcdLink(
    { hosts: ['http://deaf:2379'], callMsMax: 1_500, triesMsMax: 3_000 },
    { ...ports, connect },
  );
  const mirror = new TableMirror(
    { callMsMax: 1_500, reconcileIntervalMs },
    { ...ports, copy, link },
  );
  mirror.start();
  await mirror.firstList;
  await until(() => DeafMember.follows.length === 1);

  DeafMember.put('a', '1');
  t.same(copy.list(''), []);
  clock.advance(reconcileIntervalMs);
  await until(() => copy.get('a') !== undefined);
  t.same(DeafMember.follows, [1], 'the watch may only be late');
  await until(() => clock.timerCount === 1);
  clock.advance(reconcileIntervalMs);
  await until(() => log.entries.length === 1);
  t.match(log.entries, [{ level: 'warn', sentence: /^The watch of etcd has told nothing/ }]);
  await until(() => clock.timerCount === 1);
  clock.advance(1_000);
  await until(() => DeafMember.follows.length === 2);
  t.same([DeafMember.follows, members.length], [[1, 2], 2]);

  const event = DeafMember.put('b', '1');
  members[1]?.tell([event]);
  t.equal(copy.get('b')?.value, '1');
  for (let round = 0; round < 3; round += 1) {
    const { listCount } = DeafMember;
    clock.advance(reconcileIntervalMs);
    await until(() => DeafMember.listCount === listCount + 1 && clock.timerCount === 1);
  }
  t.equal(members.length, 2, 'a watch that tells is kept');
  link.close();
  await mirror.close();
  t.equal(clock.timerCount, 0);
  t.equal(log.entries.length, 1);
});

import t from 'tap';
import { PositionBoard } from '../../src/replication/position-board.js';
import { ReplicationLag } from '../../src/replication/replication-lag.js';
import { FakeClock } from '../support/fake-clock.js';
import { testDirectory } from '../support/test-directory.js';
import { append, openStore } from '../support/test-store.js';

const timeoutMs = 10_000;

/** A board, and what the batches that wait there were told, in order. */
function startBoard(peers: readonly string[]) {
  const clock = new FakeClock();
  const board = new PositionBoard(clock, timeoutMs);
  for (const peer of peers) board.connect(peer, new Map());
  const told: string[] = [];
  const wait = (name: string, offset: number, replicaCount: number, isDurable = false): void => {
    board.wait({
      category: 'logs',
      end: { index: 0, offset },
      replicaCount,
      isDurable,
      confirmed: () => told.push(`${name} confirmed`),
      overdue: (count) => told.push(`${name} overdue with ${count}`),
    });
  };
  const pass = (milliseconds: number): void => {
    clock.advance(milliseconds);
    board.expire(clock.monotonicMs());
  };
  return { board, told, wait, pass };
}

t.test('batches are confirmed when enough peers have them, in order', (t) => {
  const { board, told, wait } = startBoard(['b', 'c']);
  wait('first', 10, 1);
  wait('second', 20, 1);
  wait('both', 20, 2);
  board.update('b', 'logs', { written: { index: 0, offset: 15 } });
  t.same(told, ['first confirmed']);
  board.update('b', 'logs', { written: { index: 0, offset: 25 } });
  t.same(told, ['first confirmed', 'second confirmed']);
  board.update('c', 'logs', { written: { index: 1, offset: 5 } });
  t.same(told.at(-1), 'both confirmed', 'a later chunk is behind all of an earlier one');
  wait('at once', 25, 1);
  t.same(told.at(-1), 'at once confirmed');
  t.end();
});

t.test('what has to be durable waits for that', (t) => {
  const { board, told, wait } = startBoard(['b']);
  t.notOk(board.wantsDurable('logs'));
  const end = board.wantDurable('logs');
  t.ok(board.wantsDurable('logs'));
  wait('durable', 10, 1, true);
  board.update('b', 'logs', { written: { index: 0, offset: 10 } });
  t.same(told, []);
  board.update('b', 'logs', { durable: { index: 0, offset: 10 } });
  t.same(told, ['durable confirmed']);
  end();
  t.notOk(board.wantsDurable('logs'));
  t.end();
});

t.test('the time of a batch is over when it is over, and soon when too few peers are left', (t) => {
  const { board, told, wait, pass } = startBoard(['b', 'c']);
  wait('one', 10, 1);
  wait('two', 10, 2);
  board.disconnect('c');
  pass(999);
  t.same(told, []);
  pass(1);
  t.same(told, ['two overdue with 0'], 'the one that b can still confirm waits on');
  pass(timeoutMs - 1_000);
  t.same(told, ['two overdue with 0', 'one overdue with 0']);
  t.end();
});

t.test('a peer that comes back counts with what it says that it has', (t) => {
  const { board, told, wait } = startBoard(['b']);
  board.update('b', 'logs', { written: { index: 3, offset: 100 } });
  board.disconnect('b');
  board.connect('b', new Map([['logs', { index: 3, offset: 50 }]]));
  t.same(board.position('b', 'logs')?.written, { index: 3, offset: 50 });
  wait('lost there', 10, 1);
  t.same(told, ['lost there confirmed']);
  board.close();
  t.same(board.peers, []);
  t.end();
});

t.test('what peers lack is counted from their positions, by category and as a whole', async (t) => {
  const store = await openStore({ directory: testDirectory(t) });
  t.teardown(() => store.close());
  const board = new PositionBoard(new FakeClock(), timeoutMs);
  const lag = new ReplicationLag({ store, board });
  const logs = await store.category('logs');
  await logs.registerGroup('readers');
  const first = await append(logs, 'first\n');
  await logs.seal();
  await append(logs, 'second\n');
  await logs.seal();
  await append(logs, 'third\n');
  await append(await store.category('other'), 'x\n');
  t.equal(lag.bytesHereOnly, 21, 'with no peer everything is here only');
  t.match(lag.byCategory(), [{ bytesHereOnly: 19, behind: [] }, { bytesHereOnly: 2 }]);

  board.connect('b', new Map([['logs', { index: 1, offset: 3 }]]));
  board.connect('c', new Map([['other', { index: 0, offset: 2 }]]));
  t.equal(lag.bytesBehind('b'), 4 + 6 + 2);
  t.equal(lag.bytesBehind('c'), 19);
  t.equal(lag.bytesHereOnly, 10, 'each byte that somebody has is not only here');
  const of = (category: string, bytesHereOnly: number, b: number, c: number) => ({
    category,
    bytesHereOnly,
    behind: [
      { peer: 'b', bytes: b },
      { peer: 'c', bytes: c },
    ],
  });
  t.same(lag.byCategory(), [of('logs', 10, 10, 19), of('other', 0, 2, 0)]);

  await logs.ack(first.chunk, 6, 'readers');
  t.equal(lag.bytesBehind('c'), 13, 'nobody needs what is acknowledged');
  board.update('c', 'logs', { written: { index: 2, offset: 6 } });
  t.same(lag.byCategory()[0], of('logs', 0, 10, 0));
  board.update('c', 'logs', { written: { index: 2, offset: 60 } });
  t.equal(lag.bytesBehind('c'), 0, 'a peer may have what this node has lost');
  board.update('c', 'logs', { written: { index: 3, offset: 0 } });
  t.equal(lag.bytesBehind('c'), 0, 'a peer may know of more than is here');
  board.disconnect('c');
  t.same(lag.byCategory()[0], { ...of('logs', 10, 10, 0), behind: [{ peer: 'b', bytes: 10 }] });
});

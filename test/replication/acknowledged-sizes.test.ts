import t, { type Test } from 'tap';
import { systemClock } from '../../src/common/clock.js';
import { frameHeadBytes, readFrameHead } from '../../src/protocol/frames.js';
import type { AcksMessage } from '../../src/protocol/replication.js';
import { AckIntake } from '../../src/replication/ack-intake.js';
import { NewsFeed } from '../../src/replication/news-feed.js';
import { type AckedSize, AckedSizes, ackedSizeCountMax } from '../../src/storage/acked-sizes.js';
import type { Category } from '../../src/storage/category.js';
import type { ForeignAcks } from '../../src/storage/group-book.js';
import { OpenFiles } from '../../src/storage/open-files.js';
import { silentListener } from '../../src/storage/store-listener.js';
import { FaultDisk } from '../support/fault-disk.js';
import { MemoryNetwork } from '../support/memory-network.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { testDirectory } from '../support/test-directory.js';
import { startReplica, type TestReplica } from '../support/test-replica.js';
import { append, openStore } from '../support/test-store.js';
import { until } from '../support/until.js';

/** What a peer says when a group has acknowledged the first chunks of node a, with the sizes of some. */
function acksOf(group: string, upTo: number, sizes: readonly AckedSize[]): ForeignAcks {
  const acked = { a: { upTo, extra: [] } };
  return { records: { groups: { [group]: { generation: 1, acked } }, expired: {} }, sizes };
}

/** A node that has half a chunk of another one, which is away. */
async function withHalfChunk(t: Test): Promise<{ b: TestReplica; category: Category }> {
  const directory = testDirectory(t);
  const network = new MemoryNetwork();
  const names = ['a', 'b'];
  const [a, b] = await Promise.all(
    names.map((name) => startReplica({ name, names, network, directory: `${directory}/${name}` })),
  );
  if (a === undefined || b === undefined) throw new Error('two were started');
  t.teardown(() => b.close());
  await append(await a.store.category('logs'), 'read and acknowledged\n');
  await until(() => (b.store.openCategory('logs')?.view.held().bytes ?? 0) > 0);
  await a.kill();
  return { b, category: await b.store.category('logs') };
}

await t.test(
  'an unfinished copy goes with its acknowledgement, however fast all know the size',
  async (t) => {
    const { b, category } = await withHalfChunk(t);
    b.store.listen({
      ...silentListener,
      // All peers have said that they know the sizes, before anything was removed.
      acksChanged: (changed) => changed.forgetAckedSizes(Number.MAX_SAFE_INTEGER),
    });
    await category.mergeAcks(acksOf('readers', 0, [['a', 0, 22]]));
    t.same(category.view.chunks, [], 'the copy is gone, and nothing of it was stored again');
    category.forgetAckedSizes(Number.MAX_SAFE_INTEGER);
    t.equal(category.acks.sizes.find('a', 0), undefined, 'nobody needs the size any more');
    let changeCount = 0;
    b.store.listen({
      ...silentListener,
      acksChanged: () => {
        changeCount += 1;
      },
    });
    await category.mergeAcks(acksOf('readers', 0, [['a', 0, 22]]));
    t.equal(changeCount, 0, 'and nobody is told of it again because a peer still tells it');
  },
);

await t.test('a size stays known until the last group has acknowledged', async (t) => {
  const { category } = await withHalfChunk(t);
  await category.registerGroup('slow');
  await category.mergeAcks(acksOf('fast', 0, [['a', 0, 22]]));
  category.forgetAckedSizes(Number.MAX_SAFE_INTEGER);
  // Who tells of the second one takes the size for known.
  await category.mergeAcks(acksOf('slow', 0, []));
  t.same(category.view.chunks, [], 'the copy is gone, and nothing of it was stored again');
});

await t.test(
  'sizes of acknowledgements that could not be recorded come with later ones',
  async (t) => {
    const disk = new FaultDisk();
    const store = await openStore({ directory: testDirectory(t), disk });
    const category = await store.category('logs');
    const taken: number[] = [];
    const parts = { peer: 'a', store, log: new RecordingLogger() };
    const intake = new AckIntake(parts, (_, next) => taken.push(next));
    const payload = (sizes: readonly AckedSize[], next: number): Buffer => {
      const { records } = acksOf('readers', next - 1, []);
      return Buffer.from(JSON.stringify({ category: 'logs', ...records, sizes, next }));
    };
    const held = disk.hold('rename', /groups\.json/);
    disk.inject({ operation: 'rename', path: /groups\.json/, code: 'ENOSPC', times: 2 });
    intake.take(payload([['a', 0, 10]], 1));
    await held.reached;
    intake.take(payload([['a', 1, 20]], 2));
    held.release();
    await intake.settle();
    disk.heal();
    intake.retry();
    await intake.settle();
    t.same(taken, [2], 'nothing was said to be known before all was');
    t.same(
      [0, 1].map((index) => category.acks.sizes.find('a', index)),
      [10, 20],
    );
    await store.close();
  },
);

await t.test('a peer hears of many sizes before it hears of what is acknowledged', async (t) => {
  const store = await openStore({ directory: testDirectory(t) });
  const category = await store.category('logs');
  const sizes = Array.from({ length: 2_500 }, (_, index): AckedSize => ['a', index, 10]);
  await category.mergeAcks(acksOf('readers', 2_499, sizes));
  const messages: AcksMessage[] = [];
  const log = new RecordingLogger();
  const files = new OpenFiles({ disk: store.disk, clock: systemClock });
  const feed = new NewsFeed({ nodeName: 'b', store, files, clock: systemClock, log }, (frame) => {
    const { nameBytes } = readFrameHead(frame, 0);
    messages.push(JSON.parse(frame.subarray(frameHeadBytes + nameBytes).toString()));
  });
  feed.acksChanged(category);
  while (feed.sendNext());
  t.same(
    messages.map((message) => [
      (message.sizes as unknown[]).length,
      message.next,
      Object.keys(message.groups as object),
    ]),
    [
      [1_000, 1_000, []],
      [1_000, 2_000, []],
      [500, 2_500, ['readers']],
    ],
  );
  await store.close();
});

await t.test('of more sizes than are kept, the oldest and the newest are', async (t) => {
  const sizes = new AckedSizes();
  const count = 3 * ackedSizeCountMax;
  for (let index = 0; index < count; index += 1) sizes.add(['a', index, 10]);
  const kept = sizes.since(0).map(([, index]) => index);
  const half = ackedSizeCountMax / 2;
  const numbers = Array.from({ length: half }, (_, index) => index);
  t.same(kept, [...numbers, ...numbers.map((index) => count - half + index)]);
  t.equal(sizes.find('a', half - 1), 10);
  t.equal(sizes.find('a', half), undefined);
  t.ok(sizes.add(['a', half, 10]), 'one that was forgotten may come back');
  t.equal(
    sizes.page(half, 1).sizes[0]?.[1],
    count - half + 1,
    'peers are told those that are left',
  );
  t.equal(sizes.nextNumber, count + 1);
});

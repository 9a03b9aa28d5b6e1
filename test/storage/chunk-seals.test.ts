import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import t from 'tap';
import { FakeClock } from '../support/fake-clock.js';
import { type Fault, FaultDisk } from '../support/fault-disk.js';
import { batch, batches, type Left, leave, leftChunk, startAgain } from '../support/left-chunk.js';
import { append, chunkFiles, openStore } from '../support/test-store.js';

await t.test('a start tells which sealed chunks somebody has taken away', async (t) => {
  const left = await leave(t, 'stopped');
  await rename(left.path, `${left.directory}/elsewhere`);
  const { log, store, shown } = await startAgain(t, left);
  t.same(shown, {});
  t.match(log.entries, [
    { level: 'error', fields: { category: 'logs', chunk: leftChunk, index: left.indexPath } },
  ]);
  await store.close();
  await rename(`${left.directory}/elsewhere`, left.path);
  const { log: calm, shown: again } = await startAgain(t, left);
  t.same(again, { [leftChunk]: batches(0, 6) }, 'and takes it again when it is put back');
  t.same(calm.entries, []);
});

await t.test('a seal is written at rotation, at a stop and at recovery', async (t) => {
  const directory = t.testdir();
  const clock = new FakeClock();
  const disk = new FaultDisk();
  const store = await openStore({ directory, clock, disk, chunkBytesMax: 10 });
  const category = await store.category('logs');
  const sealOf = async (index: number): Promise<string | undefined> => {
    const name = `node1-chunk00000000${index}.batches`;
    const lines = await readFile(`${directory}/.chukcha/logs/chunks/${name}`, 'latin1');
    return /^sealed (\d+) .*$/m.exec(lines)?.[1];
  };
  for (let index = 0; index < 3; index += 1) await append(category, batch(index));
  t.equal(await sealOf(0), undefined, 'not before the chunk is durable');
  const closing = [0, 1].map((index) => disk.hold('close', new RegExp(`chunk00000000${index}$`)));
  clock.advance(1_000);
  for (const closed of closing) {
    await closed.reached;
    closed.release();
  }
  t.same([await sealOf(0), await sealOf(1), await sealOf(2)], ['10', '10', undefined]);
  const next = await openStore({ directory });
  t.equal(await sealOf(2), '10', 'a recovery seals what a kill left open');
  const { chunk } = await append(await next.category('logs'), batch(3));
  await next.close();
  t.match(await readFile(`${directory}/.chukcha/logs/chunks/${chunk}.batches`, 'latin1'), /sealed/);
});

await t.test('an empty chunk that a failed write left is gone with the next start', async (t) => {
  const directory = t.testdir();
  const disk = new FaultDisk();
  const store = await openStore({ directory, disk });
  disk.inject({ operation: 'write', path: /chunk\d{9}$/, code: 'ENOSPC' });
  await t.rejects(append(await store.category('logs'), 'a\n'), { code: 'disk_full' });
  await store.close();
  const again = await openStore({ directory });
  t.same((await again.category('logs')).view.list('default'), []);
  t.same(await chunkFiles(directory, 'logs'), []);
  await again.close();
});

await t.test('a full disk is no obstacle for a start, nor for a stop', async (t) => {
  const faults: readonly Fault[] = [
    { operation: 'write', code: 'ENOSPC', times: 99 },
    { operation: 'write', takeBytes: 5, times: 1 },
    { operation: 'createFile', code: 'ENOSPC', times: 99 },
  ];
  for (const fault of faults) {
    for (const isMissing of [false, true]) {
      const left = await leave(t, 'killed');
      if (isMissing) await rm(left.indexPath);
      const disk = new FaultDisk();
      disk.inject(fault);
      const { store, shown } = await startAgain(t, left, disk);
      t.same(shown, { [leftChunk]: batches(0, 6) });
      await store.close();
      const { shown: later } = await startAgain(t, left);
      t.same(later, { [leftChunk]: batches(0, 6) }, 'and the start after it reads the same');
    }
  }
});

await t.test('a seal that finds no room is left to the next start', async (t) => {
  const left: Left = { directory: t.testdir(), path: '', indexPath: '' };
  await mkdir(left.directory, { recursive: true });
  const disk = new FaultDisk();
  const store = await openStore({ directory: left.directory, disk });
  await append(await store.category('logs'), batch(0));
  disk.inject({ operation: 'write', path: /batches$/, takeBytes: 9 });
  disk.inject({ operation: 'write', path: /batches$/, code: 'ENOSPC' });
  await store.close();
  const index = `${left.directory}/.chukcha/logs/chunks/${leftChunk}.batches`;
  t.notMatch(await readFile(index, 'latin1'), /seal/, 'and nothing of it');
  const { shown } = await startAgain(t, left);
  t.same(shown, { [leftChunk]: batch(0) });
  t.match(await readFile(index, 'latin1'), /sealed 10/);
});

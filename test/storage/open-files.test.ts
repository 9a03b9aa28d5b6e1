import t, { type Test } from 'tap';
import { Chunk } from '../../src/storage/chunk.js';
import type { Disk } from '../../src/storage/disk.js';
import { nodeDisk } from '../../src/storage/node-disk.js';
import { OpenFiles } from '../../src/storage/open-files.js';
import { FakeClock } from '../support/fake-clock.js';
import { FaultDisk } from '../support/fault-disk.js';
import { until } from '../support/until.js';

interface Setting {
  readonly disk: FaultDisk;
  readonly files: OpenFiles;
  readonly chunks: readonly Chunk[];
}

/** Five chunks, each with its index as its only line, and room for three files. */
function setUp(t: Test): Setting {
  const content = Array.from({ length: 5 }, (_, index) => [
    `node1-chunk00000000${index}`,
    `${index}\n`,
  ]);
  const directory = t.testdir(Object.fromEntries(content));
  const disk = new FaultDisk();
  const chunks = content.map((_, index) =>
    Chunk.sealed(
      { owner: 'node1', index },
      { directory, indexDirectory: directory },
      { size: 2, crc: 0, sealedAtMs: 0 },
    ),
  );
  return { disk, chunks, files: new OpenFiles({ disk, clock: new FakeClock() }, 3) };
}

async function readAll({ files }: Setting, chunk: Chunk): Promise<string> {
  const file = await files.acquire(chunk);
  try {
    const buffer = Buffer.alloc(10);
    return buffer.toString('latin1', 0, await file.read(buffer, 0));
  } finally {
    files.release(file);
  }
}

function openCount({ disk }: Setting): number {
  return disk.count('openFile') - disk.count('close');
}

await t.test('a file stays open between reads, and the one used last the longest', async (t) => {
  const setting = setUp(t);
  const { disk, chunks, files } = setting;
  const [a, b, c, d] = chunks as [Chunk, Chunk, Chunk, Chunk];
  for (const chunk of [a, b, c, a]) {
    t.equal(await readAll(setting, chunk), `${chunk.index}\n`);
  }
  t.equal(disk.count('openFile'), 3);
  await readAll(setting, d);
  await readAll(setting, a);
  t.equal(disk.count('openFile'), 4, 'the first was kept');
  await until(() => openCount(setting) === 3);
  t.equal(disk.count('close', /2$|3$|0$/), 0);
  t.equal(disk.count('close', /1$/), 1, 'the second was not used for longest');
  await files.close();
  await until(() => openCount(setting) === 0);
});

await t.test('files in use are more than the limit rather than closed', async (t) => {
  const setting = setUp(t);
  const { disk, chunks, files } = setting;
  const held = await Promise.all(chunks.map((chunk) => files.acquire(chunk)));
  await until(() => openCount(setting) === 5);
  for (const file of held) t.equal(await file.read(Buffer.alloc(2), 0), 2);
  for (const file of held) files.release(file);
  await until(() => openCount(setting) === 3);
  await files.close();
  t.equal(disk.count('close'), 5);
});

await t.test('the file of a removed chunk is closed, after the reads of it', async (t) => {
  const setting = setUp(t);
  const { chunks, files } = setting;
  const [a, b] = chunks as [Chunk, Chunk];
  await readAll(setting, a);
  a.markRemoved();
  await until(() => openCount(setting) === 0);
  const file = await files.acquire(b);
  b.markRemoved();
  await until(() => openCount(setting) === 1);
  t.equal(await file.read(Buffer.alloc(2), 0), 2);
  files.release(file);
  await until(() => openCount(setting) === 0);
  t.equal(await readAll(setting, a), '0\n', 'its name may still be there');
  // And it is kept for nobody.
  await until(() => openCount(setting) === 0);
});

await t.test('calls for a file that is being opened share it', async (t) => {
  const setting = setUp(t);
  const { disk, chunks, files } = setting;
  const [a] = chunks as [Chunk];
  const opening = disk.hold('openFile', /0$/);
  const reads = [readAll(setting, a), readAll(setting, a)];
  await opening.reached;
  a.markRemoved();
  opening.release();
  t.same(await Promise.all(reads), ['0\n', '0\n']);
  t.equal(disk.count('openFile'), 1);
  await until(() => openCount(setting) === 0);
  await files.close();
});

await t.test('a process without descriptors gives back those it does not need', async (t) => {
  const setting = setUp(t);
  const { disk, chunks } = setting;
  const [a, b, c] = chunks as [Chunk, Chunk, Chunk];
  await readAll(setting, a);
  await readAll(setting, b);
  disk.inject({ operation: 'openFile', code: 'EMFILE' });
  t.equal(await readAll(setting, c), '2\n');
  t.equal(disk.count('close', /[01]$/), 2);
});

await t.test('what cannot be opened is tried again by the next call', async (t) => {
  const setting = setUp(t);
  const { disk, chunks } = setting;
  const [a] = chunks as [Chunk];
  disk.inject({ operation: 'openFile', code: 'EIO' });
  await t.rejects(readAll(setting, a), { code: 'EIO' });
  t.equal(await readAll(setting, a), '0\n');
});

await t.test('small reads leave the event loop alone while the disk is slow', async (t) => {
  const { chunks } = setUp(t);
  const clock = new FakeClock();
  const reads: string[] = [];
  const slowDisk: Disk = {
    ...nodeDisk,
    async openFile(path, access) {
      const file = await nodeDisk.openFile(path, access);
      return {
        ...file,
        read: (buffer, position) => {
          reads.push('beside the loop');
          return file.read(buffer, position);
        },
        readNow: (buffer, position) => {
          reads.push('at once');
          clock.advance(20);
          return file.readNow(buffer, position);
        },
        close: () => file.close(),
      };
    },
  };
  const files = new OpenFiles({ disk: slowDisk, clock });
  const file = await files.acquire((chunks as [Chunk])[0]);
  for (const pauseMs of [0, 900, 100]) {
    clock.advance(pauseMs);
    t.equal(await file.read(Buffer.alloc(2), 0), 2);
  }
  t.same(reads, ['at once', 'beside the loop', 'at once']);
  files.release(file);
  await files.close();
});

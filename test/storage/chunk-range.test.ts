import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import t from 'tap';
import { messageBytesMax } from '../../src/protocol/limits.js';
import { findRangeEnd } from '../../src/storage/chunk-range.js';
import type { DiskFile } from '../../src/storage/disk.js';
import { nodeDisk } from '../../src/storage/node-disk.js';
import { checkProperty, type SeededRandom } from '../support/seeded-random.js';

/** Whole messages up to the limit, by looking at one after another; at least one. */
function expectedEnd(content: Buffer, offset: number, byteCountMax: number): number {
  let end = offset;
  while (end < content.length) {
    const next = content.indexOf(0x0a, end) + 1;
    if (next - offset > byteCountMax && end > offset) break;
    end = next;
    if (end - offset >= byteCountMax) break;
  }
  return end;
}

function randomContent(random: SeededRandom): Buffer {
  const lengthMax = random.pick([3, 200, 5_000, 70_000, messageBytesMax]);
  const lines = Array.from({ length: random.integer(1, lengthMax > 100_000 ? 4 : 40) }, () => {
    const length = random.integer(0, lengthMax - 1);
    return `${'x'.repeat(random.fraction() < 0.05 ? lengthMax - 1 : length)}\n`;
  });
  return Buffer.from(lines.join(''));
}

/** Where a reader may stand: the start of a message, or the end of the chunk. */
function randomOffset(random: SeededRandom, content: Buffer): number {
  const from = random.integer(0, content.length);
  return from === 0 ? 0 : content.indexOf(0x0a, from - 1) + 1;
}

await t.test('a range ends where a look at every message ends it', async (t) => {
  const path = `${t.testdir()}/chunk`;
  await checkProperty(t, 120, async (random) => {
    const content = randomContent(random);
    await writeFile(path, content);
    const file = await nodeDisk.openFile(path, 'read');
    for (let turn = 0; turn < 20; turn += 1) {
      const offset = randomOffset(random, content);
      const byteCountMax = random.integer(1, random.pick([2, 300, 10_000, 200_000, 2_000_000]));
      const end = await findRangeEnd(file, content.length, offset, byteCountMax);
      assert.equal(end, expectedEnd(content, offset, byteCountMax), `${offset} +${byteCountMax}`);
    }
    await file.close();
  });
});

await t.test('reading range after range gives the whole chunk', async (t) => {
  const path = `${t.testdir()}/chunk`;
  await checkProperty(t, 40, async (random) => {
    const content = randomContent(random);
    await writeFile(path, content);
    const file = await nodeDisk.openFile(path, 'read');
    const byteCountMax = random.integer(1, 100_000);
    let rangeCount = 0;
    for (let offset = 0; offset < content.length; rangeCount += 1) {
      const end = await findRangeEnd(file, content.length, offset, byteCountMax);
      assert.ok(end > offset, 'every range has a message');
      assert.equal(content[end - 1], 0x0a);
      offset = end;
    }
    assert.ok(rangeCount <= content.length);
    await file.close();
  });
});

await t.test('the last and largest message is found with one byte asked for', async (t) => {
  const path = `${t.testdir()}/chunk`;
  const content = Buffer.from(`a\n${'x'.repeat(messageBytesMax - 1)}\nb\n`);
  await writeFile(path, content);
  const file: DiskFile = await nodeDisk.openFile(path, 'read');
  t.equal(await findRangeEnd(file, content.length, 2, 1), 2 + messageBytesMax);
  t.equal(await findRangeEnd(file, content.length, 0, 1), 2);
  t.equal(await findRangeEnd(file, content.length, content.length, 1), content.length);
  t.equal(await findRangeEnd(file, content.length, content.length - 2, 1), content.length);
  await file.close();
});

await t.test('a range never goes beyond the size that was asked about', async (t) => {
  const path = `${t.testdir()}/chunk`;
  await writeFile(path, 'a\nb\nnot yet visible\n');
  const file = await nodeDisk.openFile(path, 'read');
  t.equal(await findRangeEnd(file, 4, 0, 1_000), 4);
  t.equal(await findRangeEnd(file, 4, 4, 1_000), 4);
  await file.close();
});

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { crc32 } from '../../src/common/crc32.js';
import { type BatchRecord, formatRecord } from '../../src/storage/batch-index.js';
import type { ReceivedBatches } from '../../src/storage/chunk-copies.js';
import { openStore, readChunk } from '../support/test-store.js';

const chunk = { owner: 'node2', index: 0 };
const chunkName = 'node2-chunk000000000';

/** Batches as a peer sends them that begin at an offset, each in a piece of its own. */
function received(offset: number, batches: readonly Buffer[]): ReceivedBatches {
  const records: BatchRecord[] = [];
  let end = offset;
  for (const bytes of batches) {
    records.push({ offset: end, byteCount: bytes.length, crc: crc32(bytes), stamp: undefined });
    end += bytes.length;
  }
  const lines = records.map(formatRecord).join('');
  return { chunk, offset, records, lines, pieces: batches, byteCount: end - offset };
}

// Small writes are done at once, large ones while their bytes are checked.
for (const [size, bytesOf] of [
  ['small', (letter: string) => Buffer.from(`${letter}\n`)],
  ['large', (letter: string) => Buffer.from(`${letter.repeat(99)}\n`.repeat(3_000))],
] as const) {
  await t.test(`of ${size} batches from a peer, only what it recorded is stored`, async (t) => {
    const directory = t.testdir();
    const store = await openStore({ directory });
    t.teardown(() => store.close());
    const category = await store.category('logs');
    const [one, two, three] = [bytesOf('1'), bytesOf('2'), bytesOf('3')];
    t.strictSame(await category.take(received(0, [one, two])), {
      kind: 'taken',
      size: one.length + two.length,
    });
    const good = received(one.length + two.length, [three, one]);
    const changed = Buffer.from(one);
    changed[0] = 0x78;
    const wrong: Record<string, ReceivedBatches> = {
      'another byte': { ...good, pieces: [three, changed] },
      'a missing byte': {
        ...good,
        pieces: [three, one.subarray(1)],
        byteCount: good.byteCount - 1,
      },
      'a byte too many': {
        ...good,
        pieces: [three, one, Buffer.from('\n')],
        byteCount: good.byteCount + 1,
      },
      'records of another place': { ...good, records: received(0, [three, one]).records },
      'no records': { ...good, records: [] },
    };
    for (const [what, batches] of Object.entries(wrong)) {
      await t.rejects(category.take(batches), { code: 'invalid_frame' }, what);
      t.strictSame(await readChunk(directory, 'logs', chunkName), Buffer.concat([one, two]), what);
    }
    t.strictSame(await category.take(good), {
      kind: 'taken',
      size: good.offset + good.byteCount,
    });
    const stored = await readChunk(directory, 'logs', chunkName);
    t.strictSame(stored, Buffer.concat([one, two, three, one]));
    const index = join(directory, '.chukcha', 'logs', 'chunks', `${chunkName}.batches`);
    const lines = received(0, [one, two, three, one]).lines;
    t.equal((await readFile(index, 'latin1')).split('\n').slice(1).join('\n'), lines);
    t.equal(store.refusal(), undefined, 'the store takes writes as before');
  });
}

await t.test(
  'a copy that is not what the seal of its owner says is moved aside, and counted',
  async (t) => {
    const directory = t.testdir();
    const store = await openStore({ directory });
    t.teardown(() => store.close());
    const category = await store.category('logs');
    const bytes = Buffer.from('here\n');
    await category.take(received(0, [bytes]));
    const seal = { size: bytes.length, crc: crc32(Buffer.from('else\n')), sealedAtMs: 1 };
    t.equal(await category.sealCopy(chunk, seal), 'incomplete', 'it is to be fetched again');
    t.match(store.damage, { divergentChunks: 1, quarantinedChunks: 1, lostBytes: 0 });
    t.same(await readFile(`${directory}/.quarantine/logs/${chunkName}`), bytes);
    await category.take(received(0, [Buffer.from('else\n')]));
    t.equal(await category.sealCopy(chunk, seal), 'sealed');
    t.match(store.damage, { divergentChunks: 1 });
  },
);

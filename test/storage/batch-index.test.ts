import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { crc32, formatCrc32 } from '../../src/common/crc32.js';
import {
  type BatchRecord,
  crcOfRecords,
  formatIndex,
  formatRecord,
  formatSeal,
  indexHeader,
  parseIndex,
  parseSealAtEnd,
  sealLineBytesMax,
} from '../../src/storage/batch-index.js';
import { SeededRandom } from '../support/seeded-random.js';
import { append, chunkPath, openStore } from '../support/test-store.js';

const texts = ['a\n', 'bb\nbb\n', 'ccc\n', 'd\n'];

/** What the index of a chunk with these batches has. */
function recordsOf(batches: readonly string[]): BatchRecord[] {
  let offset = 0;
  return batches.map((text) => {
    const record = { offset, byteCount: text.length, crc: crc32(text), stamp: undefined };
    offset += text.length;
    return record;
  });
}

const records = recordsOf(texts);
const whole = formatIndex(records);
const size = texts.join('').length;
const seal = { size, crc: crc32(texts.join('')), sealedAtMs: 1_767_225_600_000 };

function parse(text: string): ReturnType<typeof parseIndex> {
  return parseIndex(Buffer.from(text, 'latin1'));
}

await t.test('what is formatted is parsed as it was', async (t) => {
  const stamped = [
    { ...records[0], stamp: { producer: 'p-1', sequence: 0 } },
    { ...records[1], stamp: { producer: '__proto__', sequence: Number.MAX_SAFE_INTEGER } },
    records[2],
  ] as BatchRecord[];
  t.same(parse(formatIndex(stamped)), {
    records: stamped,
    seal: undefined,
    isDamaged: false,
    behindDamage: [],
  });
  t.same(parse(formatIndex(records, seal)), {
    records,
    seal,
    isDamaged: false,
    behindDamage: [],
  });
  t.equal(crcOfRecords(records), seal.crc, 'the seal is the checksum of all batches as one');
});

await t.test('a line says where a batch is, its checksum and who sent it', async (t) => {
  const [, second] = records;
  t.equal(second && formatRecord(second), `2 6 ${formatCrc32(crc32('bb\nbb\n'))}\n`);
  const stamp = { producer: 'p', sequence: 7 };
  t.match(formatRecord({ offset: 0, byteCount: 2, crc: 1, stamp }), '0 2 00000001 p 7\n');
  t.match(formatSeal(seal), `sealed ${size} ${formatCrc32(seal.crc)} 1767225600000\n`);
  const largest = { size: Number.MAX_SAFE_INTEGER, crc: 0, sealedAtMs: Number.MAX_SAFE_INTEGER };
  t.ok(formatSeal(largest).length <= sealLineBytesMax);
});

await t.test('an index that ends anywhere is read up to its last whole line', async (t) => {
  const sealed = formatIndex(records, seal);
  for (let length = 0; length <= sealed.length; length += 1) {
    const lineCount = sealed.slice(0, length).split('\n').length - 1;
    const found = parse(sealed.slice(0, length));
    const expected = records.slice(0, Math.max(0, lineCount - 1));
    t.same(found.records, expected, `${length} bytes`);
    t.equal(found.isDamaged, false, `${length} bytes: a torn end is no damage`);
    t.equal(found.seal === undefined, length < sealed.length, `${length} bytes`);
  }
});

await t.test('whole lines that cannot be read, or do not follow, are damage', async (t) => {
  const lines = records.map(formatRecord);
  const [a = '', b = '', c = '', d = ''] = lines;
  const damaged: Readonly<Record<string, readonly [text: string, read: number, behind: number]>> = {
    'nothing readable behind': [indexHeader + a + b + c + d.replace(' ', 'x'), 3, 0],
    'a line in the middle': [`${indexHeader}${a}\0${b}${c}${d}`, 1, 2],
    'an empty line': [`${indexHeader}${a}\n${b}`, 1, 1],
    'a lost line': [indexHeader + a + c + d, 1, 2],
    'a repeated line': [indexHeader + a + a + b, 1, 2],
    'a batch of no bytes': [`${indexHeader}${a}2 0 00000000\n`, 1, 1],
    'an offset that is not the end': [`${indexHeader}${a}3 6 00000000\n`, 1, 1],
    'a number with a zero before': [`${indexHeader}${a}02 6 00000000\n`, 1, 0],
    'capital digits': [`${indexHeader}${a}2 6 0000000A\n`, 1, 0],
    'a sequence without a producer': [`${indexHeader}${a}2 6 00000000 7\n`, 1, 0],
    'a producer that is no name': [`${indexHeader}${a}2 6 00000000 a/b 7\n`, 1, 0],
    'a foreign header': [`chukcha-batches 2\n${a}${b}`, 0, 2],
    'no header': [a + b, 0, 2],
  };
  for (const [what, [text, readCount, behindCount]] of Object.entries(damaged)) {
    const found = parse(text);
    t.same(found.records, records.slice(0, readCount), what);
    t.equal(found.isDamaged, true, what);
    t.equal(found.behindDamage.length, behindCount, what);
  }
});

await t.test('a seal counts only when all of the index agrees with it', async (t) => {
  const wrong = [
    { ...seal, size: size - 1 },
    { ...seal, size: size + 1 },
    { ...seal, crc: seal.crc ^ 1 },
  ];
  for (const said of wrong) {
    const found = parse(whole + formatSeal(said));
    t.equal(found.seal, undefined);
    t.same(found.records, records);
    t.equal(found.isDamaged, true);
  }
  t.same(parse(whole + formatSeal(seal) + whole).seal, seal, 'nothing counts behind it');
  t.equal(parse(formatSeal(seal)).seal, undefined, 'nor without a header');
});

await t.test('the seal is found at the end without the rest', async (t) => {
  const tailOf = (text: string): Buffer => Buffer.from(text).subarray(-sealLineBytesMax);
  t.same(parseSealAtEnd(tailOf(formatIndex(records, seal))), seal);
  t.same(parseSealAtEnd(tailOf(formatSeal(seal))), seal);
  t.equal(parseSealAtEnd(tailOf(whole)), undefined);
  t.equal(parseSealAtEnd(tailOf(formatIndex(records, seal).slice(0, -1))), undefined, 'torn');
  t.equal(parseSealAtEnd(tailOf(`${formatIndex(records, seal)}x\n`)), undefined);
  t.equal(parseSealAtEnd(Buffer.alloc(0)), undefined);
});

await t.test('no flipped bit makes a batch that the bytes of the chunk agree with', async (t) => {
  const content = texts.join('');
  const index = Buffer.from(formatIndex(records, seal));
  const random = new SeededRandom(11);
  for (let run = 0; run < 3_000; run += 1) {
    const flipped = Buffer.from(index);
    const place = random.integer(0, index.length - 1);
    flipped[place] = (flipped[place] ?? 0) ^ (1 << random.integer(0, 7));
    const found = parseIndex(flipped);
    const believed = [...found.records, ...found.behindDamage].filter(
      ({ offset, byteCount, crc }) =>
        offset + byteCount <= size && crc32(content.slice(offset, offset + byteCount)) === crc,
    );
    for (const { offset, byteCount } of believed) {
      const isBatch = records.some(
        (record) => record.offset === offset && record.byteCount === byteCount,
      );
      // A batch of no bytes has the checksum 0, which the flip would have to make as well.
      if (!isBatch) t.fail(`byte ${place} made ${offset} ${byteCount}`);
    }
  }
});

await t.test('the index of a chunk is text that the shell can read and compare', async (t) => {
  const directory = t.testdir();
  const store = await openStore({ directory });
  const category = await store.category('logs');
  const { chunk } = await append(category, 'one\n', false, { producer: 'p', sequence: 5 });
  await append(category, 'two\nthree\n');
  await store.close();
  const index = await readFile(`${directory}/.chukcha/logs/chunks/${chunk}.batches`, 'utf8');
  const lines = index.trimEnd().split('\n');
  t.equal(lines[0], 'chukcha-batches 1');
  t.match(lines[1], /^0 4 [0-9a-f]{8} p 5$/);
  t.match(lines[2], /^4 10 [0-9a-f]{8}$/);
  t.match(lines[3], /^sealed 14 [0-9a-f]{8} \d{13}$/);
  // Without a tool for it: gzip ends with the checksum of what it packed.
  const path = chunkPath(directory, 'logs', chunk);
  const shown = execFileSync('sh', ['-c', 'gzip -c "$0" | tail -c8 | od -An -tx4', path])
    .toString()
    .trim();
  t.equal(lines[3]?.split(' ')[2], shown.split(' ')[0]);
});

import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { combineCrc32, crc32, crc32OfPieces, formatCrc32 } from '../../src/common/crc32.js';
import { SeededRandom } from '../support/seeded-random.js';

const GIB = 1024 ** 3;

function randomBytes(random: SeededRandom, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.integer(0, 255)));
}

/** The CRC-32 of so many zero bytes, by doubling: the direct way would take as long as they are many. */
function crcOfZeros(byteCount: number): number {
  let crc = 0;
  let doubled = crc32(Buffer.alloc(1));
  let doubledByteCount = 1;
  for (let rest = byteCount; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) crc = combineCrc32(crc, doubled, doubledByteCount);
    doubled = combineCrc32(doubled, doubled, doubledByteCount);
    doubledByteCount *= 2;
  }
  return crc;
}

await t.test('a checksum is the one of gzip, and of the check value that all use', async (t) => {
  t.equal(formatCrc32(crc32('123456789')), 'cbf43926');
  const bytes = Buffer.from('a line\nand another\n');
  const trailer = gzipSync(bytes).subarray(-8);
  t.equal(crc32(bytes), trailer.readUInt32LE(0));
  t.equal(formatCrc32(0), '00000000');
  t.equal(formatCrc32(0xffffffff), 'ffffffff');
  t.equal(crc32(''), 0);
});

await t.test('pieces have the checksum of the whole, however they are cut', async (t) => {
  const random = new SeededRandom(3);
  for (let run = 0; run < 50; run += 1) {
    const bytes = randomBytes(random, random.integer(0, 3_000));
    const pieces = random.split(bytes, random.integer(1, 6));
    t.equal(crc32OfPieces(pieces), crc32(bytes));
    t.equal(crc32OfPieces(pieces, crc32('before')), crc32(bytes, crc32('before')));
  }
});

await t.test('two checksums combine to that of the whole', async (t) => {
  const random = new SeededRandom(4);
  const lengths = [0, 1, 2, 3, 7, 8, 255, 256, 257, 4_095, 65_536, 100_001];
  for (const firstLength of lengths) {
    for (const secondLength of lengths) {
      const first = randomBytes(random, Math.min(firstLength, 2_000));
      const second = Buffer.alloc(secondLength, random.integer(0, 255));
      const expected = crc32(second, crc32(first));
      if (combineCrc32(crc32(first), crc32(second), secondLength) !== expected) {
        t.fail(`${firstLength} and ${secondLength} bytes`);
      }
    }
  }
});

await t.test('nothing before or behind leaves a checksum as it is', async (t) => {
  const crc = crc32('something');
  t.equal(combineCrc32(crc, 0, 0), crc);
  t.equal(combineCrc32(0, crc, 9), crc);
});

await t.test('lengths with more than 32 bits count with all their bits', async (t) => {
  const block = Buffer.alloc(64 * 1024 * 1024);
  t.equal(crcOfZeros(block.length), crc32(block), 'the doubling agrees with the direct way');
  // Any cut of the same bytes has to come to the same checksum; one that lost its high bits would not.
  for (const whole of [4 * GIB + 1, 5 * GIB + 12_345, 3 * 2 ** 40 + 7]) {
    const expected = crcOfZeros(whole);
    for (const second of [1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, whole - 1]) {
      const combined = combineCrc32(crcOfZeros(whole - second), crcOfZeros(second), second);
      t.equal(combined, expected, `${whole - second} and ${second} bytes`);
    }
  }
});

await t.test('combining is associative for data of any length', async (t) => {
  const random = new SeededRandom(5);
  const draw = (): [crc: number, byteCount: number] => [
    Math.floor(random.fraction() * 2 ** 32),
    Math.floor(random.fraction() * 2 ** random.integer(1, 52)),
  ];
  for (let run = 0; run < 200; run += 1) {
    const [[a], [b, bytesOfB], [c, bytesOfC]] = [draw(), draw(), draw()];
    const left = combineCrc32(combineCrc32(a, b, bytesOfB), c, bytesOfC);
    const right = combineCrc32(a, combineCrc32(b, c, bytesOfC), bytesOfB + bytesOfC);
    if (left !== right) t.fail(`${bytesOfB} and ${bytesOfC} bytes`);
  }
});

await t.test('the shell finds the same checksum', async (t) => {
  const shown = execFileSync('sh', ['-c', 'printf "a line\\n" | gzip -c | tail -c8 | od -An -tx4'])
    .toString()
    .trim()
    .split(' ')[0];
  t.equal(formatCrc32(crc32('a line\n')), shown);
});

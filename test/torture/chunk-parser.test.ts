import t from 'tap';
import { SeededRandom } from '../../src/common/seeded-random.js';
import { makeBatch } from '../../src/torture/batch-lines.js';
import { ChunkParser, type FoundBatch } from '../../src/torture/chunk-parser.js';

const random = new SeededRandom(1);

/** A batch that has at least three lines. */
function batchOf(key: string): Buffer {
  for (;;) {
    const { bytes, lineCount } = makeBatch(key, random);
    if (lineCount >= 3) return bytes;
  }
}

function parse(bytes: Buffer): { found: FoundBatch[]; broken: string[] } {
  const found: FoundBatch[] = [];
  const broken: string[] = [];
  const parser = new ChunkParser('n-chunk000000000', {
    found: (batch) => found.push(batch),
    broken: (sentence) => broken.push(sentence),
  });
  parser.take(bytes);
  parser.end();
  return { found, broken };
}

const [first, second] = [batchOf('writer1 0'), batchOf('writer2 7')];

await t.test('whole batches are found where they are', (t) => {
  const { found, broken } = parse(Buffer.concat([first, second]));
  t.same(broken, []);
  t.match(found, [
    { key: 'writer1 0', offset: 0, byteCount: first.length },
    { key: 'writer2 7', offset: first.length, byteCount: second.length },
  ]);
  t.end();
});

await t.test(
  'a torn line, a joined one, a missing one and a missing end are each told once',
  (t) => {
    const lineEnd = first.indexOf(0x0a);
    const cases: Record<string, Buffer> = {
      torn: Buffer.concat([first.subarray(0, lineEnd - 3), first.subarray(lineEnd), second]),
      joined: Buffer.concat([first.subarray(0, lineEnd), first.subarray(lineEnd + 1), second]),
      foreign: Buffer.concat([Buffer.from('hello\n'), second]),
      'without its first line': Buffer.concat([first.subarray(lineEnd + 1), second]),
      'without its end': Buffer.concat([second, first.subarray(0, lineEnd + 1)]),
    };
    for (const [name, bytes] of Object.entries(cases)) {
      const { found, broken } = parse(bytes);
      t.same(
        found.map(({ key }) => key),
        ['writer2 7'],
        `${name}: the other batch is found`,
      );
      t.ok(broken.length >= 1 && broken.length <= 2, `${name}: ${broken.join(' ')}`);
    }
    t.end();
  },
);

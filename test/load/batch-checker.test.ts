import t from 'tap';
import { SeededRandom } from '../../src/common/seeded-random.js';
import { BatchChecker } from '../../src/load/batch-checker.js';
import { type BatchHead, BatchLayout } from '../../src/load/batch-layout.js';

const layout = new BatchLayout({ tag: 'cafe0001', lineBytes: 80, lineCount: 5 });
const chunk = 'node1-chunk000000000';

function makeBatch(head: BatchHead, of = layout): Buffer {
  const batch = Buffer.from(of.template);
  of.stamp(batch, head);
  return batch;
}

function headAt(sequence: number): BatchHead {
  return { writer: sequence % 3, sequence, dueMicroseconds: sequence * 1_000 + 7 };
}

/** Takes pieces that follow each other in one chunk. */
function check(pieces: readonly Buffer[]): { found: BatchHead[]; broken: string[] } {
  const found: BatchHead[] = [];
  const broken: string[] = [];
  const checker = new BatchChecker(layout, {
    found: (head) => found.push(head),
    broken: (sentence) => broken.push(sentence),
  });
  let offset = 0;
  for (const piece of pieces) {
    checker.take(chunk, offset, piece);
    offset += piece.length;
  }
  return { found, broken };
}

/** Whole lines, in pieces of random sizes. */
function cut(bytes: Buffer, random: SeededRandom): Buffer[] {
  const pieces: Buffer[] = [];
  for (let line = 0; line < bytes.length / layout.lineBytes; ) {
    const count = random.integer(1, 12);
    const start = line * layout.lineBytes;
    pieces.push(bytes.subarray(start, start + count * layout.lineBytes));
    line += count;
  }
  return pieces;
}

t.test('lines have one length, end in newlines, and differ', (t) => {
  const lines = makeBatch(headAt(3)).toString('latin1').split('\n');
  t.equal(lines.pop(), '');
  t.equal(lines.length, 5);
  t.ok(lines.every((line) => line.length === 79));
  t.equal(new Set(lines).size, 5);
  t.end();
});

t.test('batches are found however their lines are cut', (t) => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const heads = Array.from({ length: 30 }, (_, sequence) => headAt(sequence));
    const bytes = Buffer.concat(heads.map((head) => makeBatch(head)));
    t.same(check(cut(bytes, new SeededRandom(seed))), { found: heads, broken: [] }, `seed ${seed}`);
  }
  t.end();
});

t.test('a byte that is another one is found, wherever it is', (t) => {
  const heads = [0, 1, 2].map(headAt);
  const clean = Buffer.concat(heads.map((head) => makeBatch(head)));
  const numbersEnd = 'cafe0001 w001 s000000000001 t000000000001007'.length;
  for (let at = layout.byteCount; at < 2 * layout.byteCount; at += 1) {
    const inBatch = at - layout.byteCount;
    // Other numbers make it another batch, which the ledger does not know.
    if (inBatch >= 10 && inBatch < numbersEnd) continue;
    const bytes = Buffer.from(clean);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    const { found, broken } = check(cut(bytes, new SeededRandom(at)));
    if (broken.length === 0 || found.length !== 2) t.fail(`byte ${inBatch}: ${found.length} found`);
  }
  t.pass('all of them');
  t.end();
});

t.test(
  'a line that is missing, twice, or of somebody else is found, and the next batch is too',
  (t) => {
    const [first, second, third] = [0, 1, 2].map((sequence) => makeBatch(headAt(sequence)));
    if (first === undefined || second === undefined || third === undefined) throw new Error();
    const { lineBytes } = layout;
    const other = new BatchLayout({ tag: 'cafe0002', lineBytes: 80, lineCount: 5 });
    for (const [what, broken] of [
      ['missing', [second.subarray(0, 2 * lineBytes), second.subarray(3 * lineBytes)]],
      ['twice', [second.subarray(0, 2 * lineBytes), second.subarray(lineBytes)]],
      ['of another load', [makeBatch(headAt(1), other)]],
      ['the first one missing', [second.subarray(lineBytes)]],
      ['the last one missing', [second.subarray(0, 4 * lineBytes)]],
    ] as const) {
      const result = check([first, ...broken, third]);
      t.same(
        result.found.map(({ sequence }) => sequence),
        [0, 2],
        what,
      );
      t.equal(result.broken.length, 1, `${what}: one finding`);
    }
    t.end();
  },
);

t.test('a batch that goes on in another chunk is torn', (t) => {
  const broken: string[] = [];
  const checker = new BatchChecker(layout, {
    found: () => t.fail('no batch is whole'),
    broken: (sentence) => broken.push(sentence),
  });
  const batch = makeBatch(headAt(0));
  const place = 2 * layout.lineBytes;
  checker.take(chunk, 0, batch.subarray(0, place));
  checker.take('node1-chunk000000001', 0, batch.subarray(place));
  t.match(broken, [/Batch 0 of writer 0 .* goes on in node1-chunk000000001 at 0\./]);
  t.end();
});

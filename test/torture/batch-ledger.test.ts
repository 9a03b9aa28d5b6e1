import t from 'tap';
import { crc32 } from '../../src/common/crc32.js';
import { BatchLedger, type LedgerBatch, type WriteKind } from '../../src/torture/batch-ledger.js';

const bytes = Buffer.from('some line\n');
const stamped: WriteKind = { name: 'any', replicaCount: 0, sync: false, isStamped: true };
const plain: WriteKind = { ...stamped, isStamped: false };

function begin(kind: WriteKind, sentTo: readonly string[]): [BatchLedger, LedgerBatch] {
  const ledger = new BatchLedger(['first', 'second']);
  const batch = ledger.add('writer1 0', kind, 'events', bytes);
  batch.sentTo.push(...sentTo);
  return [ledger, batch];
}

function receipt(offset: number, duplicate = false): Parameters<BatchLedger['answered']>[1] {
  return { chunk: 'a-chunk000000000', offset, size: bytes.length, duplicate };
}

function read(ledger: BatchLedger, group: string, offset: number, content = bytes): void {
  const place = { chunk: 'a-chunk000000000', offset };
  const found = { key: 'writer1 0', ...place, byteCount: content.length, crc: crc32(content) };
  ledger.found(group, 'events', found);
}

await t.test('an answered batch that a group has not read is lost', (t) => {
  const [ledger, batch] = begin(plain, ['a']);
  read(ledger, 'first', 0);
  ledger.findLost();
  t.equal(ledger.lost.count, 0, 'nothing was promised yet');
  ledger.answered(batch, receipt(0));
  ledger.findLost();
  t.equal(ledger.lost.count, 1);
  t.match(ledger.lost.sentences, [/writer1 0 .* did not reach second/]);
  t.end();
});

await t.test('other bytes, another batch in its place, and what nobody wrote are corrupt', (t) => {
  const [ledger, batch] = begin(plain, ['a']);
  ledger.answered(batch, receipt(0));
  read(ledger, 'first', 0, Buffer.from('same size\n'));
  t.equal(ledger.corrupt.count, 1);
  const other = ledger.add('writer2 0', plain, 'events', bytes);
  ledger.answered(other, receipt(0));
  t.match(ledger.corrupt.sentences[1], /there was batch writer1 0 and is batch writer2 0/);
  const unknown = { key: 'writer3 0', chunk: 'a-chunk000000000', offset: 90 };
  ledger.found('first', 'events', { ...unknown, byteCount: bytes.length, crc: crc32(bytes) });
  t.equal(ledger.corrupt.count, 3);
  t.end();
});

await t.test('a second place is a duplicate, and explained only by what was sent', (t) => {
  const cases = [
    { kind: plain, sentTo: ['a'], explained: 0 },
    { kind: plain, sentTo: ['a', 'a'], explained: 1 },
    { kind: stamped, sentTo: ['a', 'a'], explained: 0 },
    { kind: stamped, sentTo: ['a', 'b'], explained: 1 },
  ];
  for (const { kind, sentTo, explained } of cases) {
    const [ledger] = begin(kind, sentTo);
    read(ledger, 'first', 0);
    read(ledger, 'first', 0);
    t.same(ledger.countReads(), { duplicates: 0, explainedDuplicates: 0 }, 'the same place again');
    read(ledger, 'second', 0);
    read(ledger, 'first', 100);
    t.same(ledger.countReads(), { duplicates: 1, explainedDuplicates: explained });
    t.equal(ledger.strangeDuplicates.count, 1 - explained);
  }
  t.end();
});

await t.test('what was sent once cannot be a duplicate', (t) => {
  const [ledger, batch] = begin(stamped, ['a']);
  ledger.answered(batch, receipt(0, true));
  t.equal(ledger.refused.count, 1);
  batch.sentTo.push('b');
  ledger.answered(batch, receipt(0, true));
  t.equal(ledger.refused.count, 1);
  t.end();
});

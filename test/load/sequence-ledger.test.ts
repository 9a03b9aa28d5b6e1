import t from 'tap';
import { SequenceLedger } from '../../src/load/sequence-ledger.js';

function sentLedger(count: number): SequenceLedger {
  const ledger = new SequenceLedger(2);
  for (let at = 0; at < count; at += 1) {
    ledger.nextSequence(0);
    ledger.accepted(0);
  }
  return ledger;
}

t.test('what was accepted and not read is lost', (t) => {
  const ledger = sentLedger(10);
  for (const sequence of [0, 1, 2, 4, 5, 9]) t.equal(ledger.found(0, sequence), 'first');
  t.notOk(ledger.hasFoundAll);
  t.same(ledger.findings(), { lost: 4, duplicate: 0 });
  for (const sequence of [8, 3, 7, 6]) ledger.found(0, sequence);
  t.ok(ledger.hasFoundAll);
  t.same(ledger.findings(), { lost: 0, duplicate: 0 });
  t.end();
});

t.test('what was sent and not accepted is not lost, and may be read all the same', (t) => {
  const ledger = sentLedger(3);
  ledger.nextSequence(0);
  ledger.nextSequence(1);
  for (const sequence of [0, 1, 2]) ledger.found(0, sequence);
  t.ok(ledger.hasFoundAll);
  t.equal(ledger.found(0, 3), 'first');
  t.equal(ledger.found(1, 0), 'first');
  t.same(ledger.findings(), { lost: 0, duplicate: 0 });
  t.end();
});

t.test('what is read again is a duplicate, and what was never sent is told', (t) => {
  const ledger = sentLedger(5);
  for (const sequence of [0, 1, 3]) ledger.found(0, sequence);
  for (const sequence of [0, 3]) t.equal(ledger.found(0, sequence), 'again');
  t.equal(ledger.found(0, 5), 'never sent');
  t.equal(ledger.found(2, 0), 'never sent');
  t.same(ledger.findings(), { lost: 2, duplicate: 2 });
  t.end();
});

t.test('what is missing for long is given up, so that memory stays as it is', (t) => {
  const ledger = sentLedger(200_000);
  for (let sequence = 1; sequence < 200_000; sequence += 1) {
    if (sequence !== 100_000) ledger.found(0, sequence);
  }
  t.same(ledger.findings(), { lost: 2, duplicate: 0 });
  t.equal(ledger.found(0, 0), 'again', 'the one that came after all');
  t.end();
});

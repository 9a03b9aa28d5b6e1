import t from 'tap';
import type { SoakPeriod } from '../../src/load/bench-report.js';
import { findGrowth } from '../../src/load/soak-growth.js';
import { SoakRow, type SoakSample } from '../../src/load/soak-row.js';

const MIB = 1024 ** 2;

/** A process that holds so many MiB and keeps half a processor busy. */
function sampleAt(seconds: number, residentMib: number): SoakSample {
  const figures = {
    residentBytes: residentMib * MIB,
    peakResidentBytes: residentMib * MIB,
    descriptorCount: 20,
    cpuSeconds: seconds / 2,
  };
  return {
    backlogBytes: residentMib,
    freeDiskBytes: 7,
    node: figures,
    loader: undefined,
    machineCpuSeconds: 1_000 + seconds * 0.75,
  };
}

function makeRow(startSeconds: number, writeMs: number, residentMib = 100): SoakRow {
  const row = new SoakRow();
  row.startSeconds = startSeconds;
  row.endSeconds = startSeconds + 20;
  row.writtenBytes = 40 * MIB;
  row.sampleBefore = sampleAt(startSeconds, residentMib);
  for (const at of [10, 20]) row.samples.push(sampleAt(startSeconds + at, residentMib + at));
  row.write.record(writeMs);
  return row;
}

t.test('a row tells rate, latencies, and what the processes took', (t) => {
  const period = makeRow(40, 3).period();
  t.match(period, {
    endSeconds: 60,
    mibPerSecond: 2,
    endToEndMs: null,
    backlogBytes: 120,
    freeDiskBytes: 7,
    node: { residentBytes: 110 * MIB, descriptorCount: 20, busy: 0.5 },
    loader: null,
    othersBusy: 0.25,
  });
  t.equal(period.writeMs?.count, 1);
  t.end();
});

t.test('joined rows are one of the same time, with percentiles over all of it', (t) => {
  const rows = [1, 2, 30].map((writeMs, at) => makeRow(at * 20, writeMs));
  const period = SoakRow.join(rows).period();
  t.match(period, { endSeconds: 60, mibPerSecond: 2, node: { busy: 0.5 } });
  t.equal(period.writeMs?.count, 3);
  t.equal(period.writeMs?.max, 30);
  t.ok(Math.abs((period.writeMs?.p50 ?? 0) - 2) < 0.02, 'the median of all, not of the rows');
  t.end();
});

/** Half an hour in which the memory of the node is as told. */
function periods(residentMib: (at: number) => number, writeMs = (_: number) => 3): SoakPeriod[] {
  return Array.from({ length: 90 }, (_, at) =>
    makeRow(at * 20, writeMs(at), residentMib(at)).period(),
  );
}

function grown(found: readonly SoakPeriod[]): string[] {
  return findGrowth(found)
    .filter(({ hasGrown }) => hasGrown)
    .map(({ what }) => what);
}

t.test('what leaks or slows down is found, and what only comes and goes is not', (t) => {
  t.same(grown(periods(() => 100)), []);
  t.same(grown(periods((at) => 100 + at)), ['memory of the node']);
  t.same(grown(periods((at) => 100 + (at % 7))), [], 'noise');
  t.same(grown(periods((at) => (at === 80 ? 900 : 100))), [], 'one spike');
  t.same(grown(periods((at) => 200 - at)), [], 'what shrinks');
  t.same(
    grown(
      periods(
        () => 100,
        (at) => 3 + at / 10,
      ),
    ),
    ['write p50', 'write p99'],
  );
  t.end();
});

t.test('a short soak tells nothing of growth', (t) => {
  t.same(findGrowth(periods((at) => 100 + at).slice(0, 5)), []);
  t.same(findGrowth(periods((at) => 100 + at).slice(0, 44)), [], 'below a quarter of an hour');
  t.same(findGrowth([]), []);
  t.end();
});

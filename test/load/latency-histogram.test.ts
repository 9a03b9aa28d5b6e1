import t from 'tap';
import { SeededRandom } from '../../src/common/seeded-random.js';
import { LatencyHistogram } from '../../src/load/latency-histogram.js';

t.test('percentiles are within 0.8 % of the exact ones, over all magnitudes', (t) => {
  const random = new SeededRandom(11);
  const histogram = new LatencyHistogram();
  // From 10 us to 100 s.
  const values = Array.from({ length: 20_000 }, () => 10 ** (random.fraction() * 7 - 2));
  for (const value of values) histogram.record(value);
  const sorted = Float64Array.from(values).sort();
  for (const fraction of [0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1]) {
    const exact = sorted[Math.ceil(sorted.length * fraction) - 1] ?? Number.NaN;
    const told = histogram.percentile(fraction) ?? Number.NaN;
    // Whole microseconds are counted, so what is near to one of them may be another microsecond off.
    const errorMax = exact * 0.008 + 0.001;
    t.ok(Math.abs(told - exact) <= errorMax, `${fraction}: ${told} for ${exact}`);
  }
  const summary = histogram.summary();
  t.equal(summary?.count, 20_000);
  t.equal(summary?.max, Math.round((sorted.at(-1) ?? 0) * 1_000) / 1_000, 'the maximum is exact');
  t.end();
});

t.test('nothing is told of nothing, and one value is all percentiles', (t) => {
  const histogram = new LatencyHistogram();
  t.equal(histogram.percentile(0.5), undefined);
  t.equal(histogram.summary(), null);
  histogram.record(0.05);
  t.same(histogram.summary(), { count: 1, p50: 0.05, p99: 0.05, max: 0.05 });
  t.end();
});

t.test(
  'what is longer than it can count is in the maximum, and what is below 0 counts as 0',
  (t) => {
    const histogram = new LatencyHistogram();
    const dayMs = 86_400_000;
    histogram.record(dayMs);
    t.equal(histogram.summary()?.max, dayMs);
    t.ok((histogram.percentile(0.5) ?? 0) > 2_000_000, 'and in the last bucket');
    const early = new LatencyHistogram();
    early.record(-3);
    t.equal(early.percentile(1), 0);
    t.end();
  },
);

t.test('two together tell what one would that had counted all', (t) => {
  const random = new SeededRandom(5);
  const [left, right, both] = [0, 1, 2].map(() => new LatencyHistogram()) as [
    LatencyHistogram,
    LatencyHistogram,
    LatencyHistogram,
  ];
  for (let at = 0; at < 1_000; at += 1) {
    const value = random.fraction() * 100;
    (at % 3 === 0 ? left : right).record(value);
    both.record(value);
  }
  left.add(right);
  t.same(left.summary(), both.summary());
  t.end();
});

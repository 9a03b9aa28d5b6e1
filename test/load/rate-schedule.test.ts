import t from 'tap';
import { formatRate, parseLoadRate } from '../../src/load/load-rate.js';
import { RateSchedule } from '../../src/load/rate-schedule.js';

t.test('batches are evenly spaced, and the writers take turns', (t) => {
  const schedule = new RateSchedule({ startMs: 500, batchesPerSecond: 100, writerCount: 4 });
  const dues = [0, 1, 2].flatMap((batch) =>
    [0, 1, 2, 3].map((writer) => schedule.dueMs(writer, batch)),
  );
  t.same(
    dues,
    dues.map((_, at) => 500 + at * 10),
  );
  t.end();
});

t.test('after a day the last batch is due to the microsecond', (t) => {
  const batchesPerSecond = 1_370.5;
  const schedule = new RateSchedule({ startMs: 0, batchesPerSecond, writerCount: 3 });
  const batch = Math.floor((batchesPerSecond * 86_400) / 3);
  const exactMs = (batch * 3 * 1_000) / batchesPerSecond;
  t.ok(Math.abs(schedule.dueMs(0, batch) - exactMs) < 0.001);
  t.end();
});

t.test('a rate of nothing is refused', (t) => {
  for (const batchesPerSecond of [0, -1, Number.NaN]) {
    t.throws(
      () => new RateSchedule({ startMs: 0, batchesPerSecond, writerCount: 1 }),
      /Expected more than 0 batches a second/,
    );
  }
  t.end();
});

t.test('a rate is bytes a second or a share', (t) => {
  for (const [text, rate] of [
    ['100MiB/s', { bytesPerSecond: 104_857_600 }],
    ['1.5 MB', { bytesPerSecond: 1_500_000 }],
    ['800/s', { bytesPerSecond: 800 }],
    ['50%', { share: 0.5 }],
    ['12.5 %', { share: 0.125 }],
    ['100%', { share: 1 }],
  ] as const) {
    t.same(parseLoadRate(text), rate, text);
  }
  for (const text of ['', '0', '0%', '101%', '-5%', 'fast', '5m', '10MiB/m', '0MiB/s', '50%/s']) {
    t.throws(
      () => parseLoadRate(text),
      { code: 'invalid_option', message: /as 100MiB\/s, or a share/ },
      text,
    );
  }
  t.equal(formatRate(104_857_600.4), '100 MiB/s');
  t.end();
});

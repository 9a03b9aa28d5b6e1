import t from 'tap';
import { formatBytes, formatDuration, parseQuantity } from '../../src/common/quantity.js';
import { resolveOptions, type SchemaForOptions } from '../../src/common/schema-options.js';
import { SeededRandom } from '../support/seeded-random.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const HOUR_MS = 3_600_000;

await t.test('sizes are read in units of 1024 and of 1000, in any case', async (t) => {
  const sizes: Readonly<Record<string, number>> = {
    '0': 0,
    '4096': 4096,
    '7b': 7,
    '20MiB': 20 * MIB,
    '20 mib': 20 * MIB,
    ' 20MiB ': 20 * MIB,
    '1.5GiB': 1536 * MIB,
    '1kB': 1_000,
    '2MB': 2_000_000,
    '3gb': 3_000_000_000,
    '4TB': 4_000_000_000_000,
    '1TiB': 1024 * 1024 * MIB,
    '0.5KiB': 512,
  };
  for (const [text, expected] of Object.entries(sizes)) {
    t.equal(parseQuantity('bytes', text), expected, text);
  }
});

await t.test('durations are read in milliseconds up to days', async (t) => {
  const durations: Readonly<Record<string, number>> = {
    '0': 0,
    '250ms': 250,
    '1.5s': 1_500,
    '10m': 600_000,
    '10 M': 600_000,
    '1h': HOUR_MS,
    '7d': 7 * 24 * HOUR_MS,
  };
  for (const [text, expected] of Object.entries(durations)) {
    t.equal(parseQuantity('duration', text), expected, text);
  }
});

await t.test('a text that is no quantity of its kind is refused, not guessed', async (t) => {
  for (const text of ['', ' ', 'MiB', '-1', '+1', '1e3', '.5', '5.', '1,5MiB', '0x10', '1MiBs']) {
    t.equal(parseQuantity('bytes', text), undefined, JSON.stringify(text));
  }
  for (const text of ['20M', '1m', '1s', '1h', 'Infinity', 'NaN', '1 Mi B', '1\nMiB', '٣']) {
    t.equal(parseQuantity('bytes', text), undefined, JSON.stringify(text));
  }
  for (const text of ['250', '1MiB', '1w', '1min', '1y', '10mm', 'm', '1h30m']) {
    t.equal(parseQuantity('duration', text), undefined, JSON.stringify(text));
  }
});

await t.test('a number that is not exact any more is refused', async (t) => {
  t.equal(parseQuantity('bytes', '8191TiB'), 8191 * 1024 * 1024 * MIB);
  t.equal(parseQuantity('bytes', '8192TiB'), undefined, '2^53 bytes');
  t.equal(parseQuantity('bytes', '999999999999999'), 999_999_999_999_999);
  t.equal(parseQuantity('bytes', '9999999999999999'), undefined, 'too many digits');
});

await t.test('sizes and durations are shown in the largest unit with a whole one', async (t) => {
  t.same([0, 1, 1023, KIB, 1536, 20 * MIB, 1024 * MIB - 1, 5 * 1024 ** 4].map(formatBytes), [
    '0 bytes',
    '1 byte',
    '1023 bytes',
    '1 KiB',
    '1.5 KiB',
    '20 MiB',
    '1024 MiB',
    '5 TiB',
  ]);
  t.same([0, 999, 1_000, 90_000, 600_000, 36 * HOUR_MS, 240 * HOUR_MS].map(formatDuration), [
    '0 ms',
    '999 ms',
    '1 s',
    '1.5 m',
    '10 m',
    '1.5 d',
    '10 d',
  ]);
});

await t.test('what is shown can be read, and is off by less than a hundredth', async (t) => {
  const random = new SeededRandom(7);
  for (let run = 0; run < 2_000; run += 1) {
    const value = Math.floor(2 ** (random.fraction() * 50));
    for (const [kind, format] of [
      ['bytes', formatBytes],
      ['duration', formatDuration],
    ] as const) {
      const read = parseQuantity(kind, format(value)) ?? Number.NaN;
      if (Math.abs(read - value) > value / 100) t.fail(`${value} became ${format(value)}`);
    }
  }
});

const schema: SchemaForOptions = {
  type: 'object',
  additionalProperties: false,
  properties: {
    size: { type: 'string', quantity: 'bytes', minimum: 1, default: '20 MiB' },
    wait: { type: 'string', quantity: 'duration' },
  },
};

function problemsOf(given: Readonly<Record<string, unknown>>): readonly string[] {
  const resolved = resolveOptions(schema, given);
  return resolved.ok ? [] : resolved.problems;
}

await t.test('an option with a quantity becomes a number, its default too', async (t) => {
  t.same(resolveOptions(schema, {}), { ok: true, options: { size: 20 * MIB } });
  t.same(resolveOptions(schema, { size: '1KiB', wait: '0' }), {
    ok: true,
    options: { size: KIB, wait: 0 },
  });
  t.same(
    resolveOptions(schema, { size: 4096, wait: 0 }),
    { ok: true, options: { size: 4096, wait: 0 } },
    'a number of a configuration file is one already',
  );
});

await t.test('what was given stays as it is, so that it can be checked again', async (t) => {
  const given = { size: '1KiB' };
  resolveOptions(schema, given);
  t.same(given, { size: '1KiB' });
});

await t.test('a wrong quantity is named with its value and what was expected', async (t) => {
  t.same(problemsOf({ size: '20M' }), [
    'Option size is "20M": it must be a number of bytes, or one with KiB, MiB, GiB or TiB, for example 20MiB.',
  ]);
  t.same(problemsOf({ wait: '1 week' }), [
    'Option wait is "1 week": it must be a number with ms, s, m, h or d, for example 10m.',
  ]);
  t.equal(problemsOf({ wait: 7 }).length, 1, 'nobody can tell whether days are meant');
  t.same(problemsOf({ size: '0' }), ['Option size is "0": it must be 1 or more.']);
  t.same(problemsOf({ size: '-1', wait: 'x' }).length, 2, 'every mistake is told at once');
  t.equal(problemsOf({ size: { bytes: 1 } }).length, 1);
  t.equal(problemsOf({ size: null }).length, 1);
});

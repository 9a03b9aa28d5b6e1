/** What a number with a unit in an option stands for. */
export type QuantityKind = 'bytes' | 'duration';

const byteUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
  kb: 1000,
  mb: 1000 ** 2,
  gb: 1000 ** 3,
  tb: 1000 ** 4,
};

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const units = { bytes: byteUnits, duration: durationUnits } as const;

/** What is accepted, for messages. */
export const quantityForms: Readonly<Record<QuantityKind, string>> = {
  bytes: 'a number of bytes, or one with KiB, MiB, GiB or TiB, for example 20MiB',
  duration: 'a number with ms, s, m, h or d, for example 10m',
};

/**
 * Reads `20MiB` as bytes or `10m` as milliseconds. Bytes may come without a unit, and so may 0; a duration may
 * not, because nobody can tell whether seconds or days are meant. `undefined` for other texts.
 */
export function parseQuantity(kind: QuantityKind, text: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]{0,3})$/.exec(text.trim());
  const [, digits, unit = ''] = match ?? [];
  const factor = Number(digits) === 0 ? 1 : units[kind][unit.toLowerCase()];
  if (digits === undefined || factor === undefined) return undefined;
  const value = Math.round(Number(digits) * factor);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** A size for people: `20 MiB`. */
export function formatBytes(byteCount: number): string {
  if (byteCount === 1) return '1 byte';
  return formatIn(
    [
      ['TiB', 1024 ** 4],
      ['GiB', 1024 ** 3],
      ['MiB', 1024 ** 2],
      ['KiB', 1024],
      ['bytes', 1],
    ],
    byteCount,
  );
}

/** A duration for people: `10 m`. */
export function formatDuration(milliseconds: number): string {
  return formatIn(
    [
      ['d', 86_400_000],
      ['h', 3_600_000],
      ['m', 60_000],
      ['s', 1_000],
      ['ms', 1],
    ],
    milliseconds,
  );
}

/** In the largest unit of which there is a whole one, with three digits where that is not exact. */
function formatIn(unitsFromLargest: readonly (readonly [string, number])[], value: number): string {
  const [name, factor] = unitsFromLargest.find(([, size]) => value >= size) ??
    unitsFromLargest.at(-1) ?? ['', 1];
  const count = value / factor;
  return `${count >= 100 ? Math.round(count) : Number(count.toPrecision(3))} ${name}`;
}

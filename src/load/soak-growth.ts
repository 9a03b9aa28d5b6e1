import type { Growth, SoakPeriod } from './bench-report.js';
import { median } from './median.js';

/** What is shorter has no thirds that tell anything: at a low rate a young heap still grows after two minutes. */
const periodCountMin = 6;
const secondsMin = 900;

/** What is more than this, and more than what is of no account, has grown. */
const growthRatioMax = 1.1;

interface Measure {
  readonly what: string;
  readonly unit: Growth['unit'];
  /** A difference up to this comes and goes: a young heap, a connection, a tick of the machine. */
  readonly differenceMax: number;
  readonly of: (period: SoakPeriod) => number | undefined;
}

const memoryBytesMax = 8 * 1024 ** 2;
const descriptorCountMax = 4;
const latencyMsMax = 1;
const backlogBytesMax = 16 * 1024 ** 2;

const measures: readonly Measure[] = [
  {
    what: 'memory of the node',
    unit: 'bytes',
    differenceMax: memoryBytesMax,
    of: ({ node }) => node?.residentBytes,
  },
  {
    what: 'descriptors of the node',
    unit: 'count',
    differenceMax: descriptorCountMax,
    of: ({ node }) => node?.descriptorCount,
  },
  {
    what: 'memory of the loader',
    unit: 'bytes',
    differenceMax: memoryBytesMax,
    of: ({ loader }) => loader?.residentBytes,
  },
  {
    what: 'descriptors of the loader',
    unit: 'count',
    differenceMax: descriptorCountMax,
    of: ({ loader }) => loader?.descriptorCount,
  },
  latency('write p50', ({ writeMs }) => writeMs?.p50),
  latency('write p99', ({ writeMs }) => writeMs?.p99),
  latency('end to end p50', ({ endToEndMs }) => endToEndMs?.p50),
  latency('end to end p99', ({ endToEndMs }) => endToEndMs?.p99),
  {
    what: 'backlog',
    unit: 'bytes',
    differenceMax: backlogBytesMax,
    of: ({ backlogBytes }) => backlogBytes,
  },
];

/** Compares the first third of a soak with its last one. Nothing for a soak that is too short. */
export function findGrowth(periods: readonly SoakPeriod[]): Growth[] {
  const seconds = periods.at(-1)?.endSeconds ?? 0;
  if (periods.length < periodCountMin || seconds < secondsMin) return [];
  const third = Math.floor(periods.length / 3);
  return measures.flatMap(({ what, unit, differenceMax, of }) => {
    const [first, last] = [periods.slice(0, third), periods.slice(-third)].map((part) =>
      part.map(of).filter((value) => value !== undefined),
    );
    if (first === undefined || last === undefined || first.length === 0 || last.length === 0) {
      return [];
    }
    const [before, after] = [median(first), median(last)];
    const hasGrown = after > before * growthRatioMax && after - before > differenceMax;
    return [{ what, unit, first: before, last: after, hasGrown }];
  });
}

function latency(what: string, of: Measure['of']): Measure {
  return { what, unit: 'ms', differenceMax: latencyMsMax, of };
}

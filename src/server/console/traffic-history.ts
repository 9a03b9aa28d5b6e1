import type { CategoryReport, NodeReport } from './node-report.js';

/** What moved between two reports, in bytes per second; NaN where that is not known. */
export interface Rates {
  readonly written: number;
  readonly copied: number;
  readonly read: number;
}

export interface Sample extends Rates {
  /** By the clock that never jumps. */
  readonly atMs: number;
  /** What all groups together have still to acknowledge. */
  readonly backlogBytes: number;
}

/** How far the charts look back. */
export const historyMs = 5 * 60_000;

/** One report a second, and some room for those that come faster after a reload. */
const sampleCountMax = 400;

/** Rates in numbers are over the last reports, so that one can read them. */
const smoothedCount = 3;

/** After a longer silence nobody knows what happened in between, so the chart has a gap. */
const gapMsMin = 6_000;

const unknownRates: Rates = { written: Number.NaN, copied: Number.NaN, read: Number.NaN };

interface Moment {
  readonly atMs: number;
  readonly startedAt: string;
  readonly total: Counters;
  /** By name: there may be thousands, and each is asked for with every report. */
  readonly categories: ReadonlyMap<string, CategoryReport>;
}

type Counters = Pick<CategoryReport, 'writtenBytes' | 'copiedBytes' | 'readBytes'>;

/** Keeps what the reports say of what moves. */
export class TrafficHistory {
  readonly #samples: Sample[] = [];
  #moments: Moment[] = [];

  get samples(): readonly Sample[] {
    return this.#samples;
  }

  add(report: NodeReport, atMs: number): void {
    const last = this.#moments.at(-1);
    // Counters begin again with every start of the node.
    if (last && (last.startedAt !== report.startedAt || atMs - last.atMs > gapMsMin)) {
      this.#moments = [];
    }
    const before = this.#moments.at(-1);
    const now = momentOf(report, atMs);
    this.#moments = [...this.#moments, now].slice(-1 - smoothedCount);
    const backlogBytes = report.categories
      .flatMap(({ groups }) => groups)
      .reduce((sum, { bytes }) => sum + bytes, 0);
    this.#samples.push({ atMs, backlogBytes, ...ratesBetween(before, now, totalOf) });
    const from = this.#samples.findIndex((sample) => sample.atMs >= atMs - historyMs);
    this.#samples.splice(0, Math.max(from, this.#samples.length - sampleCountMax));
  }

  /** How fast all categories move now, or one. */
  rates(category?: string): Rates {
    const [first] = this.#moments;
    const last = this.#moments.at(-1);
    if (first === undefined || last === undefined) return unknownRates;
    const countersOf =
      category === undefined
        ? totalOf
        : ({ categories }: Moment): Counters => categories.get(category) ?? noCounters;
    return ratesBetween(first, last, countersOf);
  }

  /** How fast the backlog of a group shrinks, in bytes per second; negative when it grows. */
  drainRate(category: string, group: string): number {
    const [first] = this.#moments;
    const last = this.#moments.at(-1);
    if (first === undefined || last === undefined || first === last) return Number.NaN;
    const seconds = (last.atMs - first.atMs) / 1_000;
    return (backlogIn(first, category, group) - backlogIn(last, category, group)) / seconds;
  }
}

const noCounters: Counters = { writtenBytes: 0, copiedBytes: 0, readBytes: 0 };

function momentOf({ startedAt, categories }: NodeReport, atMs: number): Moment {
  const sum = (field: keyof Counters): number =>
    categories.reduce((bytes, category) => bytes + category[field], 0);
  const total = {
    writtenBytes: sum('writtenBytes'),
    copiedBytes: sum('copiedBytes'),
    readBytes: sum('readBytes'),
  };
  return { atMs, startedAt, total, categories: new Map(categories.map((one) => [one.name, one])) };
}

function totalOf({ total }: Moment): Counters {
  return total;
}

function ratesBetween(
  before: Moment | undefined,
  now: Moment,
  countersOf: (moment: Moment) => Counters,
): Rates {
  if (before === undefined || before.atMs >= now.atMs) return unknownRates;
  const seconds = (now.atMs - before.atMs) / 1_000;
  const [earlier, later] = [countersOf(before), countersOf(now)];
  const rate = (field: keyof Counters): number =>
    Math.max(0, later[field] - earlier[field]) / seconds;
  return { written: rate('writtenBytes'), copied: rate('copiedBytes'), read: rate('readBytes') };
}

function backlogIn({ categories }: Moment, category: string, group: string): number {
  const groups = categories.get(category)?.groups ?? [];
  return groups.find((report) => report.group === group)?.bytes ?? Number.NaN;
}

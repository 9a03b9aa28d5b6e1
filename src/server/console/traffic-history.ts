import type { NodeReport } from './node-report.js';

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
  readonly report: NodeReport;
}

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
    if (last && (last.report.startedAt !== report.startedAt || atMs - last.atMs > gapMsMin)) {
      this.#moments = [];
    }
    const before = this.#moments.at(-1);
    const now = { atMs, report };
    this.#moments = [...this.#moments, now].slice(-1 - smoothedCount);
    const backlogBytes = report.categories
      .flatMap(({ groups }) => groups)
      .reduce((sum, { bytes }) => sum + bytes, 0);
    this.#samples.push({ atMs, backlogBytes, ...ratesBetween(before, now) });
    const from = this.#samples.findIndex((sample) => sample.atMs >= atMs - historyMs);
    this.#samples.splice(0, Math.max(from, this.#samples.length - sampleCountMax));
  }

  /** How fast all categories move now, or one. */
  rates(category?: string): Rates {
    const [first] = this.#moments;
    const last = this.#moments.at(-1);
    return first === undefined || last === undefined
      ? unknownRates
      : ratesBetween(first, last, category);
  }

  /** How fast the backlog of a group shrinks, in bytes per second; negative when it grows. */
  drainRate(category: string, group: string): number {
    const [first] = this.#moments;
    const last = this.#moments.at(-1);
    if (first === undefined || last === undefined || first === last) return Number.NaN;
    const seconds = (last.atMs - first.atMs) / 1_000;
    return (
      (backlogIn(first.report, category, group) - backlogIn(last.report, category, group)) / seconds
    );
  }
}

function ratesBetween(before: Moment | undefined, now: Moment, category?: string): Rates {
  if (before === undefined || before.atMs >= now.atMs) return unknownRates;
  const seconds = (now.atMs - before.atMs) / 1_000;
  const rate = (field: 'writtenBytes' | 'copiedBytes' | 'readBytes'): number =>
    Math.max(0, sumOf(now.report, field, category) - sumOf(before.report, field, category)) /
    seconds;
  return { written: rate('writtenBytes'), copied: rate('copiedBytes'), read: rate('readBytes') };
}

function sumOf(
  { categories }: NodeReport,
  field: 'writtenBytes' | 'copiedBytes' | 'readBytes',
  category: string | undefined,
): number {
  return categories
    .filter(({ name }) => name === (category ?? name))
    .reduce((sum, report) => sum + report[field], 0);
}

function backlogIn({ categories }: NodeReport, category: string, group: string): number {
  const groups = categories.find(({ name }) => name === category)?.groups ?? [];
  return groups.find((report) => report.group === group)?.bytes ?? Number.NaN;
}

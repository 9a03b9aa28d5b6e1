import type { Clock } from '../common/clock.js';
import { detachedText } from '../common/detached-text.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import {
  type PipelineKind,
  type PipelineReport,
  type PipelineStatus,
  pipelineReportBytesMax,
  pipelineReportHoldsMs,
} from '../protocol/pipeline-report.js';

/** Which pipeline a report is of. Those of other kinds or categories may have the same name. */
export interface PipelineKey {
  readonly kind: PipelineKind;
  readonly category: string;
  readonly name: string;
}

interface BoardEntry extends PipelineKey {
  readonly report: PipelineReport;
  readonly atMs: number;
}

/** How many pipelines are kept in mind: with the largest report of each, 4 MiB. */
export const pipelineCountMax = (4 * 1024 ** 2) / pipelineReportBytesMax;

/**
 * What the pipelines that work with this node say of themselves, in memory. A report holds until some that should follow it
 * were missed; then the pipeline is gone, whatever became of it.
 */
export class PipelineBoard {
  readonly #clock: Clock;
  /** By kind, category and name; those that reported last are at the end. */
  readonly #entries = new Map<string, BoardEntry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes a report in the place of the last one. Throws `too_many_pipelines` for one more than there is room for. */
  put({ kind, ...of }: PipelineKey, report: PipelineReport): void {
    this.#forgetOld();
    const category = detachedText(of.category);
    const name = detachedText(of.name);
    const key = detachedText(`${kind}/${category}/${name}`);
    if (!this.#entries.has(key) && this.#entries.size >= pipelineCountMax) {
      throw new ChukchaError(
        'too_many_pipelines',
        `${pipelineCountMax} pipelines report to this node, and it keeps no more in mind: ${kind} ${name} is not shown here; its work goes on.`,
      );
    }
    this.#entries.delete(key);
    this.#entries.set(key, { kind, category, name, report, atMs: this.#clock.monotonicMs() });
  }

  /** By kind, then by name, then by category. */
  list(): PipelineStatus[] {
    this.#forgetOld();
    const nowMs = this.#clock.monotonicMs();
    return [...this.#entries]
      .sort(([, left], [, right]) => compareKeys(left, right))
      .map(([, { report, kind, category, name, atMs }]) => ({
        name,
        kind,
        category,
        ...report,
        reportedSecondsAgo: Math.floor((nowMs - atMs) / 1_000),
      }));
  }

  #forgetOld(): void {
    const untilMs = this.#clock.monotonicMs() - pipelineReportHoldsMs;
    for (const [key, { atMs }] of this.#entries) {
      if (atMs > untilMs) return;
      this.#entries.delete(key);
    }
  }
}

function compareKeys(left: PipelineKey, right: PipelineKey): number {
  for (const field of ['kind', 'name', 'category'] as const) {
    if (left[field] !== right[field]) return left[field] < right[field] ? -1 : 1;
  }
  return 0;
}

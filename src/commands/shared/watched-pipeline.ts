import { hostname } from 'node:os';
import { systemClock } from '../../common/clock.js';
import { createDeferred } from '../../common/deferred.js';
import { RateMeter } from '../../common/rate-meter.js';
import type { PipelineStanding } from '../../pipeline/pipeline-standing.js';
import type { MetricsBook, PluginFigure } from '../../plugin-host/metrics-book.js';
import {
  type PipelineKind,
  type PipelineReport,
  toReportText,
} from '../../protocol/pipeline-report.js';

/** What the engine of a pipeline has done since its start. */
export interface PipelineTotals {
  /** That the bus has accepted, or the target. */
  readonly bytes: number;
  readonly messages: number;
  /** Bytes that an input gave; 0 for a sink. */
  readonly readBytes: number;
  readonly deadLetters: number;
  readonly duplicates: number;
}

export interface WatchedPipelineOptions {
  readonly kind: PipelineKind;
  readonly category: string;
  readonly plugin: string;
  readonly group: string | null;
  readonly standing: PipelineStanding;
  /** What the plugin counts. */
  readonly figures: MetricsBook;
  readonly totals: () => PipelineTotals;
  /** What there is still to do, in bytes; `undefined` when nobody can say. */
  readonly backlog: () => Promise<number | undefined>;
}

/** How long the backlog is waited for: a node that does not answer has no say in how a pipeline stands. */
const backlogMsMax = 1_500;

/** How far back the pace of the backlog is taken from, as that of what is done. */
const windowMs = 60_000;

const wordLengthMax = 128;

/** A ship or a sink that runs, as those see it who watch it: a monitor, and the nodes that it reports to. */
export class WatchedPipeline {
  readonly category: string;
  readonly #options: WatchedPipelineOptions;
  readonly #rate = new RateMeter(true);
  /** The backlog as it was in the last minute, the oldest first. */
  #looks: readonly { readonly atMs: number; readonly bytes: number }[] = [];
  #backlogBytes: number | null = null;
  #looking: Promise<void> | undefined;

  constructor(options: WatchedPipelineOptions) {
    this.category = options.category;
    this.#options = options;
  }

  get totals(): PipelineTotals {
    return this.#options.totals();
  }

  /** As `PipelineStanding.secondsFailing`. */
  get secondsFailing(): number | undefined {
    return this.#options.standing.secondsFailing;
  }

  /** What the plugin counts, by names that say what kind of plugin it is. */
  get figures(): PluginFigure[] {
    const { kind, plugin, figures } = this.#options;
    const prefix = `${kind === 'ship' ? 'input' : 'output'}_${plugin.replaceAll('-', '_')}_`;
    return figures.list().map((figure) => ({ ...figure, name: prefix + figure.name }));
  }

  /** Takes a look at the backlog; never rejects. Looks that come together are one. */
  refresh(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** How it stands, with the backlog as it was looked at last. */
  report(): PipelineReport {
    const { plugin, group, standing } = this.#options;
    const { bytes, messages, deadLetters, duplicates } = this.totals;
    this.#rate.add(systemClock.monotonicMs(), bytes);
    const { lastFailure } = standing;
    return {
      host: toReportText(hostname(), wordLengthMax),
      plugin: toReportText(plugin, wordLengthMax),
      group,
      state: standing.state,
      bytesPerSecond: rounded(this.#rate.perSecond),
      backlogBytes: this.#backlogBytes,
      secondsLeft: this.#secondsLeft(),
      lastError: lastFailure === undefined ? null : toReportText(lastFailure.sentence),
      lastErrorClass: lastFailure?.class ?? null,
      secondsSinceSuccess: rounded(standing.secondsSinceSuccess ?? null),
      bytes,
      messages,
      retries: standing.retryCount,
      deadLetters,
      duplicates,
    };
  }

  async #look(): Promise<void> {
    const end = createDeferred<undefined>();
    const timer = systemClock.after(backlogMsMax, () => end.resolve(undefined));
    const asked = this.#options.backlog().catch(() => undefined);
    const bytes = await Promise.race([asked, end.promise]);
    timer.cancel();
    this.#backlogBytes = bytes ?? null;
    const atMs = systemClock.monotonicMs();
    const kept = this.#looks.filter((look) => atMs - look.atMs <= windowMs);
    this.#looks = bytes === undefined ? kept : [...kept, { atMs, bytes }];
  }

  #secondsLeft(): number | null {
    if (this.#backlogBytes === null) return null;
    if (this.#backlogBytes === 0) return 0;
    const [first] = this.#looks;
    const last = this.#looks.at(-1);
    if (first === undefined || last === undefined || last.bytes >= first.bytes) return null;
    const bytesPerMs = (first.bytes - last.bytes) / (last.atMs - first.atMs);
    return Math.round(this.#backlogBytes / bytesPerMs / 1_000);
  }
}

function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(value * 10) / 10;
}

import { DurationCounts, histogramHead } from '../common/duration-counts.js';
import { ConnectionCounts } from './connection-counts.js';

/** A label and how often it was counted. */
export interface RequestCount {
  readonly route: string;
  readonly status: number;
  readonly count: number;
}

/** What is counted of one route. */
interface RouteCounts {
  readonly statuses: Map<number, number>;
  readonly durations: DurationCounts;
}

/** Upper bounds of the buckets, in seconds: few, because each route has them all. A write in memory takes less than the first. */
const durationBounds = [0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 2, 10];

/** Counts what the node answers. Routes, statuses and codes come from tables, so that there are only so many. */
export class RequestCounts {
  duplicateCount = 0;
  readonly connections = new ConnectionCounts();
  readonly #routes = new Map<string, RouteCounts>();
  readonly #refusals = new Map<string, number>();

  /**
   * @param route the pattern of a route, never the path of a request
   * @param microseconds as `TimedRequest` has it
   */
  answered(route: string, status: number, microseconds: number): void {
    let counts = this.#routes.get(route);
    if (counts === undefined) {
      counts = { statuses: new Map(), durations: new DurationCounts(durationBounds) };
      this.#routes.set(route, counts);
    }
    counts.statuses.set(status, (counts.statuses.get(status) ?? 0) + 1);
    counts.durations.observe(microseconds);
  }

  refused(code: string): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1);
  }

  get requests(): readonly RequestCount[] {
    return [...this.#routes].flatMap(([route, { statuses }]) =>
      [...statuses].map(([status, count]) => ({ route, status, count })),
    );
  }

  get refusals(): ReadonlyMap<string, number> {
    return this.#refusals;
  }

  /** How long answers took, by route, as a histogram in the text form of Prometheus. */
  durationsText(name: string, help: string): string {
    // The patterns of routes have no character that the two forms of quoting treat differently.
    const series = [...this.#routes].map(([route, { durations }]) =>
      durations.samples(name, `route=${JSON.stringify(route)}`),
    );
    return `${histogramHead(name, help)}${series.join('')}`;
  }
}

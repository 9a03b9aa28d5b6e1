import { ConnectionCounts } from './connection-counts.js';

/** A label and how often it was counted. */
export interface RequestCount {
  readonly route: string;
  readonly status: number;
  readonly count: number;
}

/** Counts what the node answers. Routes, statuses and codes come from tables, so that there are only so many. */
export class RequestCounts {
  duplicateCount = 0;
  readonly connections = new ConnectionCounts();
  readonly #requests = new Map<string, Map<number, number>>();
  readonly #refusals = new Map<string, number>();

  /** @param route the pattern of a route, never the path of a request */
  answered(route: string, status: number): void {
    let statuses = this.#requests.get(route);
    if (statuses === undefined) {
      statuses = new Map();
      this.#requests.set(route, statuses);
    }
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }

  refused(code: string): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1);
  }

  get requests(): readonly RequestCount[] {
    return [...this.#requests].flatMap(([route, statuses]) =>
      [...statuses].map(([status, count]) => ({ route, status, count })),
    );
  }

  get refusals(): ReadonlyMap<string, number> {
    return this.#refusals;
  }
}

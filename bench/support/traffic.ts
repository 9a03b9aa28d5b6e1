import type { ServerResponse } from 'node:http';

/** Where a target tells what it was sent. */
export const trafficPath = '/traffic';

/** What a target was sent since it was last asked. */
export interface TrafficFigures {
  readonly requestCount: number;
  readonly byteCount: number;
  /** From the first request to the last answer. */
  readonly milliseconds: number;
}

/** Counts what a target is sent, on the target's side, so that the start and the end of a sender are not in it. */
export class Traffic {
  #requestCount = 0;
  #byteCount = 0;
  #firstMs = 0;
  #lastMs = 0;

  begin(): void {
    if (this.#requestCount === 0) this.#firstMs = performance.now();
    this.#requestCount += 1;
  }

  add(byteCount: number): void {
    this.#byteCount += byteCount;
  }

  end(): void {
    this.#lastMs = performance.now();
  }

  /** Tells the figures, and begins anew. */
  answer(response: ServerResponse): void {
    const figures: TrafficFigures = {
      requestCount: this.#requestCount,
      byteCount: this.#byteCount,
      milliseconds: this.#lastMs - this.#firstMs,
    };
    this.#requestCount = 0;
    this.#byteCount = 0;
    response.end(JSON.stringify(figures));
  }
}

export async function readTraffic(url: URL): Promise<TrafficFigures> {
  const answer = await fetch(new URL(trafficPath, url));
  return (await answer.json()) as TrafficFigures;
}

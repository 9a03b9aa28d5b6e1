/**
 * A histogram of durations for what happens some ten thousand times a second: one of prom-client costs a microsecond
 * each time, which is a part of what is measured. An observation of whole microseconds makes no object here.
 */
export class DurationCounts {
  /** In seconds. */
  readonly #bounds: readonly number[];
  readonly #boundsMicroseconds: Float64Array;
  /** For each bucket how many are in it alone; the last one has no bound. */
  readonly #counts: Float64Array;
  /** In an array, where a number is changed in place. */
  readonly #sumMicroseconds = new Float64Array(1);

  /** @param bounds the upper bounds of the buckets in seconds, rising; behind the last there is one more without */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#boundsMicroseconds = Float64Array.from(bounds, (seconds) => Math.round(seconds * 1e6));
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(microseconds: number): void {
    const bounds = this.#boundsMicroseconds;
    const counts = this.#counts;
    let at = 0;
    while (at < bounds.length && microseconds > (bounds[at] as number)) at += 1;
    counts[at] = (counts[at] as number) + 1;
    this.#sumMicroseconds[0] = (this.#sumMicroseconds[0] as number) + microseconds;
  }

  /**
   * The samples in the text form of Prometheus.
   *
   * @param label what tells this series from others of the metric, such as `route="/write"`
   */
  samples(name: string, label?: string): string {
    let count = 0;
    const [labels, more] = label === undefined ? ['', ''] : [`{${label}}`, `${label},`];
    const buckets = [...this.#bounds, '+Inf'].map((bound, at) => {
      count += this.#counts[at] as number;
      return `${name}_bucket{${more}le="${bound}"} ${count}\n`;
    });
    const [sumMicroseconds = 0] = this.#sumMicroseconds;
    const sumSeconds = sumMicroseconds / 1e6;
    return `${buckets.join('')}${name}_sum${labels} ${sumSeconds}\n${name}_count${labels} ${count}\n`;
  }
}

/** What stands in front of the samples of a histogram. */
export function histogramHead(name: string, help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} histogram\n`;
}

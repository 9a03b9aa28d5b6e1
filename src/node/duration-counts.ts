/** Upper bounds of the buckets, in seconds; behind the last one there is one without a bound. */
const bounds = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

/**
 * A histogram of durations for what happens some ten thousand times a second: one of prom-client costs a microsecond
 * each time, which is a part of what is measured.
 */
export class DurationCounts {
  readonly #counts = new Float64Array(bounds.length + 1);
  #sumSeconds = 0;

  observe(seconds: number): void {
    this.#sumSeconds += seconds;
    let at = 0;
    while (at < bounds.length && seconds > (bounds[at] as number)) at += 1;
    this.#counts[at] = (this.#counts[at] as number) + 1;
  }

  /** In the text form of Prometheus. */
  text(name: string, help: string): string {
    let count = 0;
    const buckets = [...bounds, '+Inf'].map((bound, at) => {
      count += this.#counts[at] as number;
      return `${name}_bucket{le="${bound}"} ${count}`;
    });
    const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`, ...buckets];
    return `${[...lines, `${name}_sum ${this.#sumSeconds}`, `${name}_count ${count}`].join('\n')}\n`;
  }
}

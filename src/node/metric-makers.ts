import { Counter, Gauge, type Registry } from 'prom-client';

/** So many series a metric by category, group or peer has at most; the rest is left out, and counted. */
export const seriesCountMax = 1_000;

/** Returns what makes metrics that belong to a registry. */
export function metricMakers(registry: Registry) {
  const registers = [registry];
  return {
    gauge: <Label extends string = never>(
      name: string,
      help: string,
      labelNames: readonly Label[] = [],
    ) => new Gauge({ name, help, labelNames, registers }),
    counter: <Label extends string = never>(
      name: string,
      help: string,
      labelNames: readonly Label[] = [],
    ) => new Counter({ name, help, labelNames, registers }),
  };
}

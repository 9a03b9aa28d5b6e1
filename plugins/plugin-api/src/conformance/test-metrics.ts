import type { PluginMetrics } from '../plugin-metrics.js';

/** Metrics that a test can look at. */
export interface TestMetrics extends PluginMetrics {
  /** The figures by their names. */
  readonly values: ReadonlyMap<string, number>;
}

export function createTestMetrics(): TestMetrics {
  const values = new Map<string, number>();
  const change = (name: string, value: number): void => {
    values.set(name, value);
  };
  return {
    values,
    counter: (name) => ({ add: (count = 1) => change(name, (values.get(name) ?? 0) + count) }),
    gauge: (name) => ({ set: (value) => change(name, value) }),
  };
}

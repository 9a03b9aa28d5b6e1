/** A number that only grows. */
export interface PluginCounter {
  /** @param count by how much; above 0. @default 1 */
  add(count?: number): void;
}

/** A number that goes up and down. */
export interface PluginGauge {
  set(value: number): void;
}

/**
 * Figures of a plugin that the host shows with its own. A name is snake_case, has its unit last, and a counter
 * ends in `_total`; the host puts `chukcha_<kind>_<plugin>_` in front. The same name gives the same figure.
 */
export interface PluginMetrics {
  /** @param help one sentence: what it counts */
  counter(name: string, help: string): PluginCounter;
  gauge(name: string, help: string): PluginGauge;
}

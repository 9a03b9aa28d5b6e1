/** What every benchmark is told. */
export interface BenchOptions {
  /** Fewer rounds and smaller volumes: whether the figures are sane, not what they are. */
  readonly quick: boolean;
  /** Compare the first server with itself, which shows the noise of the method. */
  readonly self: boolean;
}

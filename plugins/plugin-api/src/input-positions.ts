/** How far a source was accepted, as an input remembers it. */
export interface SourcePosition {
  /** What people call the source, such as the path of a file. */
  readonly source: string;
  /** Tells it from others of the same name. */
  readonly id: string;
  /** Everything before it was accepted, in bytes of what the input reads. */
  readonly offset: number;
}

/** The remembered positions of an input that does not run. */
export interface InputPositions {
  list(): readonly SourcePosition[];
  /**
   * The next run goes on from this place of the source. Throws a `PluginError` of kind `operator` for a source
   * that is not there, or a place that it does not have.
   */
  set(id: string, offset: number): Promise<void>;
  /** The next run takes the source for one that it has never seen. */
  forget(id: string): Promise<void>;
}

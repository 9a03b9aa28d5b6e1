/** One rule of the contract, to be run as a test by whatever runner the author of a plugin likes. */
export interface ConformanceCase {
  /** A plain sentence, for the name of the test. */
  readonly name: string;
  /** Resolves when the rule is kept and throws when it is not. Each call starts from nothing. */
  run(): Promise<void>;
}

/** A call that did not succeed, with a sentence for people. */
export class CallError extends Error {
  /** The status of the answer; 0 when there was none. */
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CallError';
    this.status = status;
  }

  /** Whether a token, or another one, is what is missing. */
  get isRefusal(): boolean {
    return this.status === 401 || this.status === 403;
  }
}

/** What to tell people of something that was thrown. */
export function sentenceOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

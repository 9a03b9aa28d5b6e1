/** One thing that `doctor` looked at. */
export interface Finding {
  /** What was looked at, in a word or two. */
  readonly about: string;
  /** `warning`: it works, and may soon not; `failed`: something does not work. */
  readonly result: 'ok' | 'warning' | 'failed';
  /** A sentence with the value that was found. */
  readonly detail: string;
  /** What mends it: a command or a sentence; always there unless the result is `ok`. */
  readonly fix?: string;
}

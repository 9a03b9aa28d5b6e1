import type { Ending } from './framing.js';

export interface QuietEndOptions {
  /** After how much quiet a last line without an end is a message; 0 for never. */
  readonly partialLineMs: number;
  /** After how much quiet the lines of a message are all there. */
  readonly multilineTimeoutMs: number;
  /** Whether lines are joined to messages. */
  readonly isGrouping: boolean;
}

/** Knows since when a source has its end where it is, and what that makes of its last bytes. */
export class QuietEnd {
  /** Where the source ended when it was read last, in bytes; -1 before that. */
  offset = -1;
  readonly #options: QuietEndOptions;
  #sinceMs = 0;

  constructor(options: QuietEndOptions) {
    this.#options = options;
  }

  /** The source ends at this offset now. */
  ending(offset: number): Ending {
    const nowMs = performance.now();
    if (this.offset !== offset) {
      this.offset = offset;
      this.#sinceMs = nowMs;
    }
    const quietMs = nowMs - this.#sinceMs;
    const { partialLineMs, multilineTimeoutMs, isGrouping } = this.#options;
    if (partialLineMs > 0 && quietMs >= partialLineMs) return 'closed';
    return isGrouping && quietMs >= multilineTimeoutMs ? 'lines' : 'open';
  }

  /** When the ending will be another one, on the clock of `performance.now`. */
  nextChangeAtMs(): number {
    const { partialLineMs, multilineTimeoutMs, isGrouping } = this.#options;
    const waits = [
      ...(partialLineMs > 0 ? [partialLineMs] : []),
      ...(isGrouping ? [multilineTimeoutMs] : []),
    ];
    const nowMs = performance.now();
    return Math.min(
      ...waits.map((waitMs) => this.#sinceMs + waitMs).filter((atMs) => atMs > nowMs),
    );
  }
}

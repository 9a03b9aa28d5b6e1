import { type Clock, systemClock, type Timer } from '../../common/clock.js';
import type { LogFields } from '../../common/logger.js';
import { escapeUnprintable } from '../../common/printable.js';
import { formatBytes, formatDuration } from '../../common/quantity.js';
import type { CommandLog } from './command-log.js';
import { standardError } from './standard-error.js';

/** How often a terminal's line is drawn anew, and how often a line is added to a log. */
const terminalMs = 1_000;
const logMs = 30_000;

export interface ProgressOptions {
  /** What else there is to say; empty for nothing. */
  readonly note?: () => string;
  /** How much there is still to do, in bytes; `undefined` when that is not known. */
  readonly backlog?: () => Promise<number | undefined>;
  /** @default the system's */
  readonly clock?: Clock;
}

/**
 * Shows how far long work has come, on standard error: one changing line on a terminal, a line now and then elsewhere, and
 * lines of the log where these are for programs.
 */
export class Progress {
  readonly #log: CommandLog;
  readonly #verb: string;
  readonly #byteCount: () => number;
  readonly #options: ProgressOptions;
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #onTerminal: boolean;
  #shownBytes = 0;
  #shownMs: number;
  #lastError = '';
  #timer: Timer | undefined;
  #isFinished = false;

  /**
   * @param log where it is shown
   * @param verb what is done with the bytes, such as `shipped`
   * @param byteCount tells how many bytes are done
   */
  constructor(
    log: CommandLog,
    verb: string,
    byteCount: () => number,
    options: ProgressOptions = {},
  ) {
    this.#log = log;
    this.#verb = verb;
    this.#byteCount = byteCount;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#startMs = this.#clock.monotonicMs();
    this.#shownMs = this.#startMs;
    // Where messages go to the same terminal, a line that changes in place would run through them.
    this.#onTerminal =
      log.format === 'text' && process.stderr.isTTY === true && process.stdout.isTTY !== true;
    this.#schedule();
  }

  /** Something failed that is tried again. */
  problem(sentence: string): void {
    if (sentence === this.#lastError) return;
    this.#lastError = sentence;
    if (this.#isForPrograms) {
      this.#log.warn('Something failed and is tried again.', { error: sentence });
      return;
    }
    this.#print(`${this.#clear()}Warning: ${escapeUnprintable(sentence)} Trying again.\n`);
  }

  /** Stops and prints the sum. */
  finish(): void {
    this.#isFinished = true;
    this.#timer?.cancel();
    const seconds = (this.#clock.monotonicMs() - this.#startMs) / 1_000;
    const byteCount = this.#byteCount();
    if (this.#isForPrograms) {
      this.#log.info('The work has ended.', { ...this.#fields(byteCount), seconds });
      return;
    }
    const rate = formatBytes(byteCount / Math.max(seconds, 0.001));
    const note = this.#note();
    this.#print(
      `${this.#clear()}${byteCount} bytes ${this.#verb} in ${seconds.toFixed(1)} s (${rate}/s)${note}.\n`,
    );
  }

  #schedule(): void {
    this.#timer = this.#clock.after(this.#onTerminal ? terminalMs : logMs, () => {
      void this.#show().then(() => {
        if (!this.#isFinished) this.#schedule();
      });
    });
  }

  async #show(): Promise<void> {
    const backlog = await this.#options.backlog?.();
    if (this.#isFinished) return;
    const nowMs = this.#clock.monotonicMs();
    const byteCount = this.#byteCount();
    const rate = ((byteCount - this.#shownBytes) * 1_000) / (nowMs - this.#shownMs);
    this.#shownBytes = byteCount;
    this.#shownMs = nowMs;
    if (rate > 0) this.#lastError = '';
    if (this.#isForPrograms) {
      this.#log.info('How far the work has come.', {
        ...this.#fields(byteCount),
        bytesPerSecond: Math.round(rate),
        bytesLeft: backlog,
      });
      return;
    }
    const left = backlog === undefined ? '' : `, ${describeBacklog(backlog, rate)}`;
    const error = this.#lastError && `, last error: ${escapeUnprintable(this.#lastError)}`;
    const line = `${formatBytes(byteCount)} ${this.#verb}, ${formatBytes(rate)}/s${left}${this.#note()}${error}`;
    this.#print(
      this.#onTerminal
        ? `${this.#clear()}${line.slice(0, (process.stderr.columns ?? 80) - 1)}`
        : `${line}\n`,
    );
  }

  get #isForPrograms(): boolean {
    return this.#log.format === 'json';
  }

  #fields(bytes: number): LogFields {
    const note = this.#options.note?.() || undefined;
    return { verb: this.#verb, bytes, note, lastError: this.#lastError || undefined };
  }

  #note(): string {
    const note = this.#options.note?.() ?? '';
    return note && `, ${note}`;
  }

  #clear(): string {
    return this.#onTerminal ? '\r\u001b[K' : '';
  }

  #print(text: string): void {
    standardError().print(text);
  }
}

function describeBacklog(bytes: number, rate: number): string {
  if (bytes === 0 || rate <= 0) return `${formatBytes(bytes)} left`;
  return `${formatBytes(bytes)} left (${formatDuration((bytes / rate) * 1_000)})`;
}

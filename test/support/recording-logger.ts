import type { LogFields, Logger, LogLevel } from '../../src/common/logger.js';

export interface LogEntry {
  readonly level: LogLevel;
  readonly sentence: string;
  readonly fields: LogFields;
}

/** Keeps what was logged, as far as it is logged without being asked for, for the test to look at or to wait for. */
export class RecordingLogger implements Logger {
  readonly entries: LogEntry[] = [];
  readonly #keepsAll: boolean;
  #waiters: (() => void)[] = [];

  /** @param keepsAll whether also what is logged only for who looks for faults */
  constructor(keepsAll = false) {
    this.#keepsAll = keepsAll;
  }

  trace(sentence: string, fields?: LogFields): void {
    if (this.#keepsAll) this.#record('trace', sentence, fields);
  }

  debug(sentence: string, fields?: LogFields): void {
    if (this.#keepsAll) this.#record('debug', sentence, fields);
  }

  info(sentence: string, fields?: LogFields): void {
    this.#record('info', sentence, fields);
  }

  warn(sentence: string, fields?: LogFields): void {
    this.#record('warn', sentence, fields);
  }

  error(sentence: string, fields?: LogFields): void {
    this.#record('error', sentence, fields);
  }

  /** The first entry of the level, which may be there already. */
  async first(level: LogLevel): Promise<LogEntry> {
    for (;;) {
      const entry = this.entries.find((logged) => logged.level === level);
      if (entry !== undefined) return entry;
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  #record(level: LogLevel, sentence: string, fields: LogFields = {}): void {
    this.entries.push({ level, sentence, fields });
    for (const wake of this.#waiters.splice(0)) wake();
  }
}

import { systemClock } from '../../common/clock.js';
import type { LogFields, Logger, LogLevel, LogRecord } from '../../common/logger.js';
import { createLogger } from '../../common/logger.js';
import { escapeLines } from '../../common/printable.js';
import { textLogLine } from '../../common/text-log-line.js';
import { standardError } from './standard-error.js';

export type LogFormat = 'text' | 'json';

/**
 * All that a command tells on standard error: log lines, and what it says to people, who get it as it is with the format
 * `text`; with `json` it becomes lines too, so that a program can read all of them.
 */
export class CommandLog implements Logger {
  readonly #logger: Logger;
  #level: LogLevel = 'info';
  #isDebugging = false;
  #format: LogFormat = 'text';
  #toLine: (record: LogRecord) => string = textLogLine;

  constructor() {
    const level = (): LogLevel => {
      return this.#isDebugging && this.#level !== 'trace' ? 'debug' : this.#level;
    };
    const write = (record: LogRecord): void => this.#print(this.#toLine(record));
    this.#logger = createLogger({ level, clock: systemClock, write });
  }

  get format(): LogFormat {
    return this.#format;
  }

  /** From now on. */
  async configure(level: LogLevel, format: LogFormat): Promise<void> {
    this.#level = level;
    if (format === this.#format) return;
    if (format === 'text') this.#toLine = textLogLine;
    else {
      // Only then: pino takes 30 ms to load.
      const { createJsonLogLines } = await import('../../common/json-log-lines.js');
      this.#toLine = createJsonLogLines();
    }
    this.#format = format;
  }

  /** Logs what is for those who look for a fault, or stops doing so. */
  toggleDebugging(): void {
    this.#isDebugging = !this.#isDebugging;
    this.info('The level of the log was changed by SIGUSR2.', {
      levelNow: this.#isDebugging ? 'debug' : this.#level,
    });
  }

  /** Tells people a sentence. */
  say(sentence: string): void {
    if (this.#format === 'json') this.info('The command says something.', { sentence });
    else this.#print(`${escapeLines(sentence)}\n`);
  }

  /** Tells with what the command has failed. */
  fail(sentence: string, exitCode: number): void {
    if (this.#format === 'json')
      this.error('The command has failed.', { error: sentence, exitCode });
    // Lines after the first one stand back, so that no text of a server can pass for a line of the log.
    else this.#print(`Error: ${escapeLines(sentence).replaceAll('\n', '\n  ')}\n`);
  }

  trace(sentence: string, fields?: LogFields): void {
    this.#logger.trace(sentence, fields);
  }

  debug(sentence: string, fields?: LogFields): void {
    this.#logger.debug(sentence, fields);
  }

  info(sentence: string, fields?: LogFields): void {
    this.#logger.info(sentence, fields);
  }

  warn(sentence: string, fields?: LogFields): void {
    this.#logger.warn(sentence, fields);
  }

  error(sentence: string, fields?: LogFields): void {
    this.#logger.error(sentence, fields);
  }

  /** On a terminal a line of progress may stand there; it is drawn again a second later. */
  #print(text: string): void {
    const output = standardError();
    output.onRoomAgain = this.#tellLeftOut;
    output.print(process.stderr.isTTY ? `\r\u001b[K${text}` : text);
  }

  readonly #tellLeftOut = (lines: number): void => {
    this.warn('Lines were left out: nobody read standard error, or it had no room.', { lines });
  };
}

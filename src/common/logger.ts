import type { Clock } from './clock.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Takes a constant sentence and the values that vary. Nothing is logged per message or per batch. */
export interface Logger {
  debug(sentence: string, fields?: LogFields): void;
  info(sentence: string, fields?: LogFields): void;
  warn(sentence: string, fields?: LogFields): void;
  error(sentence: string, fields?: LogFields): void;
}

const ranks: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

export interface LineLoggerOptions {
  /** What is less than this is left out. */
  readonly level: LogLevel;
  readonly clock: Clock;
  /** Gets each line, with its newline. */
  readonly print: (line: string) => void;
}

/** Logs one line per call: time, level, sentence, and the fields as `name=value`. */
export function createLineLogger(options: LineLoggerOptions): Logger {
  const log = (level: LogLevel, sentence: string, fields: LogFields = {}): void => {
    if (ranks[level] < ranks[options.level]) return;
    const words = [new Date(options.clock.wallMs()).toISOString(), level.padEnd(5), sentence];
    for (const [name, value] of Object.entries(fields)) {
      if (value !== undefined) words.push(`${name}=${formatValue(value)}`);
    }
    options.print(`${words.join(' ')}\n`);
  };
  return {
    debug: (sentence, fields) => log('debug', sentence, fields),
    info: (sentence, fields) => log('info', sentence, fields),
    warn: (sentence, fields) => log('warn', sentence, fields),
    error: (sentence, fields) => log('error', sentence, fields),
  };
}

/** A value with blanks, quotes or control characters is quoted, so that no value can forge a field or a line. */
function formatValue(value: string | number | boolean): string {
  const text = String(value);
  if (/^[^\s"=\p{Cc}]+$/u.test(text)) return text;
  // JSON leaves the control characters behind ASCII as they are, and terminals obey some of them.
  return JSON.stringify(text).replace(/[\u007f-\u009f]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

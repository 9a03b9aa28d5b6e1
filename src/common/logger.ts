import type { Clock } from './clock.js';

/** From the least to the most important. `trace` may tell of each batch; everything above it tells of what is rare. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error'] as const;

export type LogLevel = (typeof logLevels)[number];
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Takes a constant sentence and the values that vary. Nothing is logged per message, nor per batch above `trace`. */
export interface Logger {
  trace(sentence: string, fields?: LogFields): void;
  debug(sentence: string, fields?: LogFields): void;
  info(sentence: string, fields?: LogFields): void;
  warn(sentence: string, fields?: LogFields): void;
  error(sentence: string, fields?: LogFields): void;
}

/** What was logged with one call. */
export interface LogRecord {
  /** Milliseconds since 1970. */
  readonly wallMs: number;
  readonly level: LogLevel;
  readonly sentence: string;
  readonly fields: LogFields;
}

export interface LoggerOptions {
  /** What is less than this is left out; asked at each call, so it may change. */
  readonly level: () => LogLevel;
  readonly clock: Clock;
  readonly write: (record: LogRecord) => void;
}

/** Makes a record of each call that is important enough. */
export function createLogger({ level: least, clock, write }: LoggerOptions): Logger {
  const log =
    (level: LogLevel) =>
    (sentence: string, fields: LogFields = {}): void => {
      if (logLevels.indexOf(level) < logLevels.indexOf(least())) return;
      write({ wallMs: clock.wallMs(), level, sentence, fields });
    };
  return {
    trace: log('trace'),
    debug: log('debug'),
    info: log('info'),
    warn: log('warn'),
    error: log('error'),
  };
}

/** Logs what the parts of another command tell of their ordinary life only where somebody looks for faults. */
export function quietLogger(log: Logger): Logger {
  return {
    trace: (sentence, fields) => log.trace(sentence, fields),
    debug: (sentence, fields) => log.debug(sentence, fields),
    info: (sentence, fields) => log.debug(sentence, fields),
    warn: (sentence, fields) => log.warn(sentence, fields),
    error: (sentence, fields) => log.error(sentence, fields),
  };
}

export const silentLogger: Logger = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

import type { Clock } from './clock.js';
import type { LogFields, Logger, LogLevel } from './logger.js';

/** How long after a line no other one of its kind is logged. */
const quietMs = 1_000;

interface LoggedKind {
  quietUntilMs: number;
  leftOutCount: number;
}

/**
 * Logs at most one line for each sentence and `code` in a second, so that a failure of every request cannot
 * fill the disk with its log. The next line of the kind has the count of those that were left out.
 */
export function createRateLimitedLogger(log: Logger, clock: Clock): Logger {
  // Sentences are constant and codes come from a table, so there are only so many kinds.
  const kinds = new Map<string, LoggedKind>();
  const limited =
    (level: LogLevel) =>
    (sentence: string, fields: LogFields = {}): void => {
      const key = `${level} ${fields['code']} ${sentence}`;
      const kind = kinds.get(key) ?? { quietUntilMs: 0, leftOutCount: 0 };
      kinds.set(key, kind);
      const nowMs = clock.monotonicMs();
      if (nowMs < kind.quietUntilMs) {
        kind.leftOutCount += 1;
        return;
      }
      const leftOut = kind.leftOutCount === 0 ? {} : { leftOut: kind.leftOutCount };
      log[level](sentence, { ...fields, ...leftOut });
      kind.quietUntilMs = nowMs + quietMs;
      kind.leftOutCount = 0;
    };
  return {
    trace: limited('trace'),
    debug: limited('debug'),
    info: limited('info'),
    warn: limited('warn'),
    error: limited('error'),
  };
}

import type { PluginLog } from '../plugin-log.js';
import { soon } from './time-limit.js';

type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** What a plugin logged. */
export interface LogEntry {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly sentence: string;
  readonly fields: LogFields;
}

/** A log for tests: it prints nothing, keeps every entry, and lets a test wait for one. */
export interface TestLog extends PluginLog {
  readonly entries: readonly LogEntry[];
  /** Resolves with the first entry of this sentence, now or later; rejects after 10 s without one. */
  waitFor(sentence: string): Promise<LogEntry>;
}

/** Makes an empty {@link TestLog}. */
export function createTestLog(): TestLog {
  const entries: LogEntry[] = [];
  const watchers = new Set<(entry: LogEntry) => void>();
  const add =
    (level: LogEntry['level']) =>
    (sentence: string, fields: LogFields = {}): void => {
      const entry = { level, sentence, fields };
      entries.push(entry);
      for (const watch of watchers) watch(entry);
    };
  return {
    entries,
    debug: add('debug'),
    info: add('info'),
    warn: add('warn'),
    error: add('error'),
    waitFor: (sentence) => {
      const found = entries.find((entry) => entry.sentence === sentence);
      if (found !== undefined) return Promise.resolve(found);
      const seen = new Promise<LogEntry>((resolve) => {
        const watch = (entry: LogEntry): void => {
          if (entry.sentence !== sentence) return;
          watchers.delete(watch);
          resolve(entry);
        };
        watchers.add(watch);
      });
      return soon(seen, `the log entry ${JSON.stringify(sentence)}`);
    },
  };
}

import { pino } from 'pino';
import { writableFields } from './log-values.js';
import { type LogRecord, logLevels } from './logger.js';
import { escapeUnprintable } from './printable.js';

/** What every line has by itself, so that no field may have its name. */
const ownNames: ReadonlySet<string> = new Set(['time', 'level', 'msg']);

/**
 * Makes lines of JSON for programs: `level` as a word, `time` as ISO 8601 in UTC, `msg`, and the fields beside them. A
 * field that would be taken for one of these three gets an underscore behind its name.
 *
 * pino writes the line and nothing else: its own destination waits, and the process with it, while a pipe is full
 * (sonic-boom 4, `retryEAGAIN`), and a worker thread may have lines left when the process ends.
 */
export function createJsonLogLines(): (record: LogRecord) => string {
  let line = '';
  let wallMs = 0;
  let fields: Record<string, string | number | boolean> = {};
  const lines = pino(
    {
      base: null,
      level: logLevels[0],
      messageKey: 'msg',
      timestamp: () => `,"time":"${new Date(wallMs).toISOString()}"`,
      formatters: { level: (level) => ({ level }) },
      // As an argument, an object with fields such as `method`, `headers` and `socket` is taken for a request of HTTP.
      mixin: () => fields,
    },
    {
      write: (text) => {
        line = text;
      },
    },
  );
  return (record) => {
    wallMs = record.wallMs;
    fields = Object.fromEntries(
      writableFields(record.fields).map(([name, value]) => [
        ownNames.has(name) ? `${name}_` : name,
        value,
      ]),
    );
    lines[record.level](record.sentence);
    // Only in texts can there be such characters, and JSON may write each of these as an escape.
    return `${escapeUnprintable(line.trimEnd())}\n`;
  };
}

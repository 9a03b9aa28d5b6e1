import { writableFields } from './log-values.js';
import type { LogRecord } from './logger.js';
import { escapeUnprintable } from './printable.js';

/** A value that stands for itself: what has blanks, quotes or an equals sign could be taken for another field. */
const plainPattern = /^[^\s"=\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+$/u;

/** One line for people: time, level, sentence, and the fields as `name=value`; with its newline. */
export function textLogLine({ wallMs, level, sentence, fields }: LogRecord): string {
  const words = [new Date(wallMs).toISOString(), level.padEnd(5), escapeUnprintable(sentence)];
  for (const [name, value] of writableFields(fields)) {
    words.push(`${quoteUnlessPlain(name)}=${quoteUnlessPlain(String(value))}`);
  }
  return `${words.join(' ')}\n`;
}

/** So that no value can forge a field or a line; JSON reads it back. */
function quoteUnlessPlain(text: string): string {
  return plainPattern.test(text) ? text : escapeUnprintable(JSON.stringify(text));
}

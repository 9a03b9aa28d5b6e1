import type { OutputBatch } from '@chukcha/plugin-api';
import type { MessageFormatter } from './message-formatter.js';
import { printableText, textOf } from './printable-text.js';

export interface PrettyOptions {
  readonly color: boolean;
  /** Whether chunk and offset are shown in front of each message. */
  readonly coordinates: boolean;
}

/** The names that loggers give to these fields; the first that is there counts. */
const timeFields = ['@timestamp', 'timestamp', 'time', 'ts', 'date'];
const levelFields = ['level', 'severity', 'log.level', 'lvl', 'loglevel'];
const messageFields = ['message', 'msg', 'text', 'event'];

/** Levels as numbers, as pino and bunyan write them. */
const numberedLevels: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
};

const levelWidth = 5;

/** Numbers from here on are milliseconds: as seconds they would be the year 5138. */
const millisecondsMin = 1e11;

const colors = { dim: 2, red: 31, green: 32, yellow: 33, cyan: 36, redBold: '1;31' } as const;

type Color = keyof typeof colors;

/**
 * Messages for people: of a JSON object its time, level and message, then the other fields as `name=value`; anything else as
 * it is. What a terminal would obey is written out, see {@link printableText}.
 */
export class PrettyFormatter implements MessageFormatter {
  readonly #options: PrettyOptions;

  constructor(options: PrettyOptions) {
    this.#options = options;
  }

  format(message: Buffer, { chunk }: OutputBatch, offset: number): string {
    const text = textOf(message).replace(/\r$/, '');
    const coordinates = this.#options.coordinates
      ? `${this.#paint('dim', `${printableText(chunk)}:${offset}`)} `
      : '';
    const fields = parseObject(text);
    return `${coordinates}${fields === undefined ? printableText(text) : this.#tryFields(fields, text)}\n`;
  }

  #tryFields(fields: Readonly<Record<string, unknown>>, text: string): string {
    try {
      return this.#formatFields(fields);
    } catch {
      // Values that are nested some thousand times can be read, but not be written by JSON.stringify.
      return printableText(text);
    }
  }

  #formatFields(fields: Readonly<Record<string, unknown>>): string {
    const take = (names: readonly string[]): string | undefined =>
      names.find((name) => {
        const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
        return typeof value === 'string' || typeof value === 'number';
      });
    const time = take(timeFields);
    const level = take(levelFields);
    const message = take(messageFields);
    const parts: string[] = [];
    if (time !== undefined) parts.push(this.#paint('dim', formatTime(fields[time])));
    if (level !== undefined) parts.push(this.#formatLevel(fields[level]));
    if (message !== undefined) parts.push(printableText(String(fields[message])));
    for (const [name, value] of Object.entries(fields)) {
      if (name === time || name === level || name === message) continue;
      parts.push(
        `${this.#paint('cyan', printableText(name))}${this.#paint('dim', '=')}${formatValue(value)}`,
      );
    }
    return parts.length === 0 ? '{}' : parts.join(' ');
  }

  #formatLevel(value: unknown): string {
    const name = (typeof value === 'number' ? numberedLevels[value] : undefined) ?? String(value);
    const text = printableText(name).toUpperCase().padEnd(levelWidth);
    return this.#paint(levelColor(name.toLowerCase()), text);
  }

  #paint(color: Color | undefined, text: string): string {
    return this.#options.color && color !== undefined
      ? `\x1b[${colors[color]}m${text}\x1b[0m`
      : text;
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  // Parsing costs a hundred times as much as this look.
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    // It only looked like JSON, and is printed as it is.
    return undefined;
  }
}

/** Numbers as people read them; texts stay as they were written. */
function formatTime(value: unknown): string {
  if (typeof value !== 'number') return printableText(String(value));
  const time = new Date(value < millisecondsMin ? value * 1000 : value);
  return Number.isNaN(time.getTime()) ? String(value) : time.toISOString();
}

function formatValue(value: unknown): string {
  if (typeof value === 'string' && /^[^\s"=]+$/.test(value)) return printableText(value);
  return printableText(JSON.stringify(value));
}

function levelColor(level: string): Color | undefined {
  if (/^(?:fatal|crit|alert|emerg|panic)/.test(level)) return 'redBold';
  if (/^err/.test(level)) return 'red';
  if (/^warn/.test(level)) return 'yellow';
  if (/^(?:info|notice)/.test(level)) return 'green';
  if (/^(?:debug|trace|verbose|silly)/.test(level)) return 'dim';
  return undefined;
}

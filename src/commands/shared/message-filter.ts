import { ChukchaError, errorMessage } from '../../protocol/chukcha-error.js';

/** Which messages are meant; all that are given have to be true of one. */
export interface MessageFilterOptions {
  /** A text that the message has in it, or `/pattern/` or `/pattern/i`. */
  readonly grep?: string | undefined;
  /** `FIELD=VALUE` of messages that are JSON objects; `a.b=VALUE` for a field inside of another. */
  readonly where?: readonly string[];
}

/** The messages of some whole lines that are meant, as they are. */
export type MessageFilter = (bytes: Uint8Array) => Uint8Array;

type Test = (line: Buffer) => boolean;

const NEWLINE = 0x0a;

/** Throws `invalid_option` for a pattern or a condition that cannot be read; `undefined` when all messages are meant. */
export function createMessageFilter(options: MessageFilterOptions): MessageFilter | undefined {
  const { grep, where = [] } = options;
  const tests = [...(grep === undefined ? [] : [grepTest(grep)]), ...where.map(fieldTest)];
  if (tests.length === 0) return undefined;
  return (bytes) => {
    const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const kept: Buffer[] = [];
    for (let start = 0; start < all.length; ) {
      const newline = all.indexOf(NEWLINE, start);
      const end = newline === -1 ? all.length : newline + 1;
      const line = all.subarray(start, end);
      if (tests.every((test) => test(line))) kept.push(line);
      start = end;
    }
    return Buffer.concat(kept);
  };
}

function grepTest(text: string): Test {
  const [, pattern, flags] = /^\/(.+)\/(i?)$/s.exec(text) ?? [];
  // A text is looked for as bytes, so it is found in a message that is no valid UTF-8 too.
  if (pattern === undefined) return (line) => line.includes(text);
  try {
    const expression = new RegExp(pattern, `u${flags}`);
    return (line) => expression.test(withoutNewline(line));
  } catch (cause) {
    throw new ChukchaError(
      'invalid_option',
      `--grep ${text} is not valid (${errorMessage(cause)}): expected a text, or a regular expression between slashes.`,
      { cause },
    );
  }
}

function fieldTest(condition: string): Test {
  const equals = condition.indexOf('=');
  if (equals < 1) {
    throw new ChukchaError(
      'invalid_option',
      `--where ${JSON.stringify(condition)} is not valid: expected FIELD=VALUE, for example level=error.`,
    );
  }
  const path = condition.slice(0, equals).split('.');
  const value = condition.slice(equals + 1);
  return (line) => {
    const found = fieldOf(line, path);
    if (found === undefined) return false;
    return typeof found === 'string' ? found === value : JSON.stringify(found) === value;
  };
}

function fieldOf(line: Buffer, path: readonly string[]): unknown {
  let value: unknown;
  try {
    value = JSON.parse(line.toString());
  } catch {
    // A message that is no JSON has no fields; it is simply not one of those that are looked for.
    return undefined;
  }
  for (const name of path) value = (value as Record<string, unknown> | null | undefined)?.[name];
  return value;
}

function withoutNewline(line: Buffer): string {
  return line.toString().replace(/\n$/, '');
}

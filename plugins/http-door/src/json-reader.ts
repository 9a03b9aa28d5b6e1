import { RequestError } from './request-error.js';

/** How deep values may be nested; deeper ones would only fill the stack. */
const depthMax = 256;

/** How long a number or a name of a value may be that is quoted in an error, in bytes. */
const excerptBytesMax = 20;

const literals = ['true', 'false', 'null'].map((text) => Buffer.from(text));
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const PLUS = 0x2b;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const CAPITAL_E = 0x45;
const LETTER_E = 0x65;

/** Where a value stands in the bytes, and whether there is no white space between its parts. */
export interface JsonExtent {
  readonly start: number;
  readonly end: number;
  readonly isCompact: boolean;
}

/**
 * Checks JSON and says where its values stand, without making objects of them: numbers keep all their
 * digits, and members that come twice stay. What it reads MUST be valid UTF-8.
 *
 * Throws `invalid_json` with the byte at which something else was expected.
 */
export class JsonReader {
  readonly bytes: Buffer;
  readonly end: number;
  /** The next byte to be read. */
  at: number;
  #spaceCount = 0;

  constructor(bytes: Buffer, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  /** Passes white space; true when there is something behind it. */
  skipSpace(): boolean {
    for (; this.at < this.end; this.at += 1) {
      const byte = this.bytes[this.at] as number;
      if (byte > 0x20) return true;
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return true;
      this.#spaceCount += 1;
    }
    return false;
  }

  /** Reads one value with the white space before it. */
  value(): JsonExtent {
    this.skipSpace();
    const start = this.at;
    const spaceCount = this.#spaceCount;
    this.#skipValue(0);
    return { start, end: this.at, isCompact: this.#spaceCount === spaceCount };
  }

  /** True when the next value is an object. */
  isAtObject(): boolean {
    this.skipSpace();
    return this.bytes[this.at] === OPEN_BRACE;
  }

  /** True when the next value is an array. */
  isAtArray(): boolean {
    this.skipSpace();
    return this.bytes[this.at] === OPEN_BRACKET;
  }

  /** Reads an array; `visit` is called in front of each element and MUST read it. */
  elements(visit: () => void): void {
    this.#items(OPEN_BRACKET, CLOSE_BRACKET, 'an array', visit);
  }

  /** Reads an object; `visit` is called in front of the value of each member and MUST read it. */
  members(visit: (name: string) => void): void {
    this.#items(OPEN_BRACE, CLOSE_BRACE, 'an object', () => {
      const name = this.text();
      this.skipSpace();
      this.#expect(COLON, '":" behind the name of a member');
      visit(name);
    });
  }

  /** Reads a string and gives its text. */
  text(): string {
    this.skipSpace();
    const start = this.at;
    this.#skipString();
    return JSON.parse(this.bytes.toString('utf8', start, this.at)) as string;
  }

  /** Throws when anything but white space is left. */
  expectEnd(): void {
    if (this.skipSpace()) this.fail('nothing more');
  }

  /** Throws `invalid_json`: at this byte something else was expected. */
  fail(expected: string): never {
    const rest = this.bytes.toString(
      'utf8',
      this.at,
      Math.min(this.end, this.at + excerptBytesMax),
    );
    const found = rest === '' ? 'the end' : JSON.stringify(rest);
    throw new RequestError(
      'invalid_json',
      `expected ${expected} at byte ${this.at}, found ${found}`,
    );
  }

  #items(open: number, close: number, what: string, visit: () => void): void {
    this.skipSpace();
    this.#expect(open, what);
    this.skipSpace();
    if (this.bytes[this.at] === close && this.at < this.end) {
      this.at += 1;
      return;
    }
    for (;;) {
      visit();
      this.skipSpace();
      const byte = this.at < this.end ? this.bytes[this.at] : undefined;
      if (byte !== COMMA && byte !== close) this.fail(`"," or the end of ${what}`);
      this.at += 1;
      if (byte === close) return;
    }
  }

  #skipValue(depth: number): void {
    this.skipSpace();
    const byte = this.at < this.end ? this.bytes[this.at] : undefined;
    if (byte === QUOTE) this.#skipString();
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) this.#skipNested(byte, depth + 1);
    else this.#skipPlain();
  }

  /** As `#items`, written out: a call for each member would cost a third of the rate. */
  #skipNested(open: number, depth: number): void {
    if (depth > depthMax) this.fail(`values that are nested at most ${depthMax} deep`);
    const isObject = open === OPEN_BRACE;
    const close = isObject ? CLOSE_BRACE : CLOSE_BRACKET;
    this.at += 1;
    this.skipSpace();
    if (this.#isAt(close)) {
      this.at += 1;
      return;
    }
    for (;;) {
      if (isObject) this.#skipName();
      this.#skipValue(depth);
      this.skipSpace();
      const isLast = this.#isAt(close);
      if (!isLast && !this.#isAt(COMMA)) {
        this.fail(`"," or the end of ${isObject ? 'an object' : 'an array'}`);
      }
      this.at += 1;
      if (isLast) return;
    }
  }

  #skipName(): void {
    this.skipSpace();
    this.#skipString();
    this.skipSpace();
    this.#expect(COLON, '":" behind the name of a member');
  }

  #skipString(): void {
    this.#expect(QUOTE, 'a string');
    const { bytes, end } = this;
    for (let at = this.at; at < end; at += 1) {
      const byte = bytes[at] as number;
      if (byte > BACKSLASH) continue;
      if (byte === QUOTE) {
        this.at = at + 1;
        return;
      }
      if (byte === BACKSLASH) {
        this.at = at;
        this.#skipEscape();
        at = this.at;
      } else if (byte < 0x20) {
        this.at = at;
        this.fail('an escaped control character, or the end of a string');
      }
    }
    this.at = end;
    this.fail('the end of a string');
  }

  /** Ends on the last byte of the escape. */
  #skipEscape(): void {
    this.at += 1;
    const letter = this.at < this.end ? String.fromCharCode(this.bytes[this.at] as number) : '';
    if (letter === 'u') {
      const digits = this.bytes.toString('latin1', this.at + 1, Math.min(this.end, this.at + 5));
      if (!/^[0-9A-Fa-f]{4}$/.test(digits)) this.fail('four hexadecimal digits behind \\u');
      this.at += 4;
    } else if (letter === '' || !'"\\/bfnrt'.includes(letter)) {
      this.fail('a character that can be escaped');
    }
  }

  #skipPlain(): void {
    const first = this.at < this.end ? this.bytes[this.at] : undefined;
    const literal = literals.find((candidate) => candidate[0] === first);
    if (literal === undefined) {
      this.#skipNumber();
      return;
    }
    const end = this.at + literal.length;
    if (end > this.end || literal.compare(this.bytes, this.at, end) !== 0) this.fail('a value');
    this.at = end;
  }

  #skipNumber(): void {
    const start = this.at;
    if (this.#isAt(MINUS)) this.at += 1;
    const hasZero = this.#isAt(ZERO);
    if (hasZero) this.at += 1;
    else if (!this.#skipDigits()) this.#failValue(start);
    if (this.#isAt(POINT)) {
      this.at += 1;
      if (!this.#skipDigits()) this.#failValue(start);
    }
    if (!this.#isAt(LETTER_E) && !this.#isAt(CAPITAL_E)) return;
    this.at += 1;
    if (this.#isAt(PLUS) || this.#isAt(MINUS)) this.at += 1;
    if (!this.#skipDigits()) this.#failValue(start);
  }

  /** Tells whether there were any. */
  #skipDigits(): boolean {
    const start = this.at;
    while (this.at < this.end) {
      const byte = this.bytes[this.at] as number;
      if (byte < ZERO || byte > NINE) break;
      this.at += 1;
    }
    return this.at > start;
  }

  #failValue(start: number): never {
    this.at = start;
    this.fail('a value');
  }

  #isAt(byte: number): boolean {
    return this.at < this.end && this.bytes[this.at] === byte;
  }

  #expect(byte: number, what: string): void {
    if (this.at >= this.end || this.bytes[this.at] !== byte) this.fail(what);
    this.at += 1;
  }
}

/** The bytes of a value without the white space between its parts; a view when there is none. */
export function compactJson(bytes: Buffer, extent: JsonExtent): Buffer {
  if (extent.isCompact) return bytes.subarray(extent.start, extent.end);
  const target = Buffer.allocUnsafe(extent.end - extent.start);
  let length = 0;
  let isInString = false;
  for (let at = extent.start; at < extent.end; at += 1) {
    const byte = bytes[at] as number;
    if (!isInString && byte <= 0x20) continue;
    target[length] = byte;
    length += 1;
    if (byte === QUOTE) isInString = !isInString;
    if (byte !== BACKSLASH) continue;
    // In a valid value a backslash stands in a string only, and what it escapes does not end that.
    at += 1;
    target[length] = bytes[at] as number;
    length += 1;
  }
  return target.subarray(0, length);
}

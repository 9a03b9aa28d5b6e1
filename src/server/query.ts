import { ChukchaError } from '../protocol/chukcha-error.js';

export interface IntegerRange {
  readonly min: number;
  readonly max: number;
}

/** How much of a refused name or value an error repeats. */
const quotedLengthMax = 40;

/**
 * The parameters of one request. Unknown and repeated ones are refused, so that a misspelt
 * `sync_each_write` cannot weaken a promise in silence. Every method throws `invalid_request`.
 */
export class Query {
  readonly #values: ReadonlyMap<string, string>;

  /** @param inPath the parameters that are part of the path; the query cannot name them again */
  constructor(
    queryString: string,
    allowedNames: readonly string[],
    inPath: Readonly<Record<string, string>> = {},
  ) {
    const values = new Map(Object.entries(inPath));
    for (const [name, value] of new URLSearchParams(queryString)) {
      if (!allowedNames.includes(name)) {
        throw invalidRequest(`Unknown parameter ${quoted(name)}: expected ${list(allowedNames)}.`);
      }
      if (values.has(name)) throw invalidRequest(`Parameter ${name} is given more than once.`);
      values.set(name, value);
    }
    this.#values = values;
  }

  /** The value of a parameter that must be there. */
  required(name: string): string {
    const value = this.#values.get(name);
    if (value === undefined || value === '') {
      throw invalidRequest(`Parameter ${name} is missing: add ?${name}=... to the address.`);
    }
    return value;
  }

  optional(name: string): string | undefined {
    return this.#values.get(name);
  }

  integer(name: string, range: IntegerRange): number {
    return checkInteger(`Parameter ${name}`, this.required(name), range);
  }

  integerOr(name: string, range: IntegerRange, otherwise: number): number {
    const value = this.#values.get(name);
    return value === undefined ? otherwise : checkInteger(`Parameter ${name}`, value, range);
  }

  /** True for `true` and `1`, false for `false`, `0` and a missing parameter. */
  flag(name: string): boolean {
    const value = this.#values.get(name);
    if (value === undefined || value === 'false' || value === '0') return false;
    if (value === 'true' || value === '1') return true;
    throw invalidRequest(`Parameter ${name} is ${quoted(value)}: expected true or false.`);
  }

  /** One of a few words, the first of which is meant when there is none. */
  choice<Word extends string>(name: string, words: readonly [Word, ...Word[]]): Word {
    const value = this.#values.get(name);
    if (value === undefined) return words[0];
    const word = words.find((allowed) => allowed === value);
    if (word !== undefined) return word;
    throw invalidRequest(`Parameter ${name} is ${quoted(value)}: expected ${words.join(' or ')}.`);
  }
}

/**
 * The whole number that a text says. Throws `invalid_request`.
 *
 * @param what what the text is, at the beginning of a sentence
 */
export function checkInteger(what: string, text: string, { min, max }: IntegerRange): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw invalidRequest(
    `${what} is ${quoted(text)}: expected a whole number from ${min} to ${max}.`,
  );
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, quotedLengthMax));
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ');
}

function invalidRequest(message: string): ChukchaError {
  return new ChukchaError('invalid_request', message);
}

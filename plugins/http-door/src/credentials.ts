import { createHash, timingSafeEqual } from 'node:crypto';
import { PluginError, type PluginOptions } from '@chukcha/plugin-api';
import { readNamedFile } from './tls-files.js';

/** What became of a request's credentials. */
export type CredentialCheck = 'valid' | 'missing' | 'wrong';

/** Schemes of `Authorization` whose rest is a token as it is. `Splunk` is what clients of HEC say. */
const tokenSchemes: ReadonlySet<string> = new Set(['bearer', 'splunk']);

/** How long a header may be that is looked at, in characters; longer ones are wrong. */
const headerLengthMax = 8 * 1024;

/**
 * Who may send. Secrets are kept as digests, and a comparison takes the same time whichever is right,
 * or none.
 */
export class Credentials {
  readonly #tokens: readonly Buffer[];
  readonly #users: readonly Buffer[];

  constructor(tokens: readonly string[], users: readonly string[]) {
    this.#tokens = tokens.map(digest);
    this.#users = users.map(digest);
  }

  /** From the options `tokens`, `tokens_file` and `users`. Throws a `PluginError` of kind `operator`. */
  static async read(options: PluginOptions): Promise<Credentials> {
    const path = options['tokens_file'] as string | undefined;
    const fromFile = path === undefined ? [] : await readTokens(path);
    const given = (options['tokens'] as readonly string[] | undefined) ?? [];
    const users = (options['users'] as readonly string[] | undefined) ?? [];
    return new Credentials([...given, ...fromFile], users);
  }

  /** False when everybody may send. */
  get areNeeded(): boolean {
    return this.#tokens.length + this.#users.length > 0;
  }

  /** Checks the header `Authorization` as it came; an empty one is a missing one. */
  check(header: string): CredentialCheck {
    if (!this.areNeeded) return 'valid';
    if (header === '') return 'missing';
    const space = header.indexOf(' ');
    if (space === -1 || header.length > headerLengthMax) return 'wrong';
    const scheme = header.slice(0, space).toLowerCase();
    const rest = header.slice(space + 1).trim();
    return this.#isValid(scheme, rest) ? 'valid' : 'wrong';
  }

  #isValid(scheme: string, rest: string): boolean {
    if (tokenSchemes.has(scheme)) return isAmong(this.#tokens, rest);
    const decoded = Buffer.from(rest, 'base64').toString();
    // An API key of Elasticsearch travels encoded; both forms are called the key by one program or another.
    if (scheme === 'apikey') {
      const encodedIsValid = isAmong(this.#tokens, rest);
      return isAmong(this.#tokens, decoded) || encodedIsValid;
    }
    if (scheme !== 'basic') return false;
    // Programs that know only names and passwords give a token as the password.
    const password = decoded.slice(decoded.indexOf(':') + 1);
    const tokenIsValid = isAmong(this.#tokens, password);
    return isAmong(this.#users, decoded) || tokenIsValid;
  }
}

async function readTokens(path: string): Promise<string[]> {
  const text = (await readNamedFile('tokens_file', path)).toString();
  const tokens = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (tokens.length > 0) return tokens;
  // Without a token everybody could send, which is not what a file of tokens is for.
  throw new PluginError(
    'operator',
    `The file ${path} of the option tokens_file has no token: expected one in a line.`,
  );
}

function isAmong(digests: readonly Buffer[], secret: string): boolean {
  const wanted = digest(secret);
  let found = false;
  for (const known of digests) found = timingSafeEqual(known, wanted) || found;
  return found;
}

/** Digests are equally long, as `timingSafeEqual` asks for. */
function digest(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

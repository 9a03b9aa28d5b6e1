import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import type { Right } from '../../protocol/rights.js';

/** One token, as a node knows it. */
export interface TokenEntry {
  /** For people: who has the token. */
  readonly name: string;
  /** SHA-256 of the token, 32 bytes. */
  readonly digest: Buffer;
  /** The categories for each right: whole names, or the beginning of names and `*`. */
  readonly patterns: Readonly<Partial<Record<Right, readonly string[]>>>;
}

/**
 * Where a right has to hold: in a category, for the node as a whole (the pattern `*`), or in any category, for calls
 * that look closer themselves.
 */
export type AccessScope = { readonly category: string } | 'node' | 'any';

/** What a request may do. */
export interface Pass {
  allows(right: Right, scope: AccessScope): boolean;
}

/** The pass of a node that knows no tokens. */
export const openPass: Pass = { allows: () => true };

/** Longer headers hold no token; the head of a request is limited to 16 KiB anyway. */
const authorizationLengthMax = 1_024;

/**
 * The tokens that a node accepts, replaced as a whole when their file changes.
 *
 * A token has 256 random bits, so that one round of SHA-256 hides it as well as a slow hash would, and a request costs
 * microseconds, however many tokens there are. Where in the table a digest is looked for depends on a key that only this
 * process knows, so that the time of that tells nothing of the digests; what is found there is compared in constant time.
 */
export class Access {
  readonly #placeKey = randomBytes(32);
  /** By the place of the digest. */
  #tokens: ReadonlyMap<string, TokenEntry>;
  #generation = 0;

  constructor(tokens: readonly TokenEntry[]) {
    this.#tokens = this.#placed(tokens);
  }

  /** Rises when the tokens were replaced: what was decided before has to be decided again. */
  get generation(): number {
    return this.#generation;
  }

  /** Accepts these tokens from now on, and no others. */
  replace(tokens: readonly TokenEntry[]): void {
    this.#tokens = this.#placed(tokens);
    this.#generation += 1;
  }

  /** Throws `unauthorized` without a token that is accepted, and `forbidden` when it lacks the right. */
  check(authorization: string | undefined, right: Right, scope: AccessScope): Pass {
    const entry = this.#find(authorization);
    if (allows(entry, right, scope)) return passOf(entry);
    throw forbiddenError(entry.name, right, scope);
  }

  /** What the token of a request allows. Throws `unauthorized` without a token that is accepted. */
  identify(authorization: string | undefined): Pass {
    return passOf(this.#find(authorization));
  }

  #placed(tokens: readonly TokenEntry[]): ReadonlyMap<string, TokenEntry> {
    return new Map(tokens.map((entry) => [this.#placeOf(entry.digest), entry]));
  }

  #placeOf(digest: Buffer): string {
    return createHmac('sha256', this.#placeKey).update(digest).digest('base64');
  }

  #find(authorization: string | undefined): TokenEntry {
    const token = tokenOf(authorization);
    if (token === undefined) {
      throw new ChukchaError(
        'unauthorized',
        'This node wants a token: send "Authorization: Bearer TOKEN", with the commands by CHUKCHA_TOKEN or --token-file.',
      );
    }
    const digest = digestOf(token);
    const found = this.#tokens.get(this.#placeOf(digest));
    if (found !== undefined && timingSafeEqual(found.digest, digest)) return found;
    throw new ChukchaError(
      'unauthorized',
      'The token is not one that this node accepts: look whether it is whole, and whether its line is in the file of --tokens.',
    );
  }
}

/** SHA-256 of a token. */
export function digestOf(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}

/** The token of a header, also as the password of a browser's dialog; `undefined` when there is none. */
export function tokenOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > authorizationLengthMax)
    return undefined;
  const [, scheme = '', value = ''] = /^(bearer|basic) +([!-~]+)$/i.exec(authorization) ?? [];
  if (value === '') return undefined;
  if (scheme.toLowerCase() === 'bearer') return value;
  const words = Buffer.from(value, 'base64').toString('utf8');
  return words.slice(words.indexOf(':') + 1);
}

function passOf(entry: TokenEntry): Pass {
  return { allows: (right, scope) => allows(entry, right, scope) };
}

function allows({ patterns }: TokenEntry, right: Right, scope: AccessScope): boolean {
  const lists = [patterns[right] ?? [], patterns.admin ?? []];
  if (scope === 'any') return lists.some((list) => list.length > 0);
  if (scope === 'node') return lists.some((list) => list.includes('*'));
  return lists.some((list) => list.some((pattern) => matches(pattern, scope.category)));
}

function matches(pattern: string, category: string): boolean {
  return pattern.endsWith('*') ? category.startsWith(pattern.slice(0, -1)) : category === pattern;
}

function forbiddenError(name: string, right: Right, scope: AccessScope): ChukchaError {
  const where =
    scope === 'node'
      ? 'this node (its pattern *)'
      : scope === 'any'
        ? 'any category'
        : `category ${JSON.stringify(scope.category.slice(0, 80))}`;
  return new ChukchaError(
    'forbidden',
    `The token ${name} has not the right ${right} for ${where}: use another token, or add the right in the file of --tokens.`,
    { fields: { right } },
  );
}

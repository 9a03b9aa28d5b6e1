import { createHash, timingSafeEqual } from 'node:crypto';
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
 * microseconds. Digests are compared in constant time, and with all of the table.
 */
export class Access {
  #tokens: readonly TokenEntry[];
  #generation = 0;

  constructor(tokens: readonly TokenEntry[]) {
    this.#tokens = tokens;
  }

  /** Rises when the tokens were replaced: what was decided before has to be decided again. */
  get generation(): number {
    return this.#generation;
  }

  /** Accepts these tokens from now on, and no others. */
  replace(tokens: readonly TokenEntry[]): void {
    this.#tokens = tokens;
    this.#generation += 1;
  }

  /** Throws `unauthorized` without a token that is accepted, and `forbidden` when it lacks the right. */
  check(authorization: string | undefined, right: Right, scope: AccessScope): Pass {
    const entry = this.#find(authorization);
    const pass: Pass = { allows: (wanted, where) => allows(entry, wanted, where) };
    if (pass.allows(right, scope)) return pass;
    throw forbiddenError(entry.name, right, scope);
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
    let found: TokenEntry | undefined;
    // All of them are compared, so that the time does not tell which one it was.
    for (const entry of this.#tokens) {
      if (timingSafeEqual(entry.digest, digest)) found = entry;
    }
    if (found !== undefined) return found;
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

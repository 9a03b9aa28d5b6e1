import { createHash, randomBytes } from 'node:crypto';
import { type Role, roles } from '../callers.js';
import { replaceFile } from './replace-file.js';

/** A token for each role, made at one time. */
export interface TokenGeneration {
  readonly number: number;
  readonly tokens: Readonly<Record<Role, string>>;
}

/** What each role needs for its work, and nothing beyond. */
const rightsOf: Readonly<Record<Role, (categories: readonly string[]) => object>> = {
  writer: (categories) => ({ write: categories }),
  reader: (categories) => ({ read: categories, ack: categories }),
  observer: () => ({ observe: ['*'] }),
};

/** The file of tokens of a cluster, which is replaced as a whole at each change, as its owner should. */
export class TokenRing {
  readonly path: string;
  readonly #categories: readonly string[];
  #accepted: readonly TokenGeneration[] = [];
  #madeCount = 0;

  private constructor(path: string, categories: readonly string[]) {
    this.path = path;
    this.#categories = categories;
  }

  /** With a first generation, which is in the file. */
  static async create(
    path: string,
    categories: readonly string[],
  ): Promise<{ ring: TokenRing; first: TokenGeneration }> {
    const ring = new TokenRing(path, categories);
    return { ring, first: await ring.add() };
  }

  /** Makes tokens that are accepted beside those that are. */
  async add(): Promise<TokenGeneration> {
    this.#madeCount += 1;
    const entries = roles.map((role) => [role, newToken()] as const);
    const generation = {
      number: this.#madeCount,
      tokens: Object.fromEntries(entries) as Record<Role, string>,
    };
    this.#accepted = [...this.#accepted, generation];
    await this.#write();
    return generation;
  }

  /** From now on no others are accepted, as soon as nodes have looked at the file. */
  async keepOnly(generation: TokenGeneration): Promise<void> {
    this.#accepted = [generation];
    await this.#write();
  }

  async #write(): Promise<void> {
    const entries = this.#accepted.flatMap(({ number, tokens }) =>
      roles.map((role) => ({
        name: `${role}-${number}`,
        sha256: createHash('sha256').update(tokens[role]).digest('hex'),
        ...rightsOf[role](this.#categories),
      })),
    );
    // JSON is YAML too.
    await replaceFile(this.path, `${JSON.stringify({ tokens: entries }, undefined, 2)}\n`);
  }
}

/** In the form of `chukcha token create`. */
export function newToken(): string {
  return `chukcha_${randomBytes(32).toString('base64url')}`;
}

import { timingSafeEqual } from 'node:crypto';
import { digestOf, tokenOf } from './access.js';

/** What the nodes of a cluster show each other. */
export class ClusterSecret {
  readonly #digest: Buffer;

  constructor(secret: string) {
    this.#digest = digestOf(secret);
  }

  /** Tells whether a peer shows the same, in constant time. */
  isShownIn(authorization: string | undefined): boolean {
    const shown = tokenOf(authorization);
    return shown !== undefined && timingSafeEqual(digestOf(shown), this.#digest);
  }
}

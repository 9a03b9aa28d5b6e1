import { timingSafeEqual } from 'node:crypto';
import type { Access, Pass } from '../access/access.js';
import type { RequestHead } from './request-head.js';

/**
 * Decides for one connection whether its requests may pass. It remembers what was shown last, because a client shows the
 * same token with each request: to find it anew costs as much as all else that the lane does for a small write.
 */
export class LanePass {
  /** The header that the pass was given for, in the form in which it came. */
  #shown: Buffer | undefined;
  #pass: Pass | undefined;
  /** Which tokens were accepted then. */
  #generation = 0;

  /** Tells whether the token of a request allows what the head asks for. */
  allows(access: Access | undefined, head: RequestHead): boolean {
    // A peer is looked at where it is taken.
    if (access === undefined || head.kind === 'replica') return true;
    const category = head.call.categoryName;
    const writes = head.kind === 'write' || isProduce(head);
    const pass = this.#find(access, head.authorization);
    if (pass?.allows(writes ? 'write' : 'read', { category }) !== true) return false;
    return !isConsume(head) || pass.allows('ack', { category });
  }

  #find(access: Access, authorization: string | undefined): Pass | undefined {
    if (authorization === undefined) return undefined;
    const shown = Buffer.from(authorization, 'latin1');
    if (this.#generation === access.generation && this.#isShownAgain(shown)) return this.#pass;
    this.#shown = undefined;
    try {
      this.#pass = access.identify(authorization);
    } catch {
      return undefined;
    }
    this.#shown = shown;
    this.#generation = access.generation;
    return this.#pass;
  }

  /** In constant time: a proxy may send the requests of several clients over one connection. */
  #isShownAgain(shown: Buffer): boolean {
    return this.#shown?.length === shown.length && timingSafeEqual(this.#shown, shown);
  }
}

/** Acknowledgements come over the same stream as the messages go. */
function isConsume(head: RequestHead): boolean {
  return head.kind === 'stream' && head.call.kind === 'consume';
}

function isProduce(head: RequestHead): boolean {
  return head.kind === 'stream' && head.call.kind === 'produce';
}

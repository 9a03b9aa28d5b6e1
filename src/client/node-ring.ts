import type { Random } from '../common/random.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import type { Credentials } from './credentials.js';
import { isNodeFailure } from './decide-retry.js';
import { type HttpAnswer, type HttpCall, HttpTransport } from './http-transport.js';

interface RingNode {
  readonly transport: HttpTransport;
  /** Which of the ring's failures was the last of this node; 0 when none was. */
  lastFailure: number;
}

/** At least one address. */
export type ServerList = readonly [string, ...string[]];

/**
 * The nodes that a client may ask, of which one is the current one: a random one at first, so that many clients
 * spread over the nodes, and the same one as long as it does what it is asked to. When the current node fails, the
 * one that has not failed for the longest time follows it. Calls that the left node still holds end then, and their
 * callers make them again at the new one.
 */
export class NodeRing {
  readonly servers: ServerList;
  readonly #nodes: readonly RingNode[];
  #current: RingNode;
  #failureCount = 0;
  /** What held calls were ended with: the node is not to blame, and may be the current one again by then. */
  readonly #breaks = new WeakSet<object>();

  /** Throws `invalid_option` for what is not a list of addresses of nodes. */
  constructor(server: string | readonly string[], random: Random, credentials: Credentials = {}) {
    const transports = new Map<string, HttpTransport>();
    for (const address of typeof server === 'string' ? server.split(',') : server) {
      const transport = new HttpTransport(address.trim(), credentials);
      transports.set(transport.server, transport);
    }
    this.#nodes = [...transports.values()].map((transport) => ({ transport, lastFailure: 0 }));
    const [first, ...others] = transports.keys();
    const start = this.#nodes[Math.floor(random.fraction() * this.#nodes.length)];
    if (first === undefined || start === undefined) {
      throw new ChukchaError(
        'invalid_option',
        'The list of server addresses is empty: expected at least one, for example http://127.0.0.1:8080.',
      );
    }
    this.servers = [first, ...others];
    this.#current = start;
  }

  /** The address of the current node. */
  get current(): string {
    return this.#current.transport.server;
  }

  /** Calls the node once, which need not be the current one. A failure of the node ends its being the current one. */
  async call(call: HttpCall, server = this.current): Promise<HttpAnswer> {
    const node = this.#nodeAt(server);
    try {
      return await node.transport.call(call);
    } catch (error) {
      if (isNodeFailure(error) && !this.#breaks.has(error as object)) this.#moveOn(node, error);
      throw error;
    }
  }

  /** Goes on with another node, if there is one and `server` is still the current one. */
  moveOn(server: string, cause: unknown): void {
    this.#moveOn(this.#nodeAt(server), cause);
  }

  /** Closes idle connections; calls that are under way go on. */
  close(): void {
    for (const { transport } of this.#nodes) transport.close();
  }

  #nodeAt(server: string): RingNode {
    const node = this.#nodes.find(({ transport }) => transport.server === server);
    if (node !== undefined) return node;
    throw new RangeError(`Expected one of ${this.servers.join(', ')}, got ${server}`);
  }

  #moveOn(failed: RingNode, cause: unknown): void {
    this.#failureCount += 1;
    failed.lastFailure = this.#failureCount;
    if (failed !== this.#current || this.#nodes.length === 1) return;
    const at = this.#nodes.indexOf(failed);
    // Those behind it come first, so that clients that leave one node together do not all meet at the first.
    const others = [...this.#nodes.slice(at + 1), ...this.#nodes.slice(0, at)];
    this.#current = others.reduce((best, node) =>
      node.lastFailure < best.lastFailure ? node : best,
    );
    const broken = new ChukchaError(
      'server_unreachable',
      `The client went on from ${failed.transport.server} to ${this.current} (${errorMessage(cause)}): what the left node held is asked of the other one.`,
      { cause, fields: { server: failed.transport.server } },
    );
    this.#breaks.add(broken);
    failed.transport.breakHeld(broken);
  }
}

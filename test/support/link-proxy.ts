import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { LinkLane } from './link-lane.js';

/** The two directions of a link, as seen by who has connected through it. */
type LinkDirection = 'toTarget' | 'fromTarget';

/**
 * What a link does:
 * - `pass`: everything goes through as it comes
 * - `delay`: every byte arrives so much later, in both directions
 * - `cut`: connections break, and new ones are refused
 * - `hang`: new connections are accepted, and nothing goes through any more, not even that a connection has ended
 * - `drop`: as `hang`, in one direction only
 *
 * What was kept back by `hang` and `drop` arrives when the link passes again, as TCP would send it again then.
 */
export type LinkState =
  | { readonly kind: 'pass' }
  | { readonly kind: 'delay'; readonly delayMs: number }
  | { readonly kind: 'cut' }
  | { readonly kind: 'hang' }
  | { readonly kind: 'drop'; readonly direction: LinkDirection };

/** How often a port that is listened on again is tried; the system gives it back a moment after a close. */
const listenTriesMax = 100;

/** A TCP proxy in front of a port on this machine, whose link a test can break in several ways at any time. */
export class LinkProxy {
  readonly port: number;
  readonly #targetPort: number;
  readonly #pairs = new Set<LinkPair>();
  #state: LinkState = { kind: 'pass' };
  #server: Server | undefined;

  private constructor(server: Server, targetPort: number) {
    this.#server = server;
    this.port = portOf(server);
    this.#targetPort = targetPort;
    server.on('connection', (socket) => this.#accept(socket));
  }

  /** Listens on a free port of 127.0.0.1. */
  static async start(targetPort: number): Promise<LinkProxy> {
    return new LinkProxy(await listen(0), targetPort);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get connectionCount(): number {
    return this.#pairs.size;
  }

  /** Changes what the link does, for open connections too. Resolves when it does. */
  async set(state: LinkState): Promise<void> {
    this.#state = state;
    if (state.kind === 'cut') {
      await this.#refuse();
      return;
    }
    for (const pair of this.#pairs) pair.set(state);
    if (this.#server !== undefined) return;
    this.#server = await listen(this.port);
    this.#server.on('connection', (socket) => this.#accept(socket));
  }

  /** Breaks the connections that are open, and passes new ones. */
  breakConnections(): void {
    for (const pair of this.#pairs) pair.destroy();
    this.#pairs.clear();
  }

  async close(): Promise<void> {
    await this.#refuse();
  }

  async #refuse(): Promise<void> {
    this.breakConnections();
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.close();
    await once(server, 'close');
  }

  #accept(socket: Socket): void {
    if (this.#state.kind === 'cut') {
      socket.resetAndDestroy();
      return;
    }
    const pair = new LinkPair(socket, this.#targetPort, () => this.#pairs.delete(pair));
    this.#pairs.add(pair);
    pair.set(this.#state);
  }
}

/** One connection through the link; the one to the target is opened when the link lets it. */
class LinkPair {
  readonly #near: Socket;
  readonly #targetPort: number;
  readonly #onGone: () => void;
  #lanes: Readonly<Record<LinkDirection, LinkLane>> | undefined;
  #far: Socket | undefined;

  constructor(near: Socket, targetPort: number, onGone: () => void) {
    this.#near = near;
    this.#targetPort = targetPort;
    this.#onGone = onGone;
    near.pause();
    near.on('error', () => undefined);
  }

  set(state: LinkState): void {
    const isHung = state.kind === 'hang';
    if (!isHung) this.#open();
    if (this.#lanes === undefined) return;
    const delayMs = state.kind === 'delay' ? state.delayMs : 0;
    for (const direction of ['toTarget', 'fromTarget'] as const) {
      const isDropped = state.kind === 'drop' && state.direction === direction;
      this.#lanes[direction].set({ isOpen: !isHung && !isDropped, delayMs });
    }
  }

  destroy(): void {
    this.#near.resetAndDestroy();
    this.#far?.destroy();
  }

  #open(): void {
    if (this.#far !== undefined) return;
    const near = this.#near;
    const far = connect({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true });
    this.#far = far;
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        if (near.closed && far.closed) this.#onGone();
      });
    }
    this.#lanes = { toTarget: new LinkLane(near, far), fromTarget: new LinkLane(far, near) };
  }
}

async function listen(port: number): Promise<Server> {
  for (let triesLeft = listenTriesMax; ; triesLeft -= 1) {
    const server = createServer({ allowHalfOpen: true });
    server.listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
      return server;
    } catch (error) {
      if (triesLeft <= 1) throw error;
      await delay(20);
    }
  }
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The proxy has no port');
  return address.port;
}

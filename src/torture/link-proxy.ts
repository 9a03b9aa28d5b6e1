import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Flow, Link } from './link.js';

export interface ProxyOptions {
  /** The port that it stands in front of; `undefined` while nobody listens there. */
  readonly targetPort: () => number | undefined;
  /** The link that a connection belongs to, by the first bytes that come over it and the port that it comes from. */
  readonly linkOf: (start: Buffer, openerPort: number) => Promise<Link>;
}

/** Stands in front of a port of this machine, and lets the bytes through as the links say. */
export class LinkProxy {
  readonly #options: ProxyOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(options: ProxyOptions) {
    this.#options = options;
    this.#server = createServer({ pauseOnConnect: true }, (socket) => void this.#serve(socket));
  }

  static async open(options: ProxyOptions): Promise<LinkProxy> {
    const proxy = new LinkProxy(options);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Never rejects: a connection that breaks on one side is broken on the other. */
  async #serve(opener: Socket): Promise<void> {
    this.#note(opener);
    const { remotePort } = opener;
    const start = await firstPiece(opener);
    const link = start && (await this.#options.linkOf(start, remotePort ?? 0));
    const port = this.#options.targetPort();
    const isOver = start === undefined || link === undefined || port === undefined;
    // It may have been closed while it was looked at.
    if (isOver || link.isRefused || opener.destroyed) {
      opener.destroy();
      return;
    }
    const connection = link.connect();
    const taker = connect(port, '127.0.0.1');
    this.#note(taker);
    const { signal } = connection;
    const end = (): void => connection.abort();
    for (const socket of [opener, taker]) {
      socket.setNoDelay(true);
      socket.once('close', end);
    }
    signal.addEventListener('abort', () => {
      opener.destroy();
      taker.destroy();
    });
    opener.unshift(start);
    await Promise.all([
      pump(opener, taker, link.there, signal),
      pump(taker, opener, link.back, signal),
    ]);
    end();
  }

  #note(socket: Socket): void {
    this.#sockets.add(socket);
    // `close` follows, and that is what counts.
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

function firstPiece(socket: Socket): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    socket.once('data', (piece: Buffer) => {
      socket.pause();
      resolve(piece);
    });
    socket.once('close', () => resolve(undefined));
    socket.resume();
  });
}

/** Carries what one side says to the other, as the flow lets it, until one of them is gone. */
async function pump(from: Socket, to: Socket, flow: Flow, signal: AbortSignal): Promise<void> {
  try {
    for await (const piece of from as AsyncIterable<Buffer>) {
      await flow.pass(signal);
      if (signal.aborted) return;
      if (!to.write(piece)) await once(to, 'drain', { signal });
    }
    to.end();
  } catch {
    // One of the two broke; the other one is ended by the signal.
  }
}

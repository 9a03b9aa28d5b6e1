import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { drainMsMax } from '../protocol/limits.js';
import { createHttpServer } from './http-server.js';
import { Lane, type LaneOptions } from './lane/lane.js';
import type { ServerPorts } from './server-ports.js';
import type { TlsMaterial } from './tls-material.js';
import { tlsOptions } from './tls-options.js';

/** How often a stopping node looks for connections that have become idle. */
const sweepMs = 50;

export interface ListenAddress {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** The certificate to listen with; `undefined` listens without TLS. */
  readonly tls?: TlsMaterial;
}

/** The HTTP server of a node with the fast lane in front, from its first connection until the last one is closed. */
export class Listener {
  readonly #server: Server;
  readonly #lane: Lane;
  /** Connections that have not sent a whole head yet; Node does not count them as idle. */
  readonly #silent: ReadonlySet<Socket>;
  #closed: Promise<void> | undefined;

  private constructor(server: Server, lane: Lane, silent: ReadonlySet<Socket>) {
    this.#server = server;
    this.#lane = lane;
    this.#silent = silent;
  }

  /** Resolves when connections are accepted. Throws `listen_failed`. */
  static async open(
    ports: ServerPorts,
    address: ListenAddress,
    laneOptions: Partial<LaneOptions> = {},
  ): Promise<Listener> {
    const server = createHttpServer(ports, address.tls);
    const silent = trackSilent(server);
    const lane = new Lane(server, ports, laneOptions);
    try {
      await listen(server, address);
    } catch (error) {
      lane.closeAll();
      throw error;
    }
    return new Listener(server, lane, silent);
  }

  /** The address that is listened on, with the real port. */
  get url(): string {
    const { address, family, port } = this.#server.address() as AddressInfo;
    const scheme = this.#server instanceof TlsServer ? 'https' : 'http';
    return `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  /** Takes new connections with this certificate; those that are open stay as they are. */
  takeCertificate(tls: TlsMaterial): void {
    if (this.#server instanceof TlsServer) this.#server.setSecureContext(tlsOptions(tls));
  }

  /** Accepts no more connections, waits for the requests under way, and closes what is left; idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    const sweep = (): void => {
      for (const socket of this.#silent) socket.destroy();
      this.#lane.closeIdle();
      this.#server.closeIdleConnections();
    };
    sweep();
    // Connections become idle one after another while their last requests are answered.
    const sweeping = setInterval(sweep, sweepMs);
    const force = setTimeout(() => {
      this.#lane.closeAll();
      this.#server.closeAllConnections();
    }, drainMsMax);
    await closed;
    clearInterval(sweeping);
    clearTimeout(force);
    this.#lane.closeAll();
  }
}

function trackSilent(server: Server): ReadonlySet<Socket> {
  const silent = new Set<Socket>();
  const handshakes = new Map<string, Socket>();
  if (server instanceof TlsServer) {
    server.on('connection', (socket: Socket) => {
      const peer = peerOf(socket);
      handshakes.set(peer, socket);
      silent.add(socket);
      socket.once('close', () => {
        silent.delete(socket);
        if (handshakes.get(peer) === socket) handshakes.delete(peer);
      });
    });
  }
  const event = server instanceof TlsServer ? 'secureConnection' : 'connection';
  server.on(event, (socket: Socket) => {
    // The connection below it has sent what it had to.
    const below = handshakes.get(peerOf(socket));
    if (below !== undefined) silent.delete(below);
    silent.add(socket);
    // Each of many requests that a client sends at once waits for its turn, or for the end of the connection.
    socket.setMaxListeners(0);
    socket.once('close', () => silent.delete(socket));
  });
  const onRequest = (request: IncomingMessage): void => {
    silent.delete(request.socket);
  };
  server.on('request', onRequest);
  server.on('checkContinue', onRequest);
  return silent;
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function listen(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (cause: NodeJS.ErrnoException): void => {
      reject(
        new ChukchaError('listen_failed', listenErrorText(`${host}:${port}`, cause), { cause }),
      );
    };
    server.once('error', onError);
    server.listen({ host, port }, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

function listenErrorText(address: string, cause: NodeJS.ErrnoException): string {
  switch (cause.code) {
    case 'EADDRINUSE':
      return `Another process listens on ${address} already: stop it, or choose another address with --listen.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${address} is not an address of this machine: choose one of its own with --listen, for example 127.0.0.1:8080.`;
    case 'EACCES':
      return `This user may not listen on ${address}: choose a port above 1023 with --listen.`;
    default:
      return `${address} cannot be listened on (${cause.message}): choose another address with --listen.`;
  }
}

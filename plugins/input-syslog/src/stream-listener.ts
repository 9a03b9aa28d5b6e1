import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { listenFailure, readTlsFiles, type TlsSettings } from '@chukcha/http-door/listening';
import type { PluginOptions } from '@chukcha/plugin-api';
import { FrameSplitter } from './frame-splitter.js';
import type { ListenerParts } from './listener-parts.js';

/** How many connections may be open; each may hold one message that is not whole. */
const connectionCountMax = 4096;

/** How long a client may take for the handshake of TLS. */
const handshakeMsMax = 30_000;

/** How often the system asks whether a silent client is still there. */
const keepAliveMs = 60_000;

/** Takes syslog over TCP, or over TLS when there is a certificate. */
export class StreamListener {
  readonly transport = 'TCP';
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  #closed: Promise<void> | undefined;

  private constructor(server: Server, sockets: Set<Socket>) {
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
    this.#sockets = sockets;
  }

  static async open(options: PluginOptions, parts: ListenerParts): Promise<StreamListener> {
    const tls = await readTlsFiles(options);
    const sockets = new Set<Socket>();
    const server = createListener(tls, (socket) => follow(socket, sockets, parts));
    server.maxConnections = connectionCountMax;
    server.on('tlsClientError', (error: Error, socket: Socket) => {
      parts.figures.broken(socket.remoteAddress ?? 'unknown', error.message);
    });
    const host = options['host'] as string;
    const port = options['port'] as number;
    await new Promise<void>((resolve, reject) => {
      const onError = (cause: Error): void => reject(listenFailure('syslog', host, port, cause));
      server.once('error', onError);
      server.listen({ host, port }, () => {
        server.off('error', onError);
        resolve();
      });
    });
    return new StreamListener(server, sockets);
  }

  /** Reads on after there was no room. */
  resume(): void {
    for (const socket of this.#sockets) socket.resume();
  }

  /** Closes all connections: what clients have sent and was not read yet is theirs to send again. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
    return this.#closed;
  }
}

function createListener(tls: TlsSettings | undefined, onSocket: (socket: Socket) => void): Server {
  if (tls === undefined) return createServer(onSocket);
  return createTlsServer({ ...tls, handshakeTimeout: handshakeMsMax }, onSocket);
}

function follow(socket: Socket, sockets: Set<Socket>, parts: ListenerParts): void {
  const { gatherer, lines, figures } = parts;
  const peer = socket.remoteAddress ?? 'unknown';
  const splitter = new FrameSplitter(parts.framing, parts.frameBytesMax, (frame, isCut) => {
    const line = lines.make(frame, peer, isCut);
    if (line !== undefined) gatherer.add(line);
  });
  /** False when nobody can tell where the next message begins. */
  let isReadable = true;
  sockets.add(socket);
  socket.setKeepAlive(true, keepAliveMs);
  socket.on('data', (piece: Buffer) => {
    try {
      splitter.push(piece);
    } catch (error) {
      figures.broken(peer, (error as Error).message);
      isReadable = false;
      socket.destroy();
    }
    if (gatherer.isFull) for (const other of sockets) other.pause();
  });
  // Also after an error: what has come is not lost with the connection.
  socket.once('close', () => {
    sockets.delete(socket);
    if (!isReadable) return;
    try {
      splitter.finish();
    } catch (error) {
      figures.broken(peer, (error as Error).message);
    }
  });
  socket.on('error', (error) => figures.broken(peer, error.message));
  if (gatherer.isFull) socket.pause();
}

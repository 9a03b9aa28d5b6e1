import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { listenFailure } from '@chukcha/http-door/listening';
import type { PluginOptions } from '@chukcha/plugin-api';
import type { ListenerParts } from './listener-parts.js';

/** How much the system may hold while this process is busy, in bytes; it gives as much as it is set to. */
const systemBufferBytes = 4 * 1024 * 1024;

/** Takes syslog over UDP, a message in each datagram. */
export class DatagramListener {
  readonly transport = 'UDP';
  readonly port: number;
  readonly #socket: Socket;
  #closed: Promise<void> | undefined;

  private constructor(socket: Socket) {
    this.port = socket.address().port;
    this.#socket = socket;
  }

  static async open(options: PluginOptions, parts: ListenerParts): Promise<DatagramListener> {
    const host = options['host'] as string;
    const port = options['port'] as number;
    const type = isIPv6(host) ? 'udp6' : 'udp4';
    const socket = createSocket({ type, recvBufferSize: systemBufferBytes });
    await new Promise<void>((resolve, reject) => {
      const onError = (cause: Error): void => reject(listenFailure('syslog', host, port, cause));
      socket.once('error', onError);
      socket.bind({ address: host, port }, () => {
        socket.off('error', onError);
        resolve();
      });
    });
    socket.on('message', (datagram, { address }) => take(datagram, address, parts));
    socket.on('error', (error) => parts.figures.broken('UDP', error.message));
    return new DatagramListener(socket);
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => this.#socket.close(() => resolve()));
    return this.#closed;
  }
}

function take(datagram: Buffer, peer: string, parts: ListenerParts): void {
  if (parts.gatherer.isFull) {
    parts.figures.dropped();
    return;
  }
  const isCut = datagram.length > parts.frameBytesMax;
  const frame = isCut ? datagram.subarray(0, parts.frameBytesMax) : datagram;
  const line = parts.lines.make(frame, peer, isCut);
  if (line !== undefined) parts.gatherer.add(line);
}

import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { ChukchaError, errorFromBody, errorMessage } from '../protocol/chukcha-error.js';
import { streamProtocol } from '../protocol/frames.js';
import type { Channel, ChannelSink, Network } from './channel.js';

/** How long a connection may take until the other node has answered: a node that hangs must not be waited for. */
const openMsMax = 3_000;

/** What is read before a sink says where to. */
const openBytes = 16 * 1024;

/** So much is handed to a socket ahead of what it has taken: one large part is read while the one before is sent. */
const waitingBytesMax = 2 * 1024 * 1024;

/** What a node shows its peers. */
export interface PeerCredentials {
  /** The header with the secret of the cluster. */
  readonly authorization: string | undefined;
  /** Its certificate as it is now, and who has to have signed that of a peer. */
  readonly tls:
    | (() => { readonly cert: string; readonly key: string; readonly ca: string | undefined })
    | undefined;
}

/** The network of the machine. */
export const createNodeNetwork = (credentials: PeerCredentials): Network => ({
  connect(url, target, signal) {
    return new Promise((resolve, reject) => {
      const abort = (): void => opening.fail('it was given up');
      const settled = (): void => signal.removeEventListener('abort', abort);
      const opening = new OpeningStream(
        url,
        target,
        credentials,
        (channel) => {
          settled();
          resolve(channel);
        },
        (error) => {
          settled();
          reject(error);
        },
      );
      signal.addEventListener('abort', abort, { once: true });
      if (signal.aborted) abort();
    });
  },
});

/** Takes over the socket of a stream that another node has opened, with what came behind the head of the request. */
export function acceptedChannel(socket: Socket, firstBytes: Buffer): Channel {
  return new SocketChannel(socket, (sink) => {
    feed(sink, firstBytes);
    socket.on('data', (bytes: Buffer) => feed(sink, bytes));
    // It was paused while it was handed over.
    socket.resume();
  });
}

/**
 * A connection that is being opened. What comes before somebody takes it is kept here; from then on the system puts
 * it where the sink says.
 */
class OpeningStream {
  readonly #url: string;
  readonly #socket: Socket;
  readonly #opened: (channel: Channel) => void;
  readonly #failed: (error: ChukchaError) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #buffer = Buffer.allocUnsafeSlow(openBytes);
  /** What of the buffer was read into, and where what is not taken yet begins. */
  #filledBytes = 0;
  #takenBytes = 0;
  #sink: ChannelSink | undefined;
  /** Whether the next bytes come into the buffer here. */
  #readsHere = true;
  #isDone = false;

  constructor(
    url: string,
    target: string,
    { authorization, tls }: PeerCredentials,
    opened: (channel: Channel) => void,
    failed: (error: ChukchaError) => void,
  ) {
    const { hostname, port, host, protocol } = new URL(url);
    const isTls = protocol === 'https:';
    this.#url = url;
    this.#opened = opened;
    this.#failed = failed;
    this.#timer = setTimeout(() => this.fail(`no answer within ${openMsMax} ms`), openMsMax);
    const { cert, key, ca } = tls?.() ?? {};
    const address = {
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: Number(port === '' ? (isTls ? 443 : 80) : port),
      noDelay: true,
      onread: {
        buffer: () => this.#target(),
        callback: (byteCount: number) => {
          this.#received(byteCount);
          return true;
        },
      },
    };
    this.#socket = isTls ? connectTls({ ...address, cert, key, ca }) : connect(address);
    this.#socket.on('error', (error) => this.fail(errorMessage(error)));
    this.#socket.on('close', () => this.fail('the connection was closed'));
    this.#socket.write(
      `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: ${streamProtocol}\r\n${authorization === undefined ? '' : `Authorization: ${authorization}\r\n`}\r\n`,
    );
  }

  fail(reason: string | ChukchaError): void {
    if (this.#isDone) return;
    this.#isDone = true;
    clearTimeout(this.#timer);
    this.#socket.destroy();
    this.#failed(
      typeof reason === 'string'
        ? new ChukchaError(
            'server_unreachable',
            `Node ${this.#url} cannot be reached (${reason}): it is tried again; look whether it runs, and at the network between the nodes.`,
            { fields: { server: this.#url } },
          )
        : reason,
    );
  }

  #target(): Buffer {
    this.#readsHere = this.#sink === undefined;
    return this.#sink?.target() ?? this.#buffer.subarray(this.#filledBytes);
  }

  #received(byteCount: number): void {
    if (!this.#readsHere) {
      this.#sink?.received(byteCount);
      return;
    }
    this.#filledBytes += byteCount;
    if (this.#sink !== undefined) this.#handOver(this.#sink);
    else if (!this.#isDone) this.#readAnswer();
    // Nobody has taken the stream, and the other side sends on and on.
    if (this.#filledBytes === openBytes) this.#socket.destroy();
  }

  #readAnswer(): void {
    const text = this.#buffer.toString('latin1', 0, this.#filledBytes);
    const headEnd = text.indexOf('\r\n\r\n') + 4;
    if (headEnd < 4) return;
    if (/^HTTP\/1\.1 101 /.test(text)) {
      this.#takenBytes = headEnd;
      this.#open();
      return;
    }
    const [, length = '0'] = /\r\ncontent-length: (\d+)\r\n/i.exec(text) ?? [];
    const bodyEnd = headEnd + Number(length);
    if (bodyEnd > this.#filledBytes && bodyEnd <= openBytes) return;
    this.fail(errorFromBody(text.slice(headEnd, bodyEnd)) ?? 'what answers is no chukcha node');
  }

  #open(): void {
    this.#isDone = true;
    clearTimeout(this.#timer);
    const channel = new SocketChannel(this.#socket, (sink) => {
      this.#sink = sink;
      this.#handOver(sink);
    });
    this.#opened(channel);
  }

  #handOver(sink: ChannelSink): void {
    feed(sink, this.#buffer.subarray(this.#takenBytes, this.#filledBytes));
    this.#takenBytes = this.#filledBytes;
  }
}

/** Puts bytes that lie elsewhere where a sink says. */
function feed(sink: ChannelSink, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    const copied = bytes.copy(sink.target(), 0, at);
    at += copied;
    sink.received(copied);
  }
}

class SocketChannel implements Channel {
  readonly #socket: Socket;
  readonly #receive: (sink: ChannelSink) => void;
  #sink: ChannelSink | undefined;
  #waitingBytes = 0;
  #isClosed = false;

  constructor(socket: Socket, receive: (sink: ChannelSink) => void) {
    this.#socket = socket;
    this.#receive = receive;
    socket.setNoDelay(true);
  }

  get isFull(): boolean {
    return this.#waitingBytes >= waitingBytesMax;
  }

  attach(sink: ChannelSink): void {
    this.#sink = sink;
    const close = (reason: string): void => {
      if (this.#isClosed) return;
      this.#isClosed = true;
      this.#socket.destroy();
      sink.closed(reason);
    };
    this.#socket.on('error', (error) => close(errorMessage(error)));
    this.#socket.on('end', () => close('the other side closed the connection'));
    this.#socket.on('close', () => close('the connection was closed'));
    this.#receive(sink);
  }

  send(parts: readonly Uint8Array[], released?: () => void): void {
    const byteCount = parts.reduce((sum, part) => sum + part.length, 0);
    const last = parts.length - 1;
    this.#waitingBytes += byteCount;
    if (last > 0) this.#socket.cork();
    for (const [index, part] of parts.entries()) {
      if (index < last) this.#socket.write(part);
      else this.#socket.write(part, (error) => this.#sent(byteCount, error, released));
    }
    if (last > 0) this.#socket.uncork();
  }

  #sent(byteCount: number, error: Error | null | undefined, released?: () => void): void {
    if (error !== undefined && error !== null) return;
    const wasFull = this.isFull;
    this.#waitingBytes -= byteCount;
    released?.();
    if (wasFull && !this.isFull) this.#sink?.drained();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }
}

import type { Socket } from 'node:net';
import { ChukchaError, errorFromBody, errorMessage } from '../protocol/chukcha-error.js';
import {
  encodeFrame,
  type FrameHead,
  frameFlags,
  frameHeadBytes,
  frameKinds,
  invalidFrame,
  readFrameHead,
  streamProtocol,
} from '../protocol/frames.js';
import { messageBytesMax, streamHeartbeatMs, streamIdleMsMax } from '../protocol/limits.js';
import { connectNode, nodeAddress } from './connect-node.js';
import { authorizationHeader, type Credentials } from './credentials.js';

/** The buffer that is read into; it grows to the largest frame that comes. */
const readBytesMin = 64 * 1024;

/** A node sends one message or 256 KiB of them at the most, the name of a chunk, and a head. */
const frameBytesMax = messageBytesMax + 64 * 1024;

export interface FrameSocketOptions {
  readonly credentials: Credentials;
  /** The address of a node, as `http://127.0.0.1:8080`. */
  readonly server: string;
  /** The path of the stream, with its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The payload is read from a buffer that is used again when the call returns. */
  readonly onFrame: (head: FrameHead, payload: Buffer) => void;
  /** Called once, with what ended the stream. */
  readonly onEnd: (error: ChukchaError) => void;
}

/**
 * The client's side of a framed stream: opens it, keeps it alive, and takes frames apart. It reads into one
 * buffer that is used again and again.
 */
export class FrameSocket {
  readonly #options: FrameSocketOptions;
  readonly #socket: Socket;
  readonly #opened: () => void;
  #state: 'opening' | 'open' | 'closed' = 'opening';
  #buffer = Buffer.allocUnsafeSlow(readBytesMin);
  #filledBytes = 0;
  #heartbeat: NodeJS.Timeout | undefined;
  #lastReceivedMs = performance.now();

  private constructor(options: FrameSocketOptions, opened: () => void) {
    const address = nodeAddress(options.server);
    this.#options = options;
    this.#opened = opened;
    this.#socket = connectNode(address, options.credentials, {
      buffer: () => this.#buffer.subarray(this.#filledBytes),
      callback: (byteCount) => this.#received(byteCount),
    });
    const headers = { ...authorizationHeader(options.credentials), ...options.headers };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    this.#socket.write(
      `GET ${options.path} HTTP/1.1\r\nHost: ${address.host}\r\nConnection: Upgrade\r\nUpgrade: ${streamProtocol}\r\n${lines.join('')}\r\n`,
    );
    this.#socket.setTimeout(streamIdleMsMax, () => this.#fail(this.#broken('it says nothing')));
    this.#socket.on('error', (error) => this.#fail(this.#broken(errorMessage(error))));
    this.#socket.on('end', () => this.#fail(this.#broken('it closed the connection')));
    this.#socket.on('close', () => this.#fail(this.#broken('the connection is closed')));
  }

  /**
   * Opens a stream. Rejects with the error that the node answers, `server_unreachable`, or `invalid_response`
   * when what answers is no node.
   */
  static open(options: FrameSocketOptions): Promise<FrameSocket> {
    return new Promise((resolve, reject) => {
      let isOpen = false;
      const opened = (): void => {
        isOpen = true;
        resolve(socket);
      };
      const onEnd = (error: ChukchaError): void => (isOpen ? options.onEnd(error) : reject(error));
      const socket: FrameSocket = new FrameSocket({ ...options, onEnd }, opened);
    });
  }

  /** Sends a frame, or its parts one after another. */
  send(...parts: readonly Uint8Array[]): void {
    if (this.#state === 'closed') return;
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
  }

  /** Closes the connection; `onEnd` hears `aborted`. */
  close(): void {
    this.#fail(new ChukchaError('aborted', 'The stream was closed.'));
  }

  #received(byteCount: number): boolean {
    this.#filledBytes += byteCount;
    this.#lastReceivedMs = performance.now();
    try {
      if (this.#state === 'opening') this.#readAnswer();
      if (this.#state === 'open') this.#readFrames();
    } catch (error) {
      this.#fail(error as ChukchaError);
    }
    return true;
  }

  #readAnswer(): void {
    const text = this.#buffer.toString('latin1', 0, this.#filledBytes);
    const headEnd = text.indexOf('\r\n\r\n');
    if (headEnd === -1 && this.#filledBytes < this.#buffer.length) return;
    if (/^HTTP\/1\.1 101 /.test(text)) {
      this.#keep(headEnd + 4);
      this.#state = 'open';
      this.#heartbeat = setInterval(() => {
        // The time-out of the socket begins anew with what is sent, so it would never tell that nothing comes.
        const silentMs = performance.now() - this.#lastReceivedMs;
        if (silentMs > streamIdleMsMax) this.#fail(this.#broken('it says nothing'));
        else this.send(encodeFrame(frameKinds.heartbeat));
      }, streamHeartbeatMs / 2);
      this.#opened();
      return;
    }
    const [, length = '0'] = /\r\ncontent-length: (\d+)\r\n/i.exec(text) ?? [];
    const bodyEnd = headEnd + 4 + Number(length);
    if (bodyEnd > this.#filledBytes && bodyEnd <= this.#buffer.length) return;
    throw errorFromBody(text.slice(headEnd + 4, bodyEnd)) ?? this.#noNode();
  }

  #readFrames(): void {
    let at = 0;
    let missingBytes = 0;
    while (this.#state === 'open' && this.#filledBytes - at >= frameHeadBytes) {
      const head = readFrameHead(this.#buffer, at);
      const frameBytes = frameHeadBytes + head.payloadBytes;
      if (frameBytes > frameBytesMax) throw invalidFrame(`${frameBytes} bytes from a node`);
      if (this.#filledBytes - at < frameBytes) {
        missingBytes = frameBytes;
        break;
      }
      this.#onFrame(head, this.#buffer.subarray(at + frameHeadBytes, at + frameBytes));
      at += frameBytes;
    }
    this.#keep(at, missingBytes);
  }

  #onFrame(head: FrameHead, payload: Buffer): void {
    if (head.kind === frameKinds.heartbeat) return;
    if (head.kind === frameKinds.draining) {
      throw new ChukchaError(
        'draining',
        `${this.#options.server} is stopping: open the stream again later, or at another node.`,
      );
    }
    if (head.kind === frameKinds.refused && (head.flags & frameFlags.last) !== 0) {
      throw errorFromBody(payload.toString('latin1')) ?? this.#noNode();
    }
    this.#options.onFrame(head, payload);
  }

  /** Moves what was not read yet to the front, in a buffer in which the frame has room. */
  #keep(from: number, wantedBytes = 0): void {
    const source = this.#buffer;
    if (wantedBytes > source.length) this.#buffer = Buffer.allocUnsafeSlow(frameBytesMax);
    source.copy(this.#buffer, 0, from, this.#filledBytes);
    this.#filledBytes -= from;
  }

  #fail(error: ChukchaError): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    clearInterval(this.#heartbeat);
    this.#socket.destroy();
    this.#options.onEnd(error);
  }

  #broken(reason: string): ChukchaError {
    const { server } = this.#options;
    return new ChukchaError(
      'server_unreachable',
      `The stream to ${server} broke (${reason}): look whether the node runs, and open it again.`,
      { fields: { server } },
    );
  }

  #noNode(): ChukchaError {
    return new ChukchaError(
      'invalid_response',
      `${this.#options.server} does not speak ${streamProtocol}: check that it is the address of a chukcha node.`,
    );
  }
}

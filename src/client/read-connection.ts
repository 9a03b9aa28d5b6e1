import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { type AnswerHead, parseAnswerHead } from './answer-head.js';
import { connectNode, type NodeAddress } from './connect-node.js';
import type { Credentials } from './credentials.js';

/** The longest head of an answer, as Node's own client has it. */
const headBytesMax = 16 * 1024;

const headEnd = Buffer.from('\r\n\r\n');

/** How long a connection waits for the next request: well below the 75 s for which a node holds it. */
const idleMsMax = 50_000;

/** What is asked over a connection, one after the other. */
export interface ReadRequest {
  /** The whole request, which has no body. */
  readonly text: string;
  /** How long the connection may be silent, in milliseconds. */
  readonly silenceMsMax: number;
  /** What the call fails with when it was silent for so long. */
  readonly timeoutError: () => Error;
  /** Gives the buffer for the body, with just its size. What it throws fails the call. */
  readonly takeBuffer: (head: AnswerHead) => Buffer;
}

export interface ReadResult {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Why a request has no answer here, though it may have one when it is asked in another way. */
export type Unanswered = 'not plain' | 'gone before the answer';

interface PendingRequest {
  readonly request: ReadRequest;
  resolve(result: ReadResult | Unanswered): void;
  reject(error: unknown): void;
}

interface IncomingBody {
  readonly head: AnswerHead;
  readonly bytes: Buffer;
  filledBytes: number;
}

/**
 * A kept connection to a node for answers with a known length, each of which goes from the system straight into the
 * buffer that it is to lie in. It is busy from a request to the end of its answer, idle until the next one, and closed
 * by an answer that says so, by silence, by what is not understood, and by whoever holds it.
 */
export class ReadConnection {
  readonly #socket: Socket;
  readonly #head = Buffer.allocUnsafeSlow(headBytesMax);
  #headFilledBytes = 0;
  #body: IncomingBody | undefined;
  #pending: PendingRequest | undefined;
  #answerCount = 0;
  #isClosed = false;

  constructor(address: NodeAddress, credentials: Credentials) {
    this.#socket = connectNode(address, credentials, {
      buffer: () => this.#nextBuffer(),
      callback: (byteCount) => this.#received(byteCount),
    });
    this.#socket.on('timeout', () => this.fail(this.#pending?.request.timeoutError()));
    this.#socket.on('error', (error) => this.#broke(error));
    this.#socket.on('end', () => this.#broke(new Error('the connection was closed early')));
    this.#socket.on('close', () => this.#broke(new Error('the connection is closed')));
  }

  /** Whether it takes requests. */
  get isOpen(): boolean {
    return !this.#isClosed;
  }

  /** Whether an answer has begun and is not whole yet. */
  get isAnswering(): boolean {
    return this.#body !== undefined || this.#headFilledBytes > 0;
  }

  /** Rejects when the connection breaks, unless that says nothing of the node because it was a kept one. */
  ask(request: ReadRequest): Promise<ReadResult | Unanswered> {
    return new Promise((resolve, reject) => {
      this.#pending = { request, resolve, reject };
      this.#socket.ref();
      this.#socket.setTimeout(request.silenceMsMax);
      this.#socket.write(request.text, 'latin1');
    });
  }

  /** Closes the connection; what is asked fails with the error. Idempotent. */
  fail(error: unknown): void {
    this.#close()?.reject(error);
  }

  #nextBuffer(): Buffer {
    const body = this.#body;
    return body === undefined
      ? this.#head.subarray(this.#headFilledBytes)
      : body.bytes.subarray(body.filledBytes);
  }

  #received(byteCount: number): boolean {
    if (this.#pending === undefined) {
      // Nothing was asked, so whoever speaks here is no node.
      this.#close();
      return true;
    }
    if (this.#body === undefined) {
      this.#headFilledBytes += byteCount;
      this.#readHead(this.#pending.request);
    } else {
      this.#body.filledBytes += byteCount;
    }
    if (this.#body?.filledBytes === this.#body?.bytes.length) this.#finish();
    return true;
  }

  #readHead({ takeBuffer }: ReadRequest): void {
    const filled = this.#head.subarray(0, this.#headFilledBytes);
    const endsAt = filled.indexOf(headEnd);
    if (endsAt === -1) {
      if (filled.length === headBytesMax) this.#giveUp('not plain');
      return;
    }
    const head = parseAnswerHead(filled.toString('latin1', 0, endsAt));
    const rest = filled.subarray(endsAt + headEnd.length);
    if (head === undefined || rest.length > head.bodyBytes) {
      this.#giveUp('not plain');
      return;
    }
    try {
      const bytes = takeBuffer(head);
      this.#body = { head, bytes, filledBytes: rest.copy(bytes) };
      this.#headFilledBytes = 0;
    } catch (error) {
      this.fail(error);
    }
  }

  #finish(): void {
    const body = this.#body;
    const pending = this.#pending;
    if (body === undefined || pending === undefined) return;
    this.#body = undefined;
    this.#pending = undefined;
    this.#answerCount += 1;
    this.#socket.unref();
    this.#socket.setTimeout(idleMsMax);
    if (!body.head.isKept) this.#close();
    const { status, headers } = body.head;
    pending.resolve({ status, headers, body: body.bytes });
  }

  #broke(error: Error): void {
    // The node may close a connection that was idle while a request is on its way.
    const isKept = this.#answerCount > 0 && !this.isAnswering;
    if (isKept) this.#giveUp('gone before the answer');
    else this.fail(error);
  }

  #giveUp(reason: Unanswered): void {
    this.#close()?.resolve(reason);
  }

  /** Gives what was asked, for whoever ends it. */
  #close(): PendingRequest | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    this.#isClosed = true;
    this.#socket.destroy();
    return pending;
  }
}

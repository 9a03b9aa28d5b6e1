import {
  Agent,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
} from 'node:http';
import { request as requestTls, Agent as TlsAgent } from 'node:https';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { isErrorCode } from '../protocol/error-codes.js';
import { headers } from '../protocol/http-api.js';
import { type NodeAddress, nodeAddress } from './connect-node.js';
import { authorizationHeader, type Credentials } from './credentials.js';
import { ReadLane } from './read-lane.js';

export interface HttpCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly query: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent one after another as the body. */
  readonly pieces?: readonly Uint8Array[];
  readonly byteCount?: number;
  /** How long the connection may be silent before the call fails with `timeout`. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Whether the node may hold the call until there is something to tell. @default false */
  readonly held?: boolean;
  /**
   * Gives the buffer that the body of an answer is put into; it has at least `byteCount` bytes. For calls without a body
   * that change nothing, because they may be made twice.
   */
  readonly takeBuffer?: TakeBuffer;
}

type TakeBuffer = (byteCount: number) => Buffer;

export interface HttpAnswer {
  /** The address of the node that answered. */
  readonly server: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** The largest answer that a client takes into memory: a read of the largest size, and one message more. */
const answerBytesMax = 32 * 1024 * 1024;

/**
 * Calls one node over kept-alive connections. An answer with an error is thrown as the `ChukchaError`
 * that the node meant, with the node's address in the field `server`.
 */
export class HttpTransport {
  readonly server: string;
  readonly #agent: Agent;
  readonly #request: typeof request;
  readonly #authorization: Readonly<Record<string, string>>;
  readonly #address: NodeAddress;
  readonly #readLane: ReadLane;
  /** Calls that the node holds, until their answers begin. */
  readonly #held = new Set<ClientRequest>();

  /** Throws `invalid_option` for an address that is not one of a node. */
  constructor(server: string, credentials: Credentials = {}) {
    const url = parseServer(server);
    const isTls = url.protocol === 'https:';
    checkToken(credentials.token);
    this.#authorization = authorizationHeader(credentials);
    this.#request = isTls ? requestTls : request;
    this.#agent = isTls
      ? new TlsAgent({ keepAlive: true, ...credentials.tls })
      : new Agent({ keepAlive: true });
    this.server = url.origin;
    this.#address = nodeAddress(url.origin);
    this.#readLane = new ReadLane(this.#address, credentials);
  }

  async call(call: HttpCall): Promise<HttpAnswer> {
    if (call.signal?.aborted) throw abortedError();
    const { takeBuffer } = call;
    const answer = takeBuffer === undefined ? undefined : await this.#read(call, takeBuffer);
    return answer ?? this.#callInGeneral(call);
  }

  /** The short way; `undefined` when the call has to go the general way. */
  async #read(call: HttpCall, takeBuffer: TakeBuffer): Promise<HttpAnswer | undefined> {
    const read = this.#readLane.read({
      path: pathWithQuery(call),
      headers: call.headers ?? {},
      silenceMsMax: call.timeoutMs,
      timeoutError: () => this.#timeoutError(call),
      takeBuffer: ({ status, bodyBytes }) => bufferFor(bodyBytes, status, takeBuffer),
      signal: call.signal,
      abortedError,
      isHeld: call.held === true,
    });
    const answer = await read.catch((error: unknown) => {
      throw this.#connectionError(error);
    });
    if (answer === undefined) return undefined;
    return this.#toAnswer(answer.status, answer.headers, answer.body);
  }

  #callInGeneral(call: HttpCall): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const outgoing = this.#request({
        agent: this.#agent,
        hostname: this.#address.hostname,
        port: this.#address.port,
        method: call.method,
        path: pathWithQuery(call),
        headers: {
          ...this.#authorization,
          ...call.headers,
          ...(call.pieces === undefined ? {} : { 'Content-Length': call.byteCount }),
        },
        timeout: call.timeoutMs,
      });
      const abort = (): void => {
        outgoing.destroy(abortedError());
      };
      call.signal?.addEventListener('abort', abort, { once: true });
      if (call.held === true) this.#held.add(outgoing);
      outgoing.once('close', () => {
        this.#held.delete(outgoing);
        call.signal?.removeEventListener('abort', abort);
      });
      outgoing.once('timeout', () => outgoing.destroy(this.#timeoutError(call)));
      outgoing.on('error', (error) => reject(this.#connectionError(error)));
      outgoing.once('response', (incoming) => {
        this.#held.delete(outgoing);
        this.#receive(incoming, call).then(resolve, (error: unknown) => {
          outgoing.destroy();
          reject(this.#connectionError(error));
        });
      });
      sendPieces(outgoing, call.pieces);
    });
  }

  /** Ends the calls that the node holds; they throw the error. */
  breakHeld(error: ChukchaError): void {
    for (const outgoing of this.#held) outgoing.destroy(error);
    this.#readLane.breakHeld(error);
  }

  /** Closes idle connections; calls that are under way go on. */
  close(): void {
    this.#agent.destroy();
    this.#readLane.close();
  }

  async #receive(incoming: IncomingMessage, call: HttpCall): Promise<HttpAnswer> {
    const status = incoming.statusCode ?? 0;
    const body = await receiveBody(incoming, status, call.takeBuffer);
    return this.#toAnswer(status, incoming.headers, body);
  }

  #toAnswer(status: number, incomingHeaders: IncomingHttpHeaders, body: Buffer): HttpAnswer {
    if (status === 200) return { server: this.server, headers: incomingHeaders, body };
    throw this.#answeredError(status, incomingHeaders, body);
  }

  #answeredError(status: number, incomingHeaders: IncomingHttpHeaders, body: Buffer): ChukchaError {
    const error = parseErrorBody(body);
    if (error === undefined) {
      return new ChukchaError(
        'invalid_response',
        `${this.server} answered with status ${status} and no error of a chukcha node: check that --server names a node.`,
        { fields: { server: this.server, status } },
      );
    }
    const { code, message, ...fields } = error;
    const chunkState = incomingHeaders[headers.chunkState];
    const retryAfterMs = Number(incomingHeaders['retry-after']) * 1_000;
    return new ChukchaError(code, message, {
      fields: {
        ...fields,
        server: this.server,
        ...(typeof chunkState === 'string' ? { chunkState } : {}),
        // A date, which the header may also be, comes from a proxy and not from a node.
        ...(retryAfterMs >= 0 ? { retryAfterMs } : {}),
      },
    });
  }

  #timeoutError(call: HttpCall): ChukchaError {
    return new ChukchaError(
      'timeout',
      `${this.server} did not answer ${call.method} ${call.path} within ${call.timeoutMs} ms: look whether the node is overloaded or stopped.`,
      { fields: { server: this.server } },
    );
  }

  #connectionError(cause: unknown): ChukchaError {
    if (cause instanceof ChukchaError) return cause;
    return new ChukchaError(
      'server_unreachable',
      `No chukcha node answers at ${this.server} (${errorMessage(cause) || (cause as { code?: string }).code}): start one with \`chukcha serve\`, or name another with --server.`,
      { cause, fields: { server: this.server } },
    );
  }
}

function parseServer(server: string): URL {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (
    /^https?:$/.test(url?.protocol ?? '') &&
    url?.username === '' &&
    url.password === '' &&
    url.pathname === '/' &&
    url.search === ''
  )
    return url;
  throw new ChukchaError(
    'invalid_option',
    `Server address ${JSON.stringify(server.replace(/\/\/.*@/s, '//...@'))} is not valid: expected http://HOST:PORT or https://HOST:PORT, for example http://127.0.0.1:8080.`,
  );
}

/** What no header can carry would be refused with the token in the message. */
function checkToken(token: string | undefined): void {
  if (token === undefined || /^[!-~]{1,1000}$/.test(token)) return;
  throw new ChukchaError(
    'invalid_option',
    'The token is not one: expected visible ASCII characters without blanks, as `chukcha token create` makes them.',
  );
}

function pathWithQuery({ path, query }: HttpCall): string {
  const words: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) words.push(`${name}=${encodeURIComponent(value)}`);
  }
  return words.length === 0 ? path : `${path}?${words.join('&')}`;
}

function sendPieces(outgoing: ClientRequest, pieces: readonly Uint8Array[] = []): void {
  for (const piece of pieces.slice(0, -1)) outgoing.write(piece);
  outgoing.end(pieces.at(-1));
}

/** A buffer of just this size: for messages the caller's, and of our own for what else a node says. */
function bufferFor(byteCount: number, status: number, takeBuffer?: TakeBuffer): Buffer {
  if (!(byteCount <= answerBytesMax)) throw answerTooLarge();
  if (byteCount === 0) return Buffer.alloc(0);
  const taken = status === 200 ? takeBuffer?.(byteCount) : undefined;
  return (taken ?? Buffer.allocUnsafe(byteCount)).subarray(0, byteCount);
}

/** Puts the body into one buffer: of the right size from the start where the length is known. */
async function receiveBody(
  incoming: IncomingMessage,
  status: number,
  takeBuffer: TakeBuffer | undefined,
): Promise<Buffer> {
  const declared = incoming.headers['content-length'];
  if (declared === undefined) return receiveUnsized(incoming);
  const body = bufferFor(Number(declared), status, takeBuffer);
  if (body.length === 0) {
    incoming.resume();
    return body;
  }
  let filled = 0;
  await new Promise<void>((resolve, reject) => {
    incoming.on('data', (piece: Buffer) => {
      filled += piece.copy(body, filled);
    });
    incoming.once('end', resolve);
    incoming.once('error', reject);
    incoming.once('close', () => {
      if (!incoming.complete) reject(new Error('the connection broke in the middle of an answer'));
    });
  });
  return body;
}

async function receiveUnsized(incoming: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let byteCount = 0;
  for await (const piece of incoming as AsyncIterable<Buffer>) {
    byteCount += piece.length;
    if (byteCount > answerBytesMax) throw answerTooLarge();
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

interface ErrorBody {
  readonly code: ChukchaError['code'];
  readonly message: string;
  readonly [field: string]: string | number | boolean;
}

function parseErrorBody(body: Buffer): ErrorBody | undefined {
  try {
    const { error } = JSON.parse(body.toString()) as { error?: ErrorBody };
    return isErrorCode(error?.code) && typeof error.message === 'string' ? error : undefined;
  } catch {
    // What is not JSON did not come from a node; the caller says so.
    return undefined;
  }
}

function answerTooLarge(): ChukchaError {
  return new ChukchaError(
    'invalid_response',
    `The answer is larger than ${answerBytesMax} bytes, which no node sends.`,
  );
}

function abortedError(): ChukchaError {
  return new ChukchaError('aborted', 'The call was given up.');
}

import type { Agent } from 'node:http';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

/** What is asked of a server. */
export interface ServerRequest {
  readonly method: 'GET' | 'POST' | 'HEAD';
  /** With a leading slash. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

export interface ServerAnswer {
  readonly host: string;
  readonly status: number;
  readonly body: Buffer;
  /** True when the system has taken the whole request, so that its bytes may change. */
  readonly sentWhole: boolean;
}

/** A request that got no answer. */
export class RequestError extends Error {
  readonly code: string;
  /** True when a connection was used that was open before: the server may have closed it meanwhile. */
  readonly reusedConnection: boolean;

  constructor(cause: unknown, reusedConnection: boolean) {
    super((cause as Error).message || 'the connection failed', { cause });
    this.code = (cause as NodeJS.ErrnoException).code ?? '';
    this.reusedConnection = reusedConnection;
  }
}

/** The longest answer: 100 bytes for each of a batch's documents come to less, also when all were refused. */
const answerBytesMax = 256 * 1024 * 1024;

export interface RequestSettings {
  readonly agent: Agent;
  readonly authorization: string | undefined;
  readonly timeoutMs: number;
}

/**
 * Sends one request to one host and resolves with the whole answer, whatever its status. Throws {@link RequestError}, or the
 * reason of the signal.
 */
export function sendRequest(
  host: string,
  { method, path, headers, body }: ServerRequest,
  { agent, authorization, timeoutMs }: RequestSettings,
  signal: AbortSignal,
): Promise<ServerAnswer> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const send = host.startsWith('https:') ? requestHttps : requestHttp;
    const request = send(`${host}${path}`, {
      method,
      agent,
      signal,
      headers: {
        accept: 'application/json',
        ...(authorization === undefined ? {} : { authorization }),
        ...(body === undefined ? {} : { 'content-length': body.length }),
        ...headers,
      },
    });
    const fail = (cause: unknown): void => {
      clearTimeout(timer);
      reject(signal.aborted ? signal.reason : new RequestError(cause, request.reusedSocket));
    };
    const timer = setTimeout(() => {
      const timeout = new Error(`no answer within ${timeoutMs} ms`);
      request.destroy(Object.assign(timeout, { code: 'ETIMEDOUT' }));
    }, timeoutMs);
    request.once('error', fail);
    request.once('response', (response) => {
      const pieces: Buffer[] = [];
      let byteCount = 0;
      response.on('data', (piece: Buffer) => {
        pieces.push(piece);
        byteCount += piece.length;
        if (byteCount > answerBytesMax)
          response.destroy(new Error(`the answer has more than ${answerBytesMax} bytes`));
      });
      response.once('error', fail);
      response.once('close', () => {
        if (!response.complete) fail(new Error('the answer ended in the middle'));
      });
      response.once('end', () => {
        clearTimeout(timer);
        const settle = (): void => {
          const sentWhole = request.writableFinished;
          // The rest of a request that was answered before its end would be taken for the next one.
          if (!sentWhole) request.destroy();
          resolve({
            host,
            status: response.statusCode ?? 0,
            body: Buffer.concat(pieces),
            sentWhole,
          });
        };
        // A server that has answered 200 has read everything: that the system says so too can come a moment later.
        if (request.writableFinished || response.statusCode !== 200) settle();
        else setImmediate(settle);
      });
    });
    request.end(body);
  });
}

import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { createGzip } from 'node:zlib';
import { ConnectionError, toConnectionError } from './transport-errors.js';

/** Where requests go, and over which connections. */
export interface Remote {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly agent: Agent;
}

export interface Exchange {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly pieces: readonly Uint8Array[];
  readonly gzip: boolean;
  readonly timeoutMs: number;
}

export interface Answer {
  readonly status: number;
  /** The number that ClickHouse gives to an error. */
  readonly exceptionCode: number | undefined;
  readonly text: string;
}

/** Answers are errors, descriptions of tables and small results. */
const answerBytesMax = 16 * 1024 * 1024;

/** Few turns between the event loop and the threads that compress. */
const gzipChunkBytes = 256 * 1024;

/**
 * One request with a body, and its whole answer. Rejects with a `ConnectionError` when there was none in time, or with
 * the reason of the signal. The pieces are not read any more once it has settled.
 */
export function exchange(remote: Remote, given: Exchange, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = startRequest(remote, given);
    const compressor = given.gzip ? createGzip({ level: 1, chunkSize: gzipChunkBytes }) : undefined;
    let settled = false;
    const settle = (report: () => void, isOver: boolean): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      // What is not over would go on sending bytes that are the caller's again.
      if (!isOver) {
        request.destroy();
        compressor?.destroy();
      }
      report();
    };
    const fail = (error: unknown): void => settle(() => reject(error), false);
    const onAbort = (): void => fail(signal.reason);
    const timer = setTimeout(() => {
      const seconds = given.timeoutMs / 1000;
      fail(new ConnectionError('ETIMEDOUT', `there was no answer within ${seconds} s`));
    }, given.timeoutMs);
    signal.addEventListener('abort', onAbort);
    let isAnswered = false;
    // A server that refuses early closes while the body is still sent: what it has said counts more.
    request.on('error', (error) => {
      if (!isAnswered) fail(toConnectionError(error));
    });
    compressor?.on('error', fail);
    request.on('response', (response) => {
      isAnswered = true;
      readAnswer(response).then(
        (answer) => settle(() => resolve(answer), request.writableFinished),
        (error: unknown) => fail(toConnectionError(error)),
      );
    });
    if (signal.aborted) onAbort();
    else send(given.pieces, request, compressor);
  });
}

function startRequest({ host, port, tls, agent }: Remote, given: Exchange): ClientRequest {
  const byteCount = given.pieces.reduce((sum, piece) => sum + piece.length, 0);
  const bodyHeaders: Record<string, string> = given.gzip
    ? { 'Content-Encoding': 'gzip', 'Transfer-Encoding': 'chunked' }
    : { 'Content-Length': String(byteCount) };
  const request = tls ? requestHttps : requestHttp;
  return request({
    host,
    port,
    agent,
    method: 'POST',
    path: given.path,
    headers: { ...given.headers, ...bodyHeaders },
  });
}

function send(
  pieces: readonly Uint8Array[],
  request: ClientRequest,
  compressor: ReturnType<typeof createGzip> | undefined,
): void {
  const sink = compressor ?? request;
  compressor?.pipe(request);
  for (const piece of pieces) sink.write(piece);
  sink.end();
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const pieces: Buffer[] = [];
  let byteCount = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    byteCount += piece.length;
    if (byteCount > answerBytesMax) {
      throw new ConnectionError(
        'ERR_ANSWER_TOO_LARGE',
        `the answer is larger than ${answerBytesMax} bytes`,
      );
    }
    pieces.push(piece);
  }
  if (!response.complete) throw new ConnectionError('ECONNRESET', 'the answer broke off');
  const code = response.headers['x-clickhouse-exception-code'];
  return {
    status: response.statusCode ?? 0,
    exceptionCode: code === undefined ? undefined : Number(code),
    text: Buffer.concat(pieces).toString(),
  };
}

import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { ChukchaError } from '../protocol/chukcha-error.js';
import {
  connectionCountMax,
  keepAliveMs,
  requestHeadMsMax,
  requestMsMax,
  socketIdleMsMax,
} from '../protocol/limits.js';
import { AnswerText } from './answer-text.js';
import { createApp } from './app.js';
import { errorAnswer, requestTimeoutError } from './operations/error-answer.js';
import type { ServerPorts } from './server-ports.js';
import type { TlsMaterial } from './tls-material.js';
import { tlsOptions } from './tls-options.js';

/** The HTTP server of a node, with its limits; it does not listen yet. */
export function createHttpServer(ports: ServerPorts, tls?: TlsMaterial): Server {
  const handle = createApp(ports).callback();
  const options = {
    headersTimeout: requestHeadMsMax,
    requestTimeout: requestMsMax,
    keepAliveTimeout: keepAliveMs,
    ServerResponse: responseOf(ports.stopping),
  };
  const server =
    tls === undefined
      ? createServer(options)
      : createTlsServer({ ...options, ...tlsOptions(tls), handshakeTimeout: requestHeadMsMax });
  server.maxConnections = connectionCountMax;
  server.timeout = socketIdleMsMax;
  server.on('request', handle);
  // Whoever asks before sending a body gets a refusal instead of a `100 Continue` when there is one.
  server.on('checkContinue', handle);
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    refuseConnection(socket as Socket, error, ports);
  });
  return server;
}

/**
 * Answers that close their connection when the node is stopping, so that it is not used again. It is looked at
 * when the head is written: a list of the answers under way would keep them for the garbage collector, which
 * took a fifth of the time of small requests.
 */
function responseOf(stopping: AbortSignal): typeof ServerResponse {
  return class NodeResponse<R extends IncomingMessage> extends ServerResponse<R> {
    override writeHead(status: number, ...rest: readonly unknown[]): this {
      if (stopping.aborted) this.shouldKeepAlive = false;
      return super.writeHead(status, ...(rest as []));
    }
  };
}

/** Answers what Node's parser does not take, where an answer can still be told from another one. */
function refuseConnection(
  socket: Socket,
  { code = '', message }: NodeJS.ErrnoException,
  { clock }: ServerPorts,
): void {
  // Not public, but it is what Node's own handler looks at: the answer that is being sent.
  const { _httpMessage: sending } = socket as { _httpMessage?: ServerResponse | null };
  const error = parserError(code, message);
  if (error === undefined || !socket.writable || sending?.headersSent) {
    socket.destroy();
    return;
  }
  const answers = new AnswerText();
  answers.setTime(clock.wallMs());
  const { status, body } = errorAnswer(error);
  socket.write(answers.json(status, body, undefined, true), 'latin1');
  socket.destroySoon();
}

/** What a client is told; `undefined` when the connection itself broke. */
function parserError(code: string, message: string): ChukchaError | undefined {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new ChukchaError(
      'head_too_large',
      'The head of the request is larger than 16 KiB: send fewer or shorter headers.',
    );
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return requestTimeoutError();
  }
  if (!code.startsWith('HPE_')) return undefined;
  return new ChukchaError(
    'invalid_request',
    `The request is not valid HTTP (${message}): expected a request of HTTP/1.1; nothing was stored.`,
  );
}

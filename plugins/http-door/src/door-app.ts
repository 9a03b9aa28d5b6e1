import type { PluginLog } from '@chukcha/plugin-api';
import Koa, { type Context } from 'koa';
import type { Credentials } from './credentials.js';
import type { DoorAnswer, DoorProtocol } from './door-protocol.js';
import { ClientGone, type DoorParts, DoorRequest, stoppingError } from './door-request.js';
import { discardBody } from './read-body.js';
import { RequestError } from './request-error.js';

export interface DoorAppOptions extends DoorParts {
  readonly protocol: DoorProtocol;
  readonly credentials: Credentials;
  readonly log: PluginLog;
  readonly onRefused: (error: RequestError) => void;
  /** Aborts when the input stops. */
  readonly stopping: AbortSignal;
}

/** The Koa application of a door: health, credentials, and then what the protocol says. */
export function createDoorApp(options: DoorAppOptions): Koa {
  const app = new Koa();
  // What Koa finds by itself is a client that went away; without a listener it would print that.
  app.on('error', (error: Error) => {
    options.log.debug('A connection broke.', { error: error.message });
  });
  app.use(async (context) => {
    // Past Koa's own way of answering, which costs about a third of the rate of small requests.
    context.respond = false;
    const request = new DoorRequest(context, options);
    try {
      send(context, options.stopping, await answer(context, request, options));
    } catch (error) {
      if (!(error instanceof ClientGone)) refuse(context, error, options);
    } finally {
      request.finish();
    }
  });
  return app;
}

async function answer(
  context: Context,
  request: DoorRequest,
  options: DoorAppOptions,
): Promise<DoorAnswer> {
  // Whoever watches over the input need not know its secrets.
  if (context.path === '/health' && /^(GET|HEAD)$/.test(context.method)) return health(options);
  checkCredentials(context, options.credentials);
  if (options.stopping.aborted) throw stoppingError();
  return await options.protocol.answer(request);
}

/** 503 while requests would be refused, so that what shares out the load sends them elsewhere. */
function health({ budget, stopping }: DoorAppOptions): DoorAnswer {
  const status = stopping.aborted ? 'stopping' : budget.hasRoomFor(1) ? 'ok' : 'full';
  return {
    status: status === 'ok' ? 200 : 503,
    body: {
      status,
      in_flight_bytes: budget.byteCount,
      in_flight_bytes_max: budget.byteCountMax,
    },
  };
}

function checkCredentials(context: Context, credentials: Credentials): void {
  const result = credentials.check(context.get('Authorization'));
  if (result === 'valid') return;
  const headers = { 'WWW-Authenticate': 'Bearer realm="chukcha", Basic realm="chukcha"' };
  if (result === 'missing') {
    throw new RequestError(
      'credentials_missing',
      'The request has no credentials: expected the header Authorization with a token (Bearer) or with name and password (Basic) of this input; nothing was accepted.',
      { headers },
    );
  }
  throw new RequestError(
    'credentials_wrong',
    'The credentials of the request are not known here: check token, or name and password, with whoever runs this input; nothing was accepted.',
    { headers },
  );
}

function refuse(context: Context, thrown: unknown, options: DoorAppOptions): void {
  const error = toRequestError(thrown, context, options.log);
  options.onRefused(error);
  discardBody(context.req);
  const { status, body, headers } = options.protocol.refuse?.(error) ?? {
    status: error.status,
    body: error.toBody(),
  };
  send(context, options.stopping, { status, body, headers: { ...error.headers, ...headers } });
}

function toRequestError(thrown: unknown, context: Context, log: PluginLog): RequestError {
  if (thrown instanceof RequestError) return thrown;
  log.error('A request failed.', { path: context.path, error: String(thrown) });
  return new RequestError(
    'internal',
    'The input failed to answer: its log has the details; try again.',
  );
}

function send(
  context: Context,
  stopping: AbortSignal,
  { status, body, headers }: DoorAnswer,
): void {
  if (context.res.destroyed || context.res.headersSent) return;
  const text = typeof body === 'string' ? body : `${JSON.stringify(body)}\n`;
  if (stopping.aborted) context.res.shouldKeepAlive = false;
  context.res.writeHead(status, {
    'Content-Type': typeof body === 'string' ? 'text/plain' : 'application/json',
    'Content-Length': Buffer.byteLength(text),
    ...headers,
  });
  context.res.end(text);
}

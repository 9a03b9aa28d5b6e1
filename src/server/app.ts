import { setMaxListeners } from 'node:events';
import type { ServerResponse } from 'node:http';
import Koa, { type Context } from 'koa';
import type { Logger } from '../common/logger.js';
import { createRateLimitedLogger } from '../common/rate-limited-logger.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import type { ErrorCode } from '../protocol/error-codes.js';
import { hasSystemCode } from '../storage/disk.js';
import { discardRest } from './request-body.js';
import { type Route, sendJson } from './route.js';
import { pathOf, RouteTable } from './route-table.js';
import { ackRoute } from './routes/ack-route.js';
import { listCategoriesRoute } from './routes/list-categories-route.js';
import { listChunksRoute } from './routes/list-chunks-route.js';
import { listGroupsRoute } from './routes/list-groups-route.js';
import { liveRoute } from './routes/live-route.js';
import { readRoute } from './routes/read-route.js';
import { registerGroupRoute } from './routes/register-group-route.js';
import { removeGroupRoute } from './routes/remove-group-route.js';
import { sealRoute } from './routes/seal-route.js';
import { statusRoute } from './routes/status-route.js';
import { streamRoute } from './routes/stream-route.js';
import { writeRoute } from './routes/write-route.js';
import type { ServerPorts } from './server-ports.js';

const routes: readonly Route[] = [
  writeRoute,
  readRoute,
  streamRoute,
  ackRoute,
  listChunksRoute,
  listCategoriesRoute,
  listGroupsRoute,
  registerGroupRoute,
  removeGroupRoute,
  sealRoute,
  statusRoute,
  liveRoute,
];

/** What is the node's fault and not the client's; refusals are the client's to report. */
const loggedCodes: ReadonlySet<ErrorCode> = new Set(['internal', 'storage_failed', 'disk_full']);

/** When a client may try again after a refusal that passes by itself. */
const retryAfterSeconds = 1;

/** The Koa application of a node: every call of the HTTP interface lives here. */
export function createApp(ports: ServerPorts): Koa {
  const app = new Koa();
  const table = new RouteTable(routes);
  const log = createRateLimitedLogger(ports.log, ports.clock);
  const answering = new Set<ServerResponse>();
  // Before those that wait are woken: their connections are not to be used again.
  setMaxListeners(0, ports.stopping);
  ports.stopping.addEventListener('abort', () => {
    for (const response of answering) response.shouldKeepAlive = false;
  });
  // Every failure is answered and logged below; Koa's own handler would print each client that goes away.
  app.on('error', () => undefined);
  app.use(async (context) => {
    answering.add(context.res);
    if (ports.stopping.aborted) context.res.shouldKeepAlive = false;
    try {
      const { route, query } = table.find(context.method, context.req.url ?? '');
      refuseForm(context);
      await route.handle(context, query, ports);
    } catch (error) {
      answerError(context, error, log);
    } finally {
      answering.delete(context.res);
    }
  });
  return app;
}

/** The body of a form has lines around its content that nobody wants to have stored as messages. */
function refuseForm({ req }: Context): void {
  const type = req.headers['content-type'] ?? '';
  if (!/^multipart\//i.test(type)) return;
  throw new ChukchaError(
    'invalid_request',
    `The body is a form (${type.slice(0, 40)}): send the lines as they are, for example with curl --data-binary @FILE; nothing was stored.`,
  );
}

function answerError(context: Context, thrown: unknown, log: Logger): void {
  const error = toChukchaError(thrown);
  if (error.code === 'aborted' || context.res.destroyed) {
    context.respond = false;
    context.res.destroy();
    return;
  }
  if (loggedCodes.has(error.code)) {
    log.error('A request failed.', {
      path: pathOf(context.req.url ?? ''),
      code: error.code,
      error: error.message,
      cause: error.cause === undefined ? undefined : errorMessage(error.cause),
    });
  }
  if (context.res.headersSent) {
    // The answer has begun; only breaking the connection tells the client that it is not whole.
    context.res.destroy();
    return;
  }
  if (!context.req.complete) discardRest(context.req);
  sendJson(context, error.status, error.toBody(), errorHeaders(error));
}

function errorHeaders({ code, status, fields }: ChukchaError): Readonly<Record<string, string>> {
  if (code === 'method_not_allowed') return { Allow: String(fields['allow']) };
  if (status === 503 || status === 507) return { 'Retry-After': `${retryAfterSeconds}` };
  return {};
}

function toChukchaError(thrown: unknown): ChukchaError {
  if (thrown instanceof ChukchaError) return thrown;
  if (hasSystemCode(thrown, 'EMFILE', 'ENFILE')) {
    return new ChukchaError(
      'storage_failed',
      `The node has no file descriptor left (${errorMessage(thrown)}): raise its limit (ulimit -n), or close connections; try again.`,
      { cause: thrown },
    );
  }
  return new ChukchaError(
    'internal',
    `The node failed to answer (${errorMessage(thrown)}): its log has the details; try again.`,
    { cause: thrown },
  );
}

import { setMaxListeners } from 'node:events';
import type { ServerResponse } from 'node:http';
import Koa, { type Context } from 'koa';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { errorAnswer, logFailure, toChukchaError } from './operations/error-answer.js';
import { Query } from './query.js';
import { discardRest } from './request-body.js';
import { type Route, sendText } from './route.js';
import { ackRoute } from './routes/ack-route.js';
import { consumeRoute } from './routes/consume-route.js';
import { groupsRoute } from './routes/groups-route.js';
import { listCategoriesRoute } from './routes/list-categories-route.js';
import { listChunksRoute } from './routes/list-chunks-route.js';
import { liveRoute } from './routes/live-route.js';
import { produceRoute } from './routes/produce-route.js';
import { readRoute } from './routes/read-route.js';
import { writeRoute } from './routes/write-route.js';
import type { ServerPorts } from './server-ports.js';

const routes: readonly Route[] = [
  writeRoute,
  readRoute,
  ackRoute,
  listChunksRoute,
  listCategoriesRoute,
  groupsRoute,
  liveRoute,
  produceRoute,
  consumeRoute,
];

/** The Koa application of a node: every call of the HTTP interface lives here. */
export function createApp(ports: ServerPorts): Koa {
  const app = new Koa();
  const routeByPath = new Map(routes.map((route) => [route.path, route]));
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
      await dispatch(context, routeByPath, ports);
    } catch (error) {
      answerError(context, error, ports);
    } finally {
      answering.delete(context.res);
    }
  });
  return app;
}

async function dispatch(
  context: Context,
  routeByPath: ReadonlyMap<string, Route>,
  ports: ServerPorts,
): Promise<void> {
  const route = routeByPath.get(context.path);
  if (route === undefined) {
    throw new ChukchaError(
      'not_found',
      `There is nothing at ${JSON.stringify(context.path.slice(0, 80))}: expected one of ${[...routeByPath.keys()].join(', ')}.`,
    );
  }
  if (!route.methods.includes(context.method)) {
    context.set('Allow', route.methods.join(', '));
    throw new ChukchaError(
      'method_not_allowed',
      `${context.method} is not possible at ${route.path}: expected ${route.methods.join(' or ')}.`,
    );
  }
  await route.handle(context, new Query(context.querystring, route.queryNames), ports);
}

function answerError(context: Context, thrown: unknown, ports: ServerPorts): void {
  const error = toChukchaError(thrown);
  if (error.code === 'aborted' || context.res.destroyed) {
    context.respond = false;
    context.res.destroy();
    return;
  }
  logFailure(ports.log, context.path, error);
  if (context.res.headersSent) {
    // The answer has begun; only breaking the connection tells the client that it is not whole.
    context.res.destroy();
    return;
  }
  if (!context.req.complete) discardRest(context.req);
  const answer = errorAnswer(error);
  sendText(context, answer.status, answer.body, answer.headers);
}

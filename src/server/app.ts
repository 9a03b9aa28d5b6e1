import { setMaxListeners } from 'node:events';
import Koa, { type Context } from 'koa';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { authorize } from './access/authorize.js';
import { errorAnswer, logFailure, toChukchaError } from './operations/error-answer.js';
import { discardRest } from './request-body.js';
import { RequestTime } from './request-time.js';
import { type Route, sendText } from './route.js';
import { pathOf, RouteTable } from './route-table.js';
import { ackRoute } from './routes/ack-route.js';
import { changeNodeRoute } from './routes/change-node-route.js';
import { consoleFileRoute, consoleRoute } from './routes/console-route.js';
import { consumeRoute } from './routes/consume-route.js';
import { findLeaseRoute, releaseLeaseRoute, takeLeaseRoute } from './routes/lease-routes.js';
import { listCategoriesRoute } from './routes/list-categories-route.js';
import { listChunksRoute } from './routes/list-chunks-route.js';
import { listGroupsRoute } from './routes/list-groups-route.js';
import { liveRoute } from './routes/live-route.js';
import { metricsRoute } from './routes/metrics-route.js';
import { produceRoute } from './routes/produce-route.js';
import { readRoute } from './routes/read-route.js';
import { readyRoute } from './routes/ready-route.js';
import { registerGroupRoute } from './routes/register-group-route.js';
import { removeGroupRoute } from './routes/remove-group-route.js';
import { reportPipelineRoute } from './routes/report-pipeline-route.js';
import { sealRoute } from './routes/seal-route.js';
import { statusRoute } from './routes/status-route.js';
import { streamRoute } from './routes/stream-route.js';
import { writeRoute } from './routes/write-route.js';
import type { ServerPorts } from './server-ports.js';

/** Every call of the HTTP interface. What checks them all (rights, fuzzing) goes by this list. */
export const routes: readonly Route[] = [
  writeRoute,
  readRoute,
  streamRoute,
  ackRoute,
  listChunksRoute,
  listCategoriesRoute,
  listGroupsRoute,
  registerGroupRoute,
  removeGroupRoute,
  findLeaseRoute,
  takeLeaseRoute,
  releaseLeaseRoute,
  sealRoute,
  reportPipelineRoute,
  statusRoute,
  changeNodeRoute,
  liveRoute,
  readyRoute,
  metricsRoute,
  produceRoute,
  consumeRoute,
  consoleRoute,
  consoleFileRoute,
];

/** The Koa application of a node: every call of the HTTP interface lives here. */
export function createApp(ports: ServerPorts): Koa {
  const app = new Koa();
  const table = new RouteTable(routes);
  setMaxListeners(0, ports.stopping);
  // Every failure is answered and logged below; Koa's own handler would print each client that goes away.
  app.on('error', () => undefined);
  app.use(async (context) => {
    const time = new RequestTime(ports.clock);
    let pattern = 'none';
    try {
      const { route, query } = table.find(context.method, context.req.url ?? '');
      pattern = route.path;
      const pass = authorize(ports.access, route, query, context.req);
      refuseForm(context);
      await route.handle(context, query, ports, pass, time);
    } catch (error) {
      answerError(context, error, ports);
    }
    ports.counts.answered(pattern, context.res.statusCode, time.microseconds);
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

function answerError(context: Context, thrown: unknown, ports: ServerPorts): void {
  const error = toChukchaError(thrown);
  if (error.code === 'aborted' || context.res.destroyed) {
    context.respond = false;
    context.res.destroy();
    return;
  }
  ports.counts.refused(error.code);
  logFailure(ports.log, pathOf(context.req.url ?? ''), error);
  if (context.res.headersSent) {
    // The answer has begun; only breaking the connection tells the client that it is not whole.
    context.res.destroy();
    return;
  }
  if (!context.req.complete) discardRest(context.req);
  const answer = errorAnswer(error);
  sendText(context, answer.status, answer.body, answer.headers);
}

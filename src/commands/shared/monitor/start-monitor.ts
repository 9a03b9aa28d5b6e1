import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../../common/clock.js';
import type { Logger } from '../../../common/logger.js';
import { openSecurity } from '../../../node/security.js';
import { ChukchaError, errorMessage } from '../../../protocol/chukcha-error.js';
import type { Access } from '../../../server/access/access.js';
import { authorize, type GuardedRoute } from '../../../server/access/authorize.js';
import { errorAnswer, toChukchaError } from '../../../server/operations/error-answer.js';
import { Query } from '../../../server/query.js';
import type { TlsMaterial } from '../../../server/tls-material.js';
import { tlsOptions } from '../../../server/tls-options.js';
import type { MonitorOptions } from './monitor-options.js';
import { formatTaskMetrics, metricsContentType } from './task-metrics.js';
import { reasonsAgainst, type TaskReport } from './task-report.js';

/** How long a client may take for a request, and nothing may move on a connection. */
const requestMsMax = 5_000;
const silenceMsMax = 30_000;

/** A probe, a collector of metrics, a person or two, and their spares. */
const connectionCountMax = 64;

/** A small server that tells how the tasks of a process stand. */
export interface Monitor {
  readonly url: string;
  /** Takes the files of tokens and certificates in again. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

interface MonitorAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

interface MonitorRoute extends GuardedRoute {
  answer(tasks: readonly TaskReport[], isGuarded: boolean): MonitorAnswer | Promise<MonitorAnswer>;
}

const open = { right: 'open', scope: 'node', queryNames: [] } as const;
const guarded = { right: 'observe', scope: 'node', queryNames: [] } as const;

/** As a node has them, with the same rights. */
const routes: ReadonlyMap<string, MonitorRoute> = new Map<string, MonitorRoute>([
  ['/livez', { ...open, answer: () => json(200, { live: true }) }],
  [
    '/readyz',
    {
      ...open,
      answer: (tasks, isGuarded) => {
        const reasons = reasonsAgainst(tasks);
        const ready = reasons.length === 0;
        // Where tokens are asked for, who has none learns that something is wrong, and not what.
        return json(ready ? 200 : 503, { ready, ...(isGuarded ? {} : { reasons }) });
      },
    },
  ],
  [
    '/status',
    { ...guarded, answer: (tasks) => json(200, { reasons: reasonsAgainst(tasks), tasks }) },
  ],
  [
    '/metrics',
    {
      ...guarded,
      answer: async (tasks) => {
        return { status: 200, type: metricsContentType, body: await formatTaskMetrics(tasks) };
      },
    },
  ],
]);

/** Listens. Throws `invalid_option` for an address that cannot be listened on, and for files that are not valid. */
export async function startMonitor(
  { host, port, security: securityOptions }: MonitorOptions,
  reports: () => readonly TaskReport[],
  log: Logger,
): Promise<Monitor> {
  const security = await openSecurity(securityOptions, { clock: systemClock, log });
  const server = createMonitorServer(security.tls?.());
  security.onTlsChanged((material) => {
    if (server instanceof TlsServer) server.setSecureContext(tlsOptions(material));
  });
  server.on('request', (request, response) => {
    void respond(request, response, { access: security.access, reports });
  });
  try {
    await listen(server, host, port);
  } catch (error) {
    await security.close();
    throw error;
  }
  const bound = server.address() as AddressInfo;
  const name = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  const url = `${server instanceof TlsServer ? 'https' : 'http'}://${name}:${bound.port}`;
  log.info('Telling how everything stands.', { url });
  return {
    url,
    reload: () => security.reload(),
    close: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      await security.close();
    },
  };
}

function createMonitorServer(tls: TlsMaterial | undefined): Server {
  const limits = {
    requestTimeout: requestMsMax,
    headersTimeout: requestMsMax,
    connectionsCheckingInterval: 1_000,
  };
  const server =
    tls === undefined
      ? createServer(limits)
      : createTlsServer({ ...limits, ...tlsOptions(tls), handshakeTimeout: requestMsMax });
  server.maxConnections = connectionCountMax;
  server.timeout = silenceMsMax;
  return server;
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new ChukchaError(
          'invalid_option',
          `--monitor ${host}:${port} cannot be listened on (${errorMessage(error)}): choose a free address of this machine.`,
        ),
      ),
    );
    server.listen(port, host, resolve);
  });
}

/** Never rejects. */
async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  { access, reports }: { access: Access | undefined; reports: () => readonly TaskReport[] },
): Promise<void> {
  try {
    const route = findRoute(request);
    authorize(access, route, new Query('', []), request);
    const { status, type, body } = await route.answer(reports(), access !== undefined);
    response.writeHead(status, {
      'Content-Type': type,
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  } catch (thrown) {
    const { status, headers, body } = errorAnswer(toChukchaError(thrown));
    response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
    response.end(request.method === 'HEAD' ? undefined : body);
  }
}

function findRoute({ method = '', url = '' }: IncomingMessage): MonitorRoute {
  const [path = ''] = url.split('?', 1);
  const route = routes.get(path);
  if (route === undefined) {
    const there = [...routes.keys()].join(', ');
    throw new ChukchaError(
      'not_found',
      `There is nothing at ${JSON.stringify(path.slice(0, 80))}: expected one of ${there}.`,
    );
  }
  if (method === 'GET' || method === 'HEAD') return route;
  throw new ChukchaError(
    'method_not_allowed',
    `${method.slice(0, 20)} is not possible at ${path}: expected GET or HEAD.`,
    { fields: { allow: 'GET, HEAD' } },
  );
}

function json(status: number, value: unknown): MonitorAnswer {
  return { status, type: 'application/json', body: `${JSON.stringify(value)}\n` };
}

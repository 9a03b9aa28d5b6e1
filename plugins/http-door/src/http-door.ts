import { createServer, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Input, InputBatch, InputContext, PluginOptions } from '@chukcha/plugin-api';
import { ByteBudget } from './byte-budget.js';
import { Credentials } from './credentials.js';
import { createDoorApp } from './door-app.js';
import type { DoorProtocol } from './door-protocol.js';
import { listenFailure } from './listen-failure.js';
import { refuseOnce } from './refuse-once.js';
import { RequestQueue } from './request-queue.js';
import { readTlsFiles, type TlsSettings } from './tls-files.js';

/** How patient a door is; in milliseconds. */
export interface DoorTimes {
  /** How long a client may take to send a request's head. @default 30000 */
  readonly requestHeadMsMax: number;
  /** How long a client may take to send a whole request: 4 MiB in this time are 70 KB/s. @default 60000 */
  readonly requestMsMax: number;
  /** How often connections are looked at for these limits. @default 5000 */
  readonly checkMs: number;
  /** How long an idle keep-alive connection is held; above the 60 s that clients and proxies keep one. @default 75000 */
  readonly keepAliveMs: number;
  /** How long a closing door waits for the requests that are under way. @default 10000 */
  readonly drainMsMax: number;
}

const timesDefault: DoorTimes = {
  requestHeadMsMax: 30_000,
  requestMsMax: 60_000,
  checkMs: 5_000,
  keepAliveMs: 75_000,
  drainMsMax: 10_000,
};

/** How many connections may be open; more are closed at once. */
const connectionCountMax = 16_384;

/** How often a closing input looks for connections that have become idle. */
const idleCheckMs = 50;

/**
 * A server whose requests are batches. A request is answered with success only when the bus has accepted
 * its lines, so its client is the one that remembers: nothing is kept here over a restart.
 */
export class HttpDoor implements Input {
  /** Where the input listens, with the real port. */
  readonly url: string;
  readonly #server: Server;
  readonly #queue: RequestQueue;
  readonly #stopping: AbortController;
  readonly #drainMsMax: number;
  #closed: Promise<void> | undefined;

  private constructor(
    url: string,
    server: Server,
    queue: RequestQueue,
    stopping: AbortController,
    drainMsMax: number,
  ) {
    this.url = url;
    this.#server = server;
    this.#queue = queue;
    this.#stopping = stopping;
    this.#drainMsMax = drainMsMax;
  }

  /** Listens. The options are those of `doorOptions`. Throws a `PluginError` of kind `operator`. */
  static async open(
    protocol: DoorProtocol,
    options: PluginOptions,
    context: InputContext,
    times: Partial<DoorTimes> = {},
  ): Promise<HttpDoor> {
    refuseOnce(protocol.name, context);
    const tls = await readTlsFiles(options);
    const credentials = await Credentials.read(options);
    const queue = new RequestQueue();
    const stopping = new AbortController();
    const refusals = context.metrics.counter(
      'refused_requests_total',
      'Requests that were refused.',
    );
    const app = createDoorApp({
      protocol,
      credentials,
      log: context.log,
      onRefused: () => refusals.add(),
      stopping: stopping.signal,
      queue,
      budget: new ByteBudget(options['in_flight_bytes_max'] as number),
      bodyBytesMax: options['body_bytes_max'] as number,
      answerMsMax: options['answer_ms_max'] as number,
      limits: context,
    });
    const allTimes = { ...timesDefault, ...times };
    const server = createListener(allTimes, options['answer_ms_max'] as number, tls);
    const handle = app.callback();
    server.on('request', handle);
    // Whoever asks before sending a body gets a refusal instead of a `100 Continue` when there is one.
    server.on('checkContinue', handle);
    await listen(protocol.name, server, options);
    const url = urlOf(server, tls === undefined ? 'http' : 'https');
    context.log.info('Listening.', { url });
    const isOpenToAll = !credentials.areNeeded && tls?.rejectUnauthorized !== true;
    if (isOpenToAll && !isLoopback(server)) {
      context.log.warn(
        'Everybody who reaches this address may send: set tokens, users or tls_client_ca.',
        { url },
      );
    }
    return new HttpDoor(url, server, queue, stopping, allTimes.drainMsMax);
  }

  /** Yields one batch or more per request. Once it has ended, requests are answered with 503. */
  async *batches(signal: AbortSignal): AsyncGenerator<InputBatch> {
    try {
      yield* this.#queue.batches(signal);
    } finally {
      this.#stopping.abort();
    }
  }

  /** Accepts no more connections, waits up to 10 s for the requests under way, and closes what is left. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#stopping.abort();
    this.#queue.stop();
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    // A connection that is busy now becomes idle later, and by itself only its time-out would close it.
    const idleCheck = setInterval(() => this.#server.closeIdleConnections(), idleCheckMs);
    const force = setTimeout(() => this.#server.closeAllConnections(), this.#drainMsMax);
    await closed;
    clearInterval(idleCheck);
    clearTimeout(force);
  }
}

function createListener(
  times: DoorTimes,
  answerMsMax: number,
  tls: TlsSettings | undefined,
): Server {
  const settings: ServerOptions = {
    headersTimeout: times.requestHeadMsMax,
    requestTimeout: times.requestMsMax,
    connectionsCheckingInterval: times.checkMs,
    keepAliveTimeout: times.keepAliveMs,
  };
  const server =
    tls === undefined ? createServer(settings) : createTlsServer({ ...settings, ...tls });
  server.maxConnections = connectionCountMax;
  // Of a client that does not read its answer; while a request waits for the bus, its connection is silent too.
  server.timeout = times.requestMsMax + answerMsMax;
  return server;
}

function listen(name: string, server: Server, options: PluginOptions): Promise<void> {
  const host = options['host'] as string;
  const port = options['port'] as number;
  return new Promise((resolve, reject) => {
    const onError = (cause: NodeJS.ErrnoException): void => {
      reject(listenFailure(name, host, port, cause));
    };
    server.once('error', onError);
    server.listen({ host, port }, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

function urlOf(server: Server, scheme: string): string {
  const { address, family, port } = server.address() as AddressInfo;
  return `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

function isLoopback(server: Server): boolean {
  const { address } = server.address() as AddressInfo;
  return address === '::1' || address.startsWith('127.');
}

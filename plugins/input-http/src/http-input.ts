import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type Input,
  type InputBatch,
  type InputContext,
  PluginError,
  type PluginOptions,
} from '@chukcha/plugin-api';
import { createApp } from './app.js';
import { RequestQueue } from './request-queue.js';

/** How long a client may take to send a request's head. */
const requestHeadMsMax = 30_000;

/** How long a client may take to send a whole request: 4 MiB in this time are 70 KB/s. */
const requestMsMax = 60_000;

/** How long an idle keep-alive connection is held; above the 60 s that clients and proxies keep one. */
const keepAliveMs = 75_000;

/** How many connections may be open; more wait in the backlog of the system. */
const connectionCountMax = 16_384;

/** How often a closing input looks for connections that have become idle. */
const idleCheckMs = 50;

/** How long a closing input waits for the requests that are under way. */
const drainMsMax = 10_000;

/** Listens. The options are those of the plugin's schema. */
export function open(options: PluginOptions, context: InputContext): Promise<HttpInput> {
  return HttpInput.open(options, context);
}

/**
 * A server whose requests are batches. A request is answered with 200 only when the bus has accepted its
 * lines, so its client is the one that remembers: nothing is kept here over a restart.
 */
export class HttpInput implements Input {
  /** Where the input listens, with the real port. */
  readonly url: string;
  readonly #server: Server;
  readonly #queue: RequestQueue;
  readonly #stopping: AbortController;
  #closed: Promise<void> | undefined;

  private constructor(server: Server, queue: RequestQueue, stopping: AbortController) {
    this.url = urlOf(server);
    this.#server = server;
    this.#queue = queue;
    this.#stopping = stopping;
  }

  static async open(options: PluginOptions, context: InputContext): Promise<HttpInput> {
    if (context.once) throw endlessError();
    const queue = new RequestQueue();
    const stopping = new AbortController();
    const app = createApp({
      messageBytesMax: context.messageBytesMax,
      batchBytesMax: context.batchBytesMax,
      inFlightBytesMax: options['in_flight_bytes_max'] as number,
      queue,
      log: context.log,
      stopping: stopping.signal,
    });
    const server = createServer({
      headersTimeout: requestHeadMsMax,
      requestTimeout: requestMsMax,
      keepAliveTimeout: keepAliveMs,
    });
    server.maxConnections = connectionCountMax;
    const handle = app.callback();
    server.on('request', handle);
    // Whoever asks before sending a body gets a refusal instead of a `100 Continue` when there is one.
    server.on('checkContinue', handle);
    await listen(server, options['host'] as string, options['port'] as number);
    const input = new HttpInput(server, queue, stopping);
    context.log.info('Listening.', { url: input.url });
    return input;
  }

  /** Yields one batch per request. Once it has ended, requests are answered with 503. */
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
    const force = setTimeout(() => this.#server.closeAllConnections(), drainMsMax);
    await closed;
    clearInterval(idleCheck);
    clearTimeout(force);
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (cause: NodeJS.ErrnoException): void => {
      const message = listenErrorText(`${host}:${port}`, cause);
      reject(new PluginError('operator', message, { cause }));
    };
    server.once('error', onError);
    server.listen({ host, port }, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

function urlOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

function listenErrorText(address: string, cause: NodeJS.ErrnoException): string {
  switch (cause.code) {
    case 'EADDRINUSE':
      return `Another process listens on ${address} already: stop it, or choose another port, as in http:8089.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${address} is not an address of this machine: choose one of its own, for example http:127.0.0.1:8088.`;
    case 'EACCES':
      return `This user may not listen on ${address}: choose a port above 1023, for example http:8088.`;
    default:
      return `${address} cannot be listened on (${cause.message}): choose another address, for example http:127.0.0.1:8088.`;
  }
}

function endlessError(): PluginError {
  return new PluginError(
    'operator',
    'The input http cannot be used with --once: it has no end at which to stop; start it without --once.',
  );
}

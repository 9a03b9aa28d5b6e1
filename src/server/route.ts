import type { Writable } from 'node:stream';
import type { Context } from 'koa';
import { ChukchaError } from '../protocol/chukcha-error.js';
import type { Right } from '../protocol/rights.js';
import { drainingError } from '../storage/category-writer.js';
import type { Pass } from './access/access.js';
import type { Query } from './query.js';
import type { RequestTime } from './request-time.js';
import type { ServerPorts } from './server-ports.js';

/** One call of the HTTP interface. */
export interface Route {
  /** A fixed path, or one that ends with a parameter, as in `/groups/<group>`. */
  readonly path: string;
  readonly methods: readonly string[];
  /**
   * What a token has to allow where tokens are asked for, which a parameter may say; `open` asks for none.
   * @default "admin"
   *
   * It has to hold for the category of the query, or for the whole node where the call takes none.
   */
  readonly right?: Right | 'open' | ((query: Query) => Right);
  /** Where the right has to hold instead. */
  readonly scope?: 'any' | 'node';
  /** The parameters in the query that the call takes; others are refused before `handle`. */
  readonly queryNames: readonly string[];
  /**
   * Answers the request, or throws a `ChukchaError` before anything was sent.
   *
   * @param time is told where the request begins when it has a body, waits for its turn or is held, and where its answer
   *   begins when that may take long; else all of the call counts
   */
  handle(
    context: Context,
    query: Query,
    ports: ServerPorts,
    pass: Pass,
    time: RequestTime,
  ): Promise<void>;
}

/** Answers with JSON. */
export function sendJson(
  context: Context,
  status: number,
  body: unknown,
  extraHeaders: Readonly<Record<string, string>> = {},
): void {
  sendText(context, status, `${JSON.stringify(body)}\n`, extraHeaders);
}

/**
 * Answers with the text of a JSON value, past Koa's own way of answering: that costs about a third of the
 * rate of small requests.
 */
export function sendText(
  context: Context,
  status: number,
  text: string,
  extraHeaders: Readonly<Record<string, string>> = {},
): void {
  context.respond = false;
  context.res.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    ...extraHeaders,
  });
  context.res.end(text);
}

/**
 * Resolves when the answers to earlier requests of the connection have gone. Node begins all requests that a client
 * sends at once, and keeps what is written for the later ones in memory: large answers must wait for their turn.
 *
 * Throws `aborted` when the connection ends before.
 */
export async function ownTurn({ req, res }: Context): Promise<void> {
  if (res.socket !== null) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      res.off('socket', done);
      req.socket.off('close', done);
      resolve();
    };
    res.once('socket', done);
    req.socket.once('close', done);
  });
  if (req.socket.destroyed) throw new ChukchaError('aborted', 'The client closed the connection.');
}

/** Aborts when the client of the request goes away or the node begins to stop. */
export function requestEnd(context: Context, stopping: AbortSignal): EndSignal {
  return untilClosed(context.res, stopping);
}

/** A signal; release it when it is not needed any more, which is at the latest when what it looks at is closed. */
export interface EndSignal {
  readonly signal: AbortSignal;
  release(): void;
}

/**
 * Aborts when what the answer goes to is closed, the client of a socket has ended its side, or the node
 * begins to stop.
 */
export function untilClosed(to: Writable, stopping: AbortSignal): EndSignal {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  const release = (): void => {
    stopping.removeEventListener('abort', abort);
    to.off('close', closed);
    to.off('end', abort);
  };
  // The signal of the node lives as long as the node: what is not taken off it is kept with all that it refers to.
  const closed = (): void => {
    abort();
    release();
  };
  if (stopping.aborted || to.destroyed) {
    abort();
    return { signal: controller.signal, release };
  }
  stopping.addEventListener('abort', abort, { once: true });
  to.once('close', closed);
  to.once('end', abort);
  return { signal: controller.signal, release };
}

/**
 * Ends a held call that has nothing to tell because the node is stopping. An empty answer would make the
 * client ask again at once, and again.
 */
export function refuseWhenStopping({ stopping }: ServerPorts, hasNothing: boolean): void {
  if (stopping.aborted && hasNothing) throw drainingError();
}

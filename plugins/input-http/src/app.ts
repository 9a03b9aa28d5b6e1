import { countNewlines, findLongMessage, type PluginLog } from '@chukcha/plugin-api';
import Koa, { type Context } from 'koa';
import { ByteBudget } from './byte-budget.js';
import { discardBody, readBody } from './read-body.js';
import { RequestError } from './request-error.js';
import type { RequestQueue } from './request-queue.js';

/** What the bus takes as a category, and the only thing that a path may name. */
const categoryPattern = /^[A-Za-z0-9_-]{1,128}$/;

/**
 * Content types whose body is lines; none at all is one too. `curl --data-binary` names a form, which it
 * does not mean. JSON is missing on purpose: a document may go over many lines.
 */
const lineTypes: ReadonlySet<string> = new Set([
  '',
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/octet-stream',
  'application/x-www-form-urlencoded',
]);

export interface AppOptions {
  readonly messageBytesMax: number;
  readonly batchBytesMax: number;
  readonly inFlightBytesMax: number;
  readonly queue: RequestQueue;
  readonly log: PluginLog;
  /** Aborts when the input stops. */
  readonly stopping: AbortSignal;
}

/** The Koa application of the input: `POST /` and `POST /<category>`. */
export function createApp(options: AppOptions): Koa {
  const app = new Koa();
  const budget = new ByteBudget(options.inFlightBytesMax);
  // What Koa finds by itself is a client that went away; without a listener it would print that.
  app.on('error', (error: Error) => {
    options.log.debug('A connection broke.', { error: error.message });
  });
  app.use(async (context) => {
    try {
      await handleRequest(context, options, budget);
    } catch (error) {
      answerError(context, error, options);
    }
  });
  return app;
}

async function handleRequest(
  context: Context,
  options: AppOptions,
  budget: ByteBudget,
): Promise<void> {
  if (options.stopping.aborted) throw stoppingError();
  const category = checkRoute(context);
  checkHeaders(context);
  const gone = new AbortController();
  context.res.once('close', () => gone.abort());
  const share = budget.openShare();
  try {
    // A body that could never be in flight is too large, not too early.
    const byteCountMax = Math.min(options.batchBytesMax, budget.byteCountMax);
    const bytes = await readBody(context.req, context.res, { byteCountMax, budget }, share);
    if (bytes === undefined) {
      context.respond = false;
      return;
    }
    checkLines(bytes, options.messageBytesMax);
    const verdict = await options.queue.add(bytes, category, gone.signal);
    if (verdict === 'stopping') throw stoppingError();
    if (verdict === 'not_accepted') throw notAcceptedError();
    sendJson(context, options.stopping, 200, { accepted: true, bytes: bytes.length });
  } finally {
    share.giveBack();
  }
}

/** The category that the path names, if any. */
function checkRoute(context: Context): string | undefined {
  const name = context.path.slice(1);
  if (name.includes('/')) {
    throw new RequestError(
      'not_found',
      `There is nothing at ${quote(context.path)}: expected POST / or POST /<category>.`,
    );
  }
  if (context.method !== 'POST') {
    throw new RequestError(
      'method_not_allowed',
      `${context.method} is not possible here: expected POST with lines in the body.`,
      { Allow: 'POST' },
    );
  }
  if (name === '') return undefined;
  if (categoryPattern.test(name)) return name;
  throw new RequestError(
    'invalid_name',
    `Category name ${quote(name)} is not valid: expected 1 to 128 of the characters A-Z, a-z, 0-9, _ and -.`,
  );
}

function checkHeaders(context: Context): void {
  const encoding = context.get('Content-Encoding').toLowerCase();
  if (encoding !== '' && encoding !== 'identity') {
    throw new RequestError(
      'unsupported_encoding',
      `The body has the Content-Encoding ${quote(encoding)}: expected none; send the lines uncompressed.`,
    );
  }
  const type = (context.get('Content-Type').split(';')[0] ?? '').trim().toLowerCase();
  if (lineTypes.has(type) || type.startsWith('text/')) return;
  throw new RequestError(
    'unsupported_content_type',
    `The body has the Content-Type ${quote(type)}: expected lines, as text/plain or application/x-ndjson.`,
  );
}

function checkLines(bytes: Uint8Array, messageBytesMax: number): void {
  const offset = findLongMessage(bytes, messageBytesMax);
  if (offset === undefined) return;
  const line = countNewlines(bytes.subarray(0, offset)) + 1;
  throw new RequestError(
    'message_too_large',
    `Line ${line} of the body is longer than ${messageBytesMax} bytes with its newline, the limit of a message: ` +
      'split it, or send a reference to its content; nothing was accepted.',
  );
}

function answerError(context: Context, thrown: unknown, options: AppOptions): void {
  const error = toRequestError(thrown, context, options.log);
  discardBody(context.req);
  sendJson(context, options.stopping, error.status, error.toBody(), error.headers);
}

function toRequestError(thrown: unknown, context: Context, log: PluginLog): RequestError {
  if (thrown instanceof RequestError) return thrown;
  log.error('A request failed.', { path: context.path, error: String(thrown) });
  return new RequestError(
    'internal',
    'The input failed to answer: its log has the details; try again.',
  );
}

function sendJson(
  context: Context,
  stopping: AbortSignal,
  status: number,
  body: unknown,
  extraHeaders: Readonly<Record<string, string>> = {},
): void {
  const text = `${JSON.stringify(body)}\n`;
  // Past Koa's own way of answering, which costs about a third of the rate of small requests.
  context.respond = false;
  if (context.res.destroyed || context.res.headersSent) return;
  if (stopping.aborted) context.res.shouldKeepAlive = false;
  context.res.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    ...extraHeaders,
  });
  context.res.end(text);
}

function stoppingError(): RequestError {
  return new RequestError(
    'stopping',
    'The input is stopping and takes no more lines: send the same again after the time in Retry-After; ' +
      'nothing was accepted.',
  );
}

function notAcceptedError(): RequestError {
  return new RequestError(
    'not_accepted',
    'The bus did not accept the lines: send the same again after the time in Retry-After.',
  );
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ByteBudget, ByteShare } from './byte-budget.js';
import { PieceCollector } from './piece-collector.js';
import { RequestError } from './request-error.js';

const NEWLINE = 0x0a;

/** How much of a refused body is read and thrown away. */
const discardBytesMax = 64 * 1024 * 1024;

export interface BodyLimits {
  /** The largest body, with the newline that is added when it has none at its end. */
  readonly byteCountMax: number;
  readonly budget: ByteBudget;
}

/**
 * Reads a request's body and ends its last line. What it holds is counted in the share, which the caller
 * gives back.
 *
 * Throws `batch_empty`, `batch_too_large` or `too_many_bytes_in_flight` as soon as it is known, and
 * `undefined` comes when the client went away.
 */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  limits: BodyLimits,
  share: ByteShare,
): Promise<Uint8Array | undefined> {
  const declared = Number(request.headers['content-length'] ?? 0);
  checkSize(declared, limits);
  if (request.headers.expect !== undefined) response.writeContinue();
  const collector = new PieceCollector();
  if (!(await collectPieces(request, collector, limits, share))) return undefined;
  const lastByte = collector.lastByte();
  if (lastByte === undefined) {
    throw new RequestError('batch_empty', 'The body is empty: expected one line or more.');
  }
  const tail = lastByte === NEWLINE ? new Uint8Array(0) : Uint8Array.of(NEWLINE);
  if (collector.byteCount + tail.length > limits.byteCountMax) throw tooLarge(limits);
  return collector.join(tail);
}

/** Resolves with whether the body came to its end. */
function collectPieces(
  request: IncomingMessage,
  collector: PieceCollector,
  limits: BodyLimits,
  share: ByteShare,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const onData = (piece: Buffer): void => {
      collector.add(piece);
      if (collector.byteCount <= limits.byteCountMax && share.grow(piece.length)) return;
      request.off('data', onData);
      reject(
        collector.byteCount > limits.byteCountMax ? tooLarge(limits) : tooManyInFlight(limits),
      );
    };
    request.on('data', onData);
    request.once('end', () => resolve(true));
    request.once('close', () => resolve(request.complete));
    request.once('error', () => resolve(false));
  });
}

/** What the head of a request says is enough to refuse its body unread. */
function checkSize(declared: number, limits: BodyLimits): void {
  if (declared > limits.byteCountMax) throw tooLarge(limits);
  if (!limits.budget.hasRoomFor(declared)) throw tooManyInFlight(limits);
}

function tooLarge(limits: BodyLimits): RequestError {
  return new RequestError(
    'batch_too_large',
    `The body has more than ${limits.byteCountMax} bytes, the limit of a batch: send it in smaller parts; ` +
      'nothing was accepted.',
  );
}

function tooManyInFlight(limits: BodyLimits): RequestError {
  return new RequestError(
    'too_many_bytes_in_flight',
    `${limits.budget.byteCountMax} bytes of other requests wait for the bus: send the same again after the ` +
      'time in Retry-After; nothing was accepted.',
  );
}

/**
 * Reads the rest of a refused body without keeping anything, because many clients send all before they
 * look at the answer. One that sends without end is cut off.
 */
export function discardBody(request: IncomingMessage): void {
  if (request.complete) return;
  let discardedBytes = 0;
  request.on('data', (piece: Buffer) => {
    discardedBytes += piece.length;
    if (discardedBytes > discardBytesMax) request.socket.destroy();
  });
}

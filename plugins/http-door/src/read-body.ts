import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ByteBudget, ByteShare } from './byte-budget.js';
import { PieceCollector } from './piece-collector.js';
import { RequestError } from './request-error.js';
import { type BodyEncoding, createUnpacker, parseContentEncoding } from './unpacker.js';

const NEWLINE = 0x0a;

/** How much of a refused body is read and thrown away. */
const discardBytesMax = 64 * 1024 * 1024;

export interface BodyLimits {
  /** The largest body after unpacking, with the newline that is added when it has none at its end. */
  readonly byteCountMax: number;
  readonly budget: ByteBudget;
}

/**
 * Reads a request's body, unpacks it and ends its last line. What it holds is counted in the share, which
 * the caller gives back; a packed body is never held as a whole.
 *
 * Throws `unsupported_encoding`, `body_corrupt`, `batch_empty`, `batch_too_large` or
 * `too_many_bytes_in_flight` as soon as it is known; `undefined` comes when the client went away.
 */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  limits: BodyLimits,
  share: ByteShare,
): Promise<Buffer | undefined> {
  const encoding = parseContentEncoding(request.headers['content-encoding'] ?? '');
  const declared = Number(request.headers['content-length'] ?? 0);
  checkSize(declared, limits);
  if (request.headers.expect !== undefined) response.writeContinue();
  const body = new BodySink(limits, share);
  const isWhole =
    encoding === undefined
      ? await readPlain(request, body)
      : await readPacked(request, encoding, body);
  return isWhole ? body.finish() : undefined;
}

/** Takes pieces of a body as far as the limits allow. */
class BodySink {
  readonly #collector = new PieceCollector();
  readonly #limits: BodyLimits;
  readonly #share: ByteShare;

  constructor(limits: BodyLimits, share: ByteShare) {
    this.#limits = limits;
    this.#share = share;
  }

  /** The error that the piece is one too many. */
  add(piece: Buffer): RequestError | undefined {
    this.#collector.add(piece);
    if (this.#collector.byteCount > this.#limits.byteCountMax) return tooLarge(this.#limits);
    return this.#share.grow(piece.length) ? undefined : tooManyInFlight(this.#limits);
  }

  finish(): Buffer {
    const lastByte = this.#collector.lastByte();
    if (lastByte === undefined) {
      throw new RequestError('batch_empty', 'The body is empty: expected one line or more.');
    }
    const tail = lastByte === NEWLINE ? new Uint8Array(0) : Uint8Array.of(NEWLINE);
    if (this.#collector.byteCount + tail.length > this.#limits.byteCountMax) {
      throw tooLarge(this.#limits);
    }
    return this.#collector.join(tail);
  }
}

/** Resolves with whether the body came to its end. */
function readPlain(request: IncomingMessage, body: BodySink): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const onData = (piece: Buffer): void => {
      const error = body.add(piece);
      if (error === undefined) return;
      request.off('data', onData);
      reject(error);
    };
    request.on('data', onData);
    request.once('end', () => resolve(true));
    request.once('close', () => resolve(request.complete));
    request.once('error', () => resolve(false));
  });
}

/** As {@link readPlain}; the request is read no faster than it is unpacked. */
function readPacked(
  request: IncomingMessage,
  encoding: BodyEncoding,
  body: BodySink,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let packedByteCount = 0;
    let unpacker: ReturnType<typeof createUnpacker> | undefined;
    const fail = (error: RequestError): void => {
      request.off('data', onData);
      request.off('end', onEnd);
      request.resume();
      unpacker?.destroy();
      reject(error);
    };
    const start = (firstByte: number): ReturnType<typeof createUnpacker> => {
      const started = createUnpacker(encoding, firstByte);
      started.on('data', (piece: Buffer) => {
        const error = body.add(piece);
        if (error !== undefined) fail(error);
      });
      started.on('drain', () => request.resume());
      started.on('error', (cause) => fail(corrupt(encoding, cause.message)));
      started.once('end', () => {
        // What follows the end of the packed stream is nothing that anybody could have meant.
        const surplus =
          packedByteCount - (started as unknown as { bytesWritten: number }).bytesWritten;
        if (surplus > 0) fail(corrupt(encoding, `${surplus} bytes follow its end`));
        else resolve(true);
      });
      return started;
    };
    const onData = (piece: Buffer): void => {
      packedByteCount += piece.length;
      unpacker ??= start(piece[0] ?? 0);
      if (!unpacker.write(piece)) request.pause();
    };
    const onEnd = (): void => {
      if (unpacker === undefined) resolve(true);
      else unpacker.end();
    };
    request.on('data', onData);
    request.once('end', onEnd);
    const onGone = (): void => {
      if (request.complete) return;
      unpacker?.destroy();
      resolve(false);
    };
    request.once('close', onGone);
    request.once('error', onGone);
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
    `The body has more than ${limits.byteCountMax} bytes, unpacked, which is the limit here: send it in ` +
      'smaller parts; nothing was accepted.',
  );
}

/** The refusal of a request for which there is no room now. */
export function tooManyInFlight(limits: Pick<BodyLimits, 'budget'>): RequestError {
  return new RequestError(
    'too_many_bytes_in_flight',
    `${limits.budget.byteCountMax} bytes of requests may wait for the bus, and this one does not fit now: ` +
      'send the same again after the time in Retry-After; nothing was accepted.',
  );
}

function corrupt(encoding: BodyEncoding, detail: string): RequestError {
  return new RequestError(
    'body_corrupt',
    `The body could not be unpacked as ${encoding} (${detail}): expected one whole stream of it, as ` +
      'Content-Encoding says; nothing was accepted.',
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

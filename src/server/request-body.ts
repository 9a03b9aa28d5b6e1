import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { createGunzip, type Gunzip } from 'node:zlib';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { BodyBuffer, type BodyMemory, batchTooLarge } from './body-buffer.js';

/** How much of a refused body is read and thrown away, so that the client sees the answer. */
const discardBytesMax = 64 * 1024 * 1024;

/** By how much a packed body may be larger than the limit: lines that do not shrink grow a little. */
const packedSlackBytes = 64 * 1024;

/** What is unpacked at a time, before it is counted and copied. */
const gunzipPieceBytes = 64 * 1024;

export interface BodyLimits extends BodyMemory {
  /** The limit of a batch, for what a packed body unpacks to as well. */
  readonly batchBytesMax: number;
}

/**
 * Collects a request's body, and unpacks it when it is in gzip; release it after use.
 *
 * Throws `batch_too_large` as soon as that is known, `unsupported_encoding`, `invalid_encoding` for what is not
 * gzip or not whole, `too_many_bytes` when the node holds too much, and `aborted` when the client goes away;
 * nothing is kept then.
 */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  limits: BodyLimits,
): Promise<BodyBuffer> {
  const packed = isPacked(request);
  const { batchBytesMax } = limits;
  const arrivingBytesMax = packed ? batchBytesMax + packedSlackBytes : batchBytesMax;
  const declared = request.headers['content-length'];
  const declaredBytes = declared === undefined ? undefined : Number(declared);
  if (declaredBytes !== undefined && declaredBytes > arrivingBytesMax) {
    throw batchTooLarge(batchBytesMax, declaredBytes);
  }
  if (request.headers.expect !== undefined) response.writeContinue();
  const body = new BodyBuffer(limits, batchBytesMax, packed ? undefined : declaredBytes);
  try {
    await (packed ? unpack(request, body, arrivingBytesMax) : collect(request, request, body));
  } catch (error) {
    body.release();
    throw error;
  }
  return body;
}

/** Tells whether the body is in gzip. Throws `unsupported_encoding` for what the node cannot read. */
function isPacked({ headers }: IncomingMessage): boolean {
  const transfer = headers['transfer-encoding']?.toLowerCase() ?? 'chunked';
  if (transfer !== 'chunked') throw unsupportedEncoding('Transfer-Encoding', transfer);
  const content = headers['content-encoding']?.toLowerCase() ?? 'identity';
  if (content === 'identity') return false;
  if (content === 'gzip' || content === 'x-gzip') return true;
  throw unsupportedEncoding('Content-Encoding', content);
}

function unsupportedEncoding(header: string, encoding: string): ChukchaError {
  return new ChukchaError(
    'unsupported_encoding',
    `${header} ${JSON.stringify(encoding.slice(0, 40))} is not taken: send the lines as they are, or in gzip; nothing was stored.`,
  );
}

/** Moves what `source` gives into the body; `source` is the request, or stands behind it. */
function collect(request: IncomingMessage, source: Readable, body: BodyBuffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      source.off('data', onData);
      reject(error);
    };
    const onData = (part: Buffer): void => {
      try {
        body.add(part);
      } catch (error) {
        fail(error);
      }
    };
    source.on('data', onData);
    // Packed data can end before the request does, and what follows it is still to be counted.
    source.once('end', () => (request.readableEnded ? resolve() : request.once('end', resolve)));
    source.once('error', fail);
    request.once('close', () => {
      if (!request.complete) {
        fail(new ChukchaError('aborted', 'The client closed the connection.'));
      }
    });
  });
}

/** As `collect`, through gunzip; what is held besides the body is one piece of it. */
async function unpack(
  request: IncomingMessage,
  body: BodyBuffer,
  packedBytesMax: number,
): Promise<void> {
  const gunzip = createGunzip({ chunkSize: gunzipPieceBytes });
  let packedBytes = 0;
  request.on('data', (part: Buffer) => {
    packedBytes += part.length;
    // Parts that unpack to nothing would never meet the limit of the body.
    if (packedBytes > packedBytesMax) gunzip.destroy(batchTooLarge(packedBytesMax, packedBytes));
  });
  try {
    await collect(request, request.pipe(gunzip), body);
    checkNothingFollows(gunzip, packedBytes);
  } catch (error) {
    throw error instanceof ChukchaError ? error : invalidGzip(errorMessage(error), error);
  } finally {
    request.unpipe(gunzip);
    gunzip.destroy();
  }
}

/** Gunzip stops at bytes behind the end and says nothing; they could be lines that were meant to be stored. */
function checkNothingFollows(gunzip: Gunzip, packedBytes: number): void {
  if (gunzip.bytesWritten === packedBytes) return;
  throw invalidGzip(`${packedBytes - gunzip.bytesWritten} bytes follow its end`);
}

function invalidGzip(reason: string, cause?: unknown): ChukchaError {
  return new ChukchaError(
    'invalid_encoding',
    `The body is not whole and valid gzip (${reason}): pack it again, or send it as it is; nothing was stored.`,
    { cause },
  );
}

/**
 * Reads the rest of a refused request without keeping anything, so that the client sees the answer; one that
 * sends without end is cut off.
 */
export function discardRest(request: IncomingMessage): void {
  let discardedBytes = 0;
  request.on('data', (part: Buffer) => {
    discardedBytes += part.length;
    if (discardedBytes > discardBytesMax) request.socket.destroy();
  });
  request.resume();
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import { ChukchaError } from '../protocol/chukcha-error.js';

/** Pieces below this size are copied together; above it they are kept as the parser made them. */
const pieceBytesMin = 16 * 1024;

/** The size of the buffers that small pieces are copied into. */
const packBytes = 64 * 1024;

/** How much of a refused body is read and thrown away, so that the client sees the answer. */
const discardBytesMax = 64 * 1024 * 1024;

export interface RequestBody {
  readonly pieces: readonly Uint8Array[];
  readonly byteCount: number;
}

/**
 * Collects a request's body without joining it: the store takes it in pieces. What is held for a
 * connection is the body's size plus 64 KiB, however small the pieces are in which a slow client sends
 * it; without the packing each byte that arrives alone would cost some 300 bytes of bookkeeping.
 *
 * Throws `batch_too_large` as soon as it is known, with nothing kept, and `aborted` when the client
 * goes away.
 */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  byteCountMax: number,
): Promise<RequestBody> {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > byteCountMax) {
    discardRest(request);
    throw batchTooLarge(byteCountMax, declared);
  }
  if (request.headers.expect !== undefined) response.writeContinue();
  const collector = new PieceCollector();
  await new Promise<void>((resolve, reject) => {
    const onData = (piece: Buffer): void => {
      collector.add(piece);
      if (collector.byteCount <= byteCountMax) return;
      request.off('data', onData);
      discardRest(request);
      reject(batchTooLarge(byteCountMax, collector.byteCount));
    };
    request.on('data', onData);
    request.once('end', resolve);
    request.once('close', () => {
      if (!request.complete)
        reject(new ChukchaError('aborted', 'The client closed the connection.'));
    });
    request.once('error', reject);
  });
  return collector.finish();
}

class PieceCollector {
  byteCount = 0;
  readonly #pieces: Uint8Array[] = [];
  /** What is free of the buffer that small pieces are copied into. */
  #free: Buffer = Buffer.alloc(0);
  /** Small pieces since the last large one; they lie next to each other in front of `#free`. */
  #packed: Buffer = Buffer.alloc(0);

  add(piece: Buffer): void {
    this.byteCount += piece.length;
    if (piece.length >= pieceBytesMin) {
      this.#closePack();
      this.#pieces.push(piece);
      return;
    }
    for (let rest = piece; rest.length > 0; ) {
      if (this.#free.length === 0) this.#startPack();
      const copied = rest.copy(this.#free);
      this.#packed = Buffer.from(
        this.#packed.buffer,
        this.#packed.byteOffset,
        this.#packed.length + copied,
      );
      this.#free = this.#free.subarray(copied);
      rest = rest.subarray(copied);
    }
  }

  finish(): RequestBody {
    this.#closePack();
    return { pieces: this.#pieces, byteCount: this.byteCount };
  }

  #startPack(): void {
    this.#closePack();
    this.#free = Buffer.allocUnsafeSlow(packBytes);
    this.#packed = this.#free.subarray(0, 0);
  }

  #closePack(): void {
    if (this.#packed.length > 0) this.#pieces.push(this.#packed);
    this.#packed = this.#free.subarray(0, 0);
  }
}

function batchTooLarge(limit: number, size: number): ChukchaError {
  return new ChukchaError(
    'batch_too_large',
    `The batch has ${size} bytes or more, and this node takes at most ${limit}: send it in smaller parts; nothing was stored.`,
    { fields: { limit } },
  );
}

/** Reads on without keeping anything; a client that sends without end is cut off. */
function discardRest(request: IncomingMessage): void {
  let discardedBytes = 0;
  request.on('data', (piece: Buffer) => {
    discardedBytes += piece.length;
    if (discardedBytes > discardBytesMax) request.socket.destroy();
  });
}

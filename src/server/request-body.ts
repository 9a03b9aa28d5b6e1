import type { IncomingMessage, ServerResponse } from 'node:http';
import { ChukchaError } from '../protocol/chukcha-error.js';
import type { SlabPool } from './slab-pool.js';

/** A body up to this size gets a buffer of its own size instead of a slab. */
const smallBodyBytesMax = 64 * 1024;

/** How much of a refused body is read and thrown away, so that the client sees the answer. */
const discardBytesMax = 64 * 1024 * 1024;

/** A request's body, in pieces. */
export interface RequestBody {
  readonly pieces: readonly Uint8Array[];
  readonly byteCount: number;
  /** Gives the memory back; the pieces must not be used any more. */
  release(): void;
}

/**
 * Collects a request's body in slabs; it is not joined, because the store takes pieces. What is held for a
 * connection is the size of what has arrived, rounded up to a slab, however small the parts are in which a
 * slow client sends it.
 *
 * Throws `batch_too_large` as soon as that is known, and `aborted` when the client goes away; nothing is
 * kept then.
 */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  byteCountMax: number,
  slabs: SlabPool,
): Promise<RequestBody> {
  const declared = request.headers['content-length'];
  if (Number(declared ?? 0) > byteCountMax) {
    throw batchTooLarge(byteCountMax, Number(declared));
  }
  if (request.headers.expect !== undefined) response.writeContinue();
  const collector = new BodyCollector(slabs, declared === undefined ? undefined : Number(declared));
  try {
    await collect(request, collector, byteCountMax);
  } catch (error) {
    collector.release();
    throw error;
  }
  return collector;
}

function collect(
  request: IncomingMessage,
  collector: BodyCollector,
  byteCountMax: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const onData = (part: Buffer): void => {
      if (collector.byteCount + part.length <= byteCountMax) {
        collector.add(part);
        return;
      }
      request.off('data', onData);
      reject(batchTooLarge(byteCountMax, collector.byteCount + part.length));
    };
    request.on('data', onData);
    request.once('end', resolve);
    request.once('close', () => {
      if (request.complete) return;
      request.off('data', onData);
      reject(new ChukchaError('aborted', 'The client closed the connection.'));
    });
    request.once('error', reject);
  });
}

class BodyCollector implements RequestBody {
  readonly pieces: Uint8Array[] = [];
  byteCount = 0;
  readonly #slabs: SlabPool;
  /** Buffers that are full, or being filled; each but the last is in `pieces` as a whole. */
  #buffers: Buffer[] = [];
  #filledBytes = 0;

  constructor(slabs: SlabPool, declaredBytes: number | undefined) {
    this.#slabs = slabs;
    if (declaredBytes !== undefined && declaredBytes > 0 && declaredBytes <= smallBodyBytesMax) {
      this.#startBuffer(Buffer.allocUnsafe(declaredBytes));
    }
  }

  add(part: Buffer): void {
    for (let rest = part; rest.length > 0; ) {
      const buffer = this.#bufferWithRoom();
      const copied = rest.copy(buffer, this.#filledBytes);
      this.#filledBytes += copied;
      this.byteCount += copied;
      this.pieces[this.pieces.length - 1] = buffer.subarray(0, this.#filledBytes);
      rest = rest.subarray(copied);
    }
  }

  release(): void {
    for (const buffer of this.#buffers) this.#slabs.giveBack(buffer);
    this.#buffers = [];
    this.pieces.length = 0;
  }

  #bufferWithRoom(): Buffer {
    const last = this.#buffers.at(-1);
    if (last !== undefined && this.#filledBytes < last.length) return last;
    return this.#startBuffer(this.#slabs.take());
  }

  #startBuffer(buffer: Buffer): Buffer {
    this.#buffers.push(buffer);
    this.#filledBytes = 0;
    this.pieces.push(buffer.subarray(0, 0));
    return buffer;
  }
}

function batchTooLarge(limit: number, size: number): ChukchaError {
  return new ChukchaError(
    'batch_too_large',
    `The batch has ${size} bytes or more, and this node takes at most ${limit}: send it in smaller parts; nothing was stored.`,
    { fields: { limit } },
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
}

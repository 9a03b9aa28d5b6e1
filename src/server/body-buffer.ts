import { ChukchaError } from '../protocol/chukcha-error.js';
import type { ByteBudget } from './byte-budget.js';
import { type SlabPool, slabBytes } from './slab-pool.js';

/**
 * A body up to this size gets a buffer of its own size. A larger one is collected in slabs as soon as half of
 * this has come; before that, in buffers that double with what has come.
 */
export const smallBodyBytesMax = 64 * 1024;

/** The least that is taken for a body that comes in small parts. */
const bufferBytesMin = 4 * 1024;

/** Where the memory of bodies comes from. */
export interface BodyMemory {
  readonly slabs: SlabPool;
  readonly budget: ByteBudget;
}

/**
 * Collects a body in pieces; they are not joined, because the store takes pieces. What it holds is at most
 * twice what has come plus 4 KiB, or what has come rounded up to a slab, however small the parts are in which
 * a slow client sends it.
 */
export class BodyBuffer {
  readonly pieces: Uint8Array[] = [];
  byteCount = 0;
  readonly #memory: BodyMemory;
  readonly #byteCountMax: number;
  readonly #declaredBytes: number;
  /** Buffers that are full, or being filled; each but the last is in `pieces` as a whole. */
  #buffers: Buffer[] = [];
  #filledBytes = 0;
  #takenBytes = 0;

  /**
   * @param byteCountMax the limit of a batch
   * @param declaredBytes how large the body will be, when that is known
   */
  constructor(
    memory: BodyMemory,
    byteCountMax: number,
    declaredBytes: number = Number.POSITIVE_INFINITY,
  ) {
    this.#memory = memory;
    this.#byteCountMax = byteCountMax;
    this.#declaredBytes = declaredBytes;
  }

  /** Throws `batch_too_large`, or `too_many_bytes` when the node holds too much; release it then. */
  add(part: Uint8Array): void {
    if (this.byteCount + part.length > this.#byteCountMax) {
      throw batchTooLarge(this.#byteCountMax, this.byteCount + part.length);
    }
    for (let at = 0; at < part.length; ) {
      const room = this.room(part.length - at);
      const copied = Math.min(room.length, part.length - at);
      room.set(at === 0 && copied === part.length ? part : part.subarray(at, at + copied));
      this.advance(copied);
      at += copied;
    }
  }

  /**
   * Where the next bytes belong, never empty; `advance` then says how many were put there. Throws
   * `too_many_bytes`.
   *
   * @param expectedBytes how many have come or are likely to, for the size of what is taken
   */
  room(expectedBytes: number): Buffer {
    const last = this.#buffers.at(-1);
    if (last !== undefined && this.#filledBytes < last.length) {
      return this.#filledBytes === 0 ? last : last.subarray(this.#filledBytes);
    }
    const buffer = this.#take(expectedBytes);
    this.#buffers.push(buffer);
    this.pieces.push(buffer);
    this.#filledBytes = 0;
    return buffer;
  }

  advance(byteCount: number): void {
    this.byteCount += byteCount;
    this.#filledBytes += byteCount;
    const last = this.#buffers.at(-1) as Buffer;
    const isFull = this.#filledBytes === last.length;
    this.pieces[this.pieces.length - 1] = isFull ? last : last.subarray(0, this.#filledBytes);
  }

  /** Gives the memory back; the pieces must not be used any more. */
  release(): void {
    this.#memory.budget.giveBack(this.#takenBytes);
    for (const buffer of this.#buffers) this.#memory.slabs.giveBack(buffer);
    this.#takenBytes = 0;
    this.#buffers = [];
    this.pieces.length = 0;
  }

  #take(expectedBytes: number): Buffer {
    const seenBytes = this.byteCount + expectedBytes;
    const missingBytes = this.#declaredBytes - this.byteCount;
    const isSmall = this.#declaredBytes <= smallBodyBytesMax;
    const inSlab = !isSmall && seenBytes > smallBodyBytesMax / 2;
    const size = inSlab ? slabBytes : Math.min(missingBytes, Math.max(bufferBytesMin, seenBytes));
    this.#memory.budget.take(size);
    this.#takenBytes += size;
    return inSlab ? this.#memory.slabs.take() : Buffer.allocUnsafe(size);
  }
}

export function batchTooLarge(limit: number, size: number): ChukchaError {
  return new ChukchaError(
    'batch_too_large',
    `The batch has ${size} bytes or more, and this node takes at most ${limit}: send it in smaller parts; nothing was stored.`,
    { fields: { limit } },
  );
}

import { RequestError } from './request-error.js';

/** Limits in bytes; a message counts with its newline. */
export interface LineBatchLimits {
  readonly messageBytesMax: number;
  /** MUST NOT be below `messageBytesMax`. */
  readonly batchBytesMax: number;
}

/** Lines for one category, and which items of the request they are. */
export interface LineBatch {
  readonly bytes: Buffer;
  readonly category: string | undefined;
  /** Counted from 0, ascending. */
  readonly items: readonly number[];
}

/** How many items one request may have; what is remembered of each costs some 100 bytes. */
const itemCountMax = 200_000;

/** How many categories one request may name. */
const categoryCountMax = 100;

const NEWLINE = 0x0a;
/** What a batch has room for at first; it doubles when more comes. */
const bufferBytesMin = 1024;

interface OpenBatch {
  buffer: Buffer;
  byteCount: number;
  items: number[];
}

/** Makes batches of the items of a request: one or more for each category, none above the limit. */
export class LineBatches {
  readonly #limits: LineBatchLimits;
  readonly #reserve: (byteCount: number) => void;
  readonly #open = new Map<string | undefined, OpenBatch>();
  readonly #full: LineBatch[] = [];
  #itemCount = 0;

  /** @param reserve is told of the memory that batches take, in bytes; it throws when there is none */
  constructor(limits: LineBatchLimits, reserve: (byteCount: number) => void) {
    this.#limits = limits;
    this.#reserve = reserve;
  }

  /**
   * Adds one line of some pieces, which are copied; false when it is longer than a message may be. Throws
   * `batch_too_large` for too many items or categories.
   */
  add(item: number, category: string | undefined, ...pieces: readonly Uint8Array[]): boolean {
    const byteCount = pieces.reduce((sum, piece) => sum + piece.length, 1);
    if (byteCount > this.#limits.messageBytesMax) return false;
    this.#itemCount += 1;
    if (this.#itemCount > itemCountMax) throw tooMany('items', itemCountMax);
    const batch = this.#room(category, byteCount);
    for (const piece of pieces) {
      batch.buffer.set(piece, batch.byteCount);
      batch.byteCount += piece.length;
    }
    batch.buffer[batch.byteCount] = NEWLINE;
    batch.byteCount += 1;
    batch.items.push(item);
    return true;
  }

  /** All batches; nothing may be added afterwards. */
  finish(): readonly LineBatch[] {
    for (const category of this.#open.keys()) this.#close(category);
    return this.#full;
  }

  #room(category: string | undefined, byteCount: number): OpenBatch {
    let batch = this.#open.get(category);
    if (batch !== undefined && batch.byteCount + byteCount > this.#limits.batchBytesMax) {
      this.#close(category);
      batch = undefined;
    }
    if (batch === undefined) {
      if (this.#open.size >= categoryCountMax) throw tooMany('categories', categoryCountMax);
      batch = { buffer: Buffer.alloc(0), byteCount: 0, items: [] };
      this.#open.set(category, batch);
    }
    this.#grow(batch, batch.byteCount + byteCount);
    return batch;
  }

  #grow(batch: OpenBatch, byteCount: number): void {
    if (byteCount <= batch.buffer.length) return;
    const doubled = Math.max(batch.buffer.length * 2, bufferBytesMin, byteCount);
    const size = Math.min(doubled, this.#limits.batchBytesMax);
    this.#reserve(size - batch.buffer.length);
    const buffer = Buffer.allocUnsafeSlow(size);
    batch.buffer.copy(buffer, 0, 0, batch.byteCount);
    batch.buffer = buffer;
  }

  #close(category: string | undefined): void {
    const batch = this.#open.get(category);
    this.#open.delete(category);
    if (batch === undefined || batch.byteCount === 0) return;
    const bytes = batch.buffer.subarray(0, batch.byteCount);
    this.#full.push({ bytes, category, items: batch.items });
  }
}

function tooMany(what: string, limit: number): RequestError {
  return new RequestError(
    'batch_too_large',
    `The request has more than ${limit} ${what}, the limit of one: send it in smaller parts; nothing was accepted.`,
  );
}

import { type FrameHead, frameHeadBytes, readFrameHead } from '../protocol/frames.js';

/** Where heads and small frames are read. */
const scratchBytes = 64 * 1024;

/** Buffers of large frames that are kept for the next ones, each as large as a usual part. */
const pooledBytes = 1024 * 1024 + scratchBytes;
const pooledCountMax = 8;

/**
 * @param payload what follows the head
 * @param release given when the payload lies in a buffer of its own: it may be kept until this is called. Without it,
 *   the bytes are good until the call returns
 */
export type FrameHandler = (
  head: FrameHead,
  payload: Buffer,
  release: (() => void) | undefined,
) => void;

/**
 * Takes a stream of frames apart. The bytes of a large frame are read straight into a buffer of its own, so that
 * they are copied once: by the system.
 */
export class FrameReader {
  readonly #onFrame: FrameHandler;
  readonly #scratch = Buffer.allocUnsafeSlow(scratchBytes);
  readonly #pool: Buffer[] = [];
  #filledBytes = 0;
  /** A frame that is larger than the scratch has room for. */
  #large: { readonly head: FrameHead; readonly buffer: Buffer; filledBytes: number } | undefined;

  constructor(onFrame: FrameHandler) {
    this.#onFrame = onFrame;
  }

  /** Where the next bytes belong; never empty. */
  target(): Buffer {
    const large = this.#large;
    if (large === undefined) return this.#scratch.subarray(this.#filledBytes);
    return large.buffer.subarray(large.filledBytes, large.head.payloadBytes);
  }

  /** Throws `invalid_frame`, and what the handler throws; nothing more can be read then. */
  received(byteCount: number): void {
    if (this.#large === undefined) {
      this.#filledBytes += byteCount;
      this.#readScratch();
      return;
    }
    this.#large.filledBytes += byteCount;
    if (this.#large.filledBytes === this.#large.head.payloadBytes) this.#endLarge();
  }

  #readScratch(): void {
    let at = 0;
    while (this.#filledBytes - at >= frameHeadBytes) {
      const head = readFrameHead(this.#scratch, at);
      const start = at + frameHeadBytes;
      const end = start + head.payloadBytes;
      if (end > this.#filledBytes) {
        if (frameHeadBytes + head.payloadBytes <= scratchBytes) break;
        this.#beginLarge(head, start);
        return;
      }
      this.#onFrame(head, this.#scratch.subarray(start, end), undefined);
      at = end;
    }
    this.#scratch.copyWithin(0, at, this.#filledBytes);
    this.#filledBytes -= at;
  }

  #beginLarge(head: FrameHead, start: number): void {
    const buffer =
      head.payloadBytes <= pooledBytes
        ? (this.#pool.pop() ?? Buffer.allocUnsafeSlow(pooledBytes))
        : Buffer.allocUnsafeSlow(head.payloadBytes);
    const filledBytes = this.#scratch.copy(buffer, 0, start, this.#filledBytes);
    this.#filledBytes = 0;
    this.#large = { head, buffer, filledBytes };
  }

  #endLarge(): void {
    const large = this.#large;
    if (large === undefined) return;
    this.#large = undefined;
    const { head, buffer } = large;
    const release = (): void => {
      if (buffer.length === pooledBytes && this.#pool.length < pooledCountMax) {
        this.#pool.push(buffer);
      }
    };
    this.#onFrame(head, buffer.subarray(0, head.payloadBytes), release);
  }
}

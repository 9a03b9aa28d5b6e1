/** Buffers that wait for the next read; an owner needs two, one being filled and one being processed. */
const idleBufferCountMax = 8;

/** Buffers of one size for answers, used again: a fresh megabyte costs more than reading it does. */
export class ReadBuffers {
  readonly #bufferBytes: number;
  readonly #idle: Buffer[] = [];

  constructor(bufferBytes: number) {
    this.#bufferBytes = bufferBytes;
  }

  /** A buffer of at least this size. */
  take(byteCount: number): Buffer {
    if (byteCount > this.#bufferBytes) return Buffer.allocUnsafeSlow(byteCount);
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(this.#bufferBytes);
  }

  /** Takes back a buffer, or the part of it that was filled, when nobody reads it any more. */
  giveBack(bytes: Buffer): void {
    if (bytes.buffer.byteLength !== this.#bufferBytes || this.#idle.length >= idleBufferCountMax)
      return;
    this.#idle.push(Buffer.from(bytes.buffer));
  }
}

/** How much more than asked a buffer has when it has to grow, as a factor. */
const growthFactor = 1.5;

/**
 * The memory of bodies, used again and again: new memory costs as much as filling it. A buffer is given back when the
 * request that had it is done with it, and never when the system may still read it.
 */
export class BodyBuffers {
  readonly empty = Buffer.alloc(0);
  readonly #free: Buffer[] = [];
  readonly #keptMax: number;

  /** @param keptMax how many buffers are kept: one for each batch that is under way */
  constructor(keptMax: number) {
    this.#keptMax = keptMax;
  }

  /** A buffer of at least so many bytes. */
  take(byteCount: number): Buffer {
    const kept = this.#free.pop();
    if (kept !== undefined && kept.length >= byteCount) return kept;
    return Buffer.allocUnsafeSlow(byteCount);
  }

  /** A buffer of at least so many bytes that begins with the first bytes of another, which is not used any more. */
  grow(buffer: Buffer, length: number, byteCount: number): Buffer {
    const larger = Buffer.allocUnsafeSlow(Math.ceil(byteCount * growthFactor));
    buffer.copy(larger, 0, 0, length);
    return larger;
  }

  giveBack(buffer: Buffer): void {
    // Views come back as the whole that they are part of.
    const whole = Buffer.from(buffer.buffer);
    if (whole.length > 0 && this.#free.length < this.#keptMax) this.#free.push(whole);
  }
}

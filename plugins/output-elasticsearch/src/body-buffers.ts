/** How much more than asked a buffer has when it has to grow, as a factor. */
const growthFactor = 1.5;

/** Bodies of about one size come in buffers of one size, so that each fits the next body. */
const stepBytes = 256 * 1024;

/**
 * The memory of bodies, used again and again: new memory costs as much as filling it. A buffer is given back when the
 * request that had it is done with it, and never when the system may still read it.
 */
export class BodyBuffers {
  readonly empty = new Uint8Array(0);
  readonly #free: Uint8Array[] = [];
  readonly #keptMax: number;

  /** @param keptMax how many buffers are kept: one for each batch that is under way */
  constructor(keptMax: number) {
    this.#keptMax = keptMax;
  }

  /** A buffer of at least so many bytes. */
  take(byteCount: number): Uint8Array {
    const fitting = this.#free.findIndex(({ length }) => length >= byteCount);
    const kept = fitting === -1 ? undefined : this.#free.splice(fitting, 1)[0];
    return kept ?? allocate(Math.ceil(byteCount / stepBytes) * stepBytes);
  }

  /** A buffer of at least so many bytes that begins with the first bytes of another, which is not used any more. */
  grow(buffer: Uint8Array, length: number, byteCount: number): Uint8Array {
    const larger = allocate(Math.ceil(byteCount * growthFactor));
    larger.set(buffer.subarray(0, length));
    return larger;
  }

  giveBack(buffer: Uint8Array): void {
    // Views come back as the whole that they are part of.
    const whole = new Uint8Array(buffer.buffer);
    if (whole.length === 0) return;
    this.#free.push(whole);
    // The largest are of most use.
    this.#free.sort((left, right) => right.length - left.length);
    this.#free.splice(this.#keptMax);
  }
}

/** Memory that is not filled with zeros first, which would cost as much as the body itself. */
function allocate(byteCount: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(byteCount).buffer);
}

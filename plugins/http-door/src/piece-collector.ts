/** Pieces of this size and more are kept as the parser made them; smaller ones are copied together. */
const pieceBytesMin = 16 * 1024;

/** The sizes of the buffers that small pieces are copied into: each is as large as the body so far. */
const packBytesMin = 1024;
const packBytesMax = 64 * 1024;

/**
 * Collects a body. What it holds is at most twice the size of the body plus 1 KiB, however small the
 * pieces are in which a slow client sends it: kept as it came, each piece would cost some 300 bytes more.
 */
export class PieceCollector {
  byteCount = 0;
  readonly #pieces: Buffer[] = [];
  #pack = Buffer.alloc(0);
  /** The part of the pack that is filled and not among the pieces yet. */
  #packStart = 0;
  #packEnd = 0;

  add(piece: Buffer): void {
    // A body that comes in one piece is never copied.
    if (piece.length >= pieceBytesMin || this.byteCount === 0) {
      this.#closePack();
      this.#pieces.push(piece);
    } else {
      this.#copyToPack(piece);
    }
    this.byteCount += piece.length;
  }

  /** The body and then `tail`, in one piece of memory. */
  join(tail: Uint8Array): Buffer {
    this.#closePack();
    const [first] = this.#pieces;
    if (this.#pieces.length === 1 && first !== undefined && tail.length === 0) return first;
    return Buffer.concat([...this.#pieces, tail], this.byteCount + tail.length);
  }

  /** The last byte; `undefined` when there is none. */
  lastByte(): number | undefined {
    if (this.#packEnd > this.#packStart) return this.#pack[this.#packEnd - 1];
    return this.#pieces.at(-1)?.at(-1);
  }

  #copyToPack(piece: Buffer): void {
    for (let rest = piece; rest.length > 0; ) {
      if (this.#packEnd === this.#pack.length) this.#startPack();
      const copied = rest.copy(this.#pack, this.#packEnd);
      this.#packEnd += copied;
      rest = rest.subarray(copied);
    }
  }

  #startPack(): void {
    this.#closePack();
    const size = Math.min(Math.max(this.byteCount, packBytesMin), packBytesMax);
    this.#pack = Buffer.allocUnsafeSlow(size);
    this.#packStart = 0;
    this.#packEnd = 0;
  }

  #closePack(): void {
    if (this.#packEnd === this.#packStart) return;
    this.#pieces.push(this.#pack.subarray(this.#packStart, this.#packEnd));
    this.#packStart = this.#packEnd;
  }
}

import { countNewlines, findLongMessage } from '@chukcha/plugin-api';

const NEWLINE = 0x0a;

/** A new buffer starts with what a pipe holds, and doubles when more comes than it has room for. */
const bufferBytesMin = 64 * 1024;

/** Limits in bytes; a message counts with its newline. */
export interface LineBlockLimits {
  readonly messageBytesMax: number;
  /** MUST NOT be below `messageBytesMax`. */
  readonly blockBytesMax: number;
}

/** What can be taken from a block. `too_long` names the line by its number, counted from 1. */
export type TakenLines =
  | { readonly kind: 'lines'; readonly bytes: Buffer }
  | { readonly kind: 'too_long'; readonly line: number }
  | { readonly kind: 'nothing' };

/** Gathers pieces of a stream and hands them out as blocks of whole lines. */
export class LineBlock {
  readonly #limits: LineBlockLimits;
  #buffer = Buffer.allocUnsafeSlow(bufferBytesMin);
  #byteCount = 0;
  /** Lines that were taken so far. */
  #lineCount = 0;

  constructor(limits: LineBlockLimits) {
    this.#limits = limits;
  }

  /** True when more would not fit into the next block. */
  get isFull(): boolean {
    return this.#byteCount >= this.#limits.blockBytesMax;
  }

  /** True when there is no byte that was not taken. */
  get isEmpty(): boolean {
    return this.#byteCount === 0;
  }

  add(piece: Uint8Array): void {
    const byteCount = this.#byteCount + piece.length;
    if (byteCount > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(byteCount, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, this.#byteCount);
      this.#buffer = grown;
    }
    this.#buffer.set(piece, this.#byteCount);
    this.#byteCount = byteCount;
  }

  /** Ends the last line of the stream, when it has no newline. Tells whether it did. */
  endLastLine(): boolean {
    if (this.#byteCount === 0 || this.#buffer[this.#byteCount - 1] === NEWLINE) return false;
    this.add(Uint8Array.of(NEWLINE));
    return true;
  }

  /** Takes as many whole lines as a block may have. The bytes belong to the caller. */
  takeLines(): TakenLines {
    const limit = Math.min(this.#byteCount, this.#limits.blockBytesMax);
    const cut = limit === 0 ? 0 : this.#buffer.lastIndexOf(NEWLINE, limit - 1) + 1;
    if (cut === 0) {
      if (this.#byteCount < this.#limits.messageBytesMax) return { kind: 'nothing' };
      return { kind: 'too_long', line: this.#lineCount + 1 };
    }
    const long = findLongMessage(this.#buffer.subarray(0, cut), this.#limits.messageBytesMax);
    if (long === 0) return { kind: 'too_long', line: this.#lineCount + 1 };
    const bytes = this.#detach(long ?? cut);
    // A stream cannot be read again to find the number of a line that is refused later.
    this.#lineCount += countNewlines(bytes);
    return { kind: 'lines', bytes };
  }

  #detach(byteCount: number): Buffer {
    const buffer = this.#buffer;
    const rest = buffer.subarray(byteCount, this.#byteCount);
    this.#byteCount = rest.length;
    if (byteCount <= buffer.length / 2) {
      // A copy, so that a few lines of a slow stream do not hold on to a whole buffer.
      const bytes = Buffer.allocUnsafeSlow(byteCount);
      buffer.copy(bytes, 0, 0, byteCount);
      buffer.copyWithin(0, byteCount, byteCount + rest.length);
      return bytes;
    }
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(bufferBytesMin, rest.length));
    rest.copy(this.#buffer);
    return buffer.subarray(0, byteCount);
  }
}

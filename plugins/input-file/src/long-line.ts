import type { ByteSource } from './byte-source.js';
import type { Framing } from './framing.js';

/** How much of a line that is left out is read in one turn, in bytes: other files wait meanwhile. */
const turnBytesMax = 16 * 1024 * 1024;

/** Room for ` [cut: N bytes]` with the largest number there is, and the newline. */
const markerBytesMax = 40;

/** Looks for the end of a line that is longer than a message may be, over several turns. */
export class LongLine {
  /** Where the line begins in the source. */
  readonly from: number;
  /** Where the source ended when that was seen last. */
  sourceEnd: number;
  /** No newline ends before it. */
  #searchedTo: number;

  constructor(from: number) {
    this.from = from;
    this.#searchedTo = from;
    this.sourceEnd = from;
  }

  /**
   * Searches on, up to `stop`. Resolves with the offset behind the line; with `at_end` when the source ends
   * before, or with `more` after some turns' worth of bytes.
   */
  async findEnd(
    source: ByteSource,
    buffer: Buffer,
    framing: Framing,
    stop: number,
  ): Promise<number | 'at_end' | 'more'> {
    // An even number of bytes, so that each piece starts with a character of two bytes.
    const pieceBytes = buffer.length - (buffer.length % 2);
    for (let turnBytes = 0; turnBytes < turnBytesMax; ) {
      const wanted = Math.min(pieceBytes, stop - this.#searchedTo);
      const byteCount = await source.read(buffer.subarray(0, wanted), this.#searchedTo);
      const end = framing.lineEnd(buffer.subarray(0, byteCount), 0);
      if (end !== -1) return this.#searchedTo + end;
      this.sourceEnd = this.#searchedTo + byteCount;
      if (this.sourceEnd === stop) return stop;
      if (byteCount < pieceBytes) return 'at_end';
      this.#searchedTo += byteCount;
      turnBytes += byteCount;
    }
    return 'more';
  }
}

/**
 * The message of a line that is too long: its first characters, and how many bytes of the source are left out, as in
 * `GET /a?b [cut: 1234 bytes]`.
 *
 * @param head the first bytes of the line, at least as many as `messageBytesMax`
 * @param lineBytes the length of the line in the source, without its end
 */
export function cutLine(
  head: Buffer,
  lineBytes: number,
  framing: Framing,
  messageBytesMax: number,
): { readonly output: Buffer; readonly cutBytes: number } {
  const { output, sourceBytes } = framing.cut(head, Math.max(0, messageBytesMax - markerBytesMax));
  const cutBytes = lineBytes - sourceBytes;
  return { output: Buffer.concat([output, Buffer.from(` [cut: ${cutBytes} bytes]\n`)]), cutBytes };
}

const NUL = 0x00;
const NEWLINE = 0x0a;
const BACKSLASH = 0x5c;
const LETTER_N = 0x6e;

/**
 * Makes lines of messages that are ended by NUL, piece by piece: a NUL becomes a newline, and a newline
 * within a message becomes the two characters `\\n`.
 */
export class NulSeparator {
  /** Messages that had a newline, so far. */
  joinedMessageCount = 0;
  #isJoined = false;

  /** The piece itself, changed, or a larger copy when there are newlines in it. */
  toLines(piece: Buffer): Buffer {
    if (!piece.includes(NEWLINE)) {
      if (this.#endMessages(piece)) this.#isJoined = false;
      return piece;
    }
    const target = Buffer.allocUnsafe(piece.length * 2);
    let length = 0;
    for (const byte of piece) {
      if (byte === NUL) {
        this.#isJoined = false;
        target[length] = NEWLINE;
      } else if (byte === NEWLINE) {
        if (!this.#isJoined) this.joinedMessageCount += 1;
        this.#isJoined = true;
        target[length] = BACKSLASH;
        length += 1;
        target[length] = LETTER_N;
      } else {
        target[length] = byte;
      }
      length += 1;
    }
    return target.subarray(0, length);
  }

  /** Tells whether there was a NUL. */
  #endMessages(piece: Buffer): boolean {
    let at = piece.indexOf(NUL);
    if (at === -1) return false;
    for (; at !== -1; at = piece.indexOf(NUL, at + 1)) piece[at] = NEWLINE;
    return true;
  }
}

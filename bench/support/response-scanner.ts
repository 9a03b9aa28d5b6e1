const LF = 0x0a;
const CR = 0x0d;
/** Sets letters to lower case, and leaves digits, `-`, `:` and blanks as they are. */
const caseBit = 0x20;

const lengthName = Buffer.from('content-length:');
const okStatus = Buffer.from('200');
/** Where the status stands in `HTTP/1.1 200 OK`. */
const statusColumn = 9;

/**
 * Finds the ends of the answers of one connection in the bytes as they arrive. It makes no strings and
 * keeps no bytes, so that it costs a fraction of what an answer costs the server.
 *
 * Every answer must be a 200 with a Content-Length.
 */
export class ResponseScanner {
  readonly #bodyBytesWanted: number | undefined;
  #isStatusLine = true;
  /** The place of the next byte in its line of the head. */
  #column = 0;
  /** How much of `lengthName` the line has matched; all of it while its digits are read. */
  #matchedCount = 0;
  /** The Content-Length of the answer, or -1 while it is not known. */
  #length = -1;
  #bodyBytesLeft = 0;

  /** With `bodyBytesWanted`, every body must have exactly that many bytes. */
  constructor(bodyBytesWanted?: number) {
    this.#bodyBytesWanted = bodyBytesWanted;
  }

  /** Takes the next `byteCount` bytes and returns how many answers end in them. Throws on a wrong answer. */
  scan(bytes: Uint8Array, byteCount: number): number {
    let answerCount = 0;
    for (let at = 0; at < byteCount; ) {
      if (this.#bodyBytesLeft > 0) {
        const bodyBytes = Math.min(this.#bodyBytesLeft, byteCount - at);
        this.#bodyBytesLeft -= bodyBytes;
        at += bodyBytes;
        if (this.#bodyBytesLeft === 0) answerCount += 1;
      } else {
        const byte = bytes[at] ?? 0;
        at += 1;
        if (byte === LF && this.#column === 0) {
          this.#endHead();
          if (this.#bodyBytesLeft === 0) answerCount += 1;
        } else if (byte === LF) {
          this.#endLine();
        } else if (byte !== CR) {
          this.#takeHeadByte(byte);
        }
      }
    }
    return answerCount;
  }

  #takeHeadByte(byte: number): void {
    const column = this.#column;
    this.#column = column + 1;
    if (this.#isStatusLine) {
      const wanted = okStatus[column - statusColumn];
      if (wanted !== undefined && byte !== wanted) throw new Error('an answer was not a 200');
    } else if (this.#matchedCount === lengthName.length) {
      if (byte !== 0x20) this.#length = this.#length * 10 + (byte - 0x30);
    } else if (this.#matchedCount === column && (byte | caseBit) === lengthName[column]) {
      this.#matchedCount += 1;
      if (this.#matchedCount === lengthName.length) this.#length = 0;
    }
  }

  #endLine(): void {
    this.#isStatusLine = false;
    this.#column = 0;
    this.#matchedCount = 0;
  }

  #endHead(): void {
    const length = this.#length;
    if (length === -1) throw new Error('an answer had no Content-Length');
    if (this.#bodyBytesWanted !== undefined && length !== this.#bodyBytesWanted)
      throw new Error(`an answer had ${length} bytes and not ${this.#bodyBytesWanted}`);
    this.#bodyBytesLeft = length;
    this.#length = -1;
    this.#endLine();
    this.#isStatusLine = true;
  }
}

const NEWLINE = 0x0a;
const SPACE = 0x20;
const LESS_THAN = 0x3c;

/** Digits of a length; more are not one. */
const lengthDigitsMax = 7;

const bufferBytesMin = 4 * 1024;

export type Framing = 'auto' | 'newline' | 'octets';

/** Takes a message without its framing; the bytes may be kept. */
export type FrameSink = (bytes: Buffer, isCut: boolean) => void;

/** What comes is not framed as it has to be, and nobody can tell where the next message begins. */
export class FramingError extends Error {}

type Frame =
  | { readonly kind: 'newline' }
  | { readonly kind: 'octets'; readonly headBytes: number; readonly byteCount: number }
  | { readonly kind: 'incomplete' };

/**
 * Splits a stream into messages (RFC 6587): ended by newlines, or with their length in front. With `auto` each
 * message shows which: a length is followed by a space and `<`. What is longer than the limit is cut, and its
 * rest is passed over.
 */
export class FrameSplitter {
  readonly #framing: Framing;
  readonly #frameBytesMax: number;
  readonly #sink: FrameSink;
  #buffer: Buffer = Buffer.alloc(0);
  /** False for a buffer of the socket, behind whose bytes there is no room. */
  #isOwn = false;
  #start = 0;
  #end = 0;
  /** Before it there is no newline. */
  #searched = 0;
  /** What is left of a message that was cut. */
  #passing: { kind: 'nothing' | 'line' } | { kind: 'octets'; byteCount: number } = {
    kind: 'nothing',
  };

  constructor(framing: Framing, frameBytesMax: number, sink: FrameSink) {
    this.#framing = framing;
    this.#frameBytesMax = frameBytesMax;
    this.#sink = sink;
  }

  /** Throws a `FramingError` for a stream that cannot be read on. */
  push(piece: Buffer): void {
    const rest = this.#passOver(piece);
    if (rest.length === 0) return;
    this.#append(rest);
    while (this.#takeFrame());
  }

  /** The stream has ended: what is left is a message too. */
  finish(): void {
    if (this.#start === this.#end) return;
    const frame = this.#nextFrame();
    const headBytes = frame.kind === 'octets' ? frame.headBytes : 0;
    const bytes = this.#buffer.subarray(this.#start + headBytes, this.#end);
    this.#start = this.#end;
    if (bytes.length > 0) this.#sink(Buffer.from(bytes), frame.kind === 'octets');
  }

  #passOver(piece: Buffer): Buffer {
    const passing = this.#passing;
    if (passing.kind === 'nothing') return piece;
    let byteCount = 0;
    if (passing.kind === 'octets') {
      byteCount = Math.min(passing.byteCount, piece.length);
      passing.byteCount -= byteCount;
      if (passing.byteCount === 0) this.#passing = { kind: 'nothing' };
    } else {
      const newline = piece.indexOf(NEWLINE);
      byteCount = newline === -1 ? piece.length : newline + 1;
      if (newline !== -1) this.#passing = { kind: 'nothing' };
    }
    return piece.subarray(byteCount);
  }

  #append(piece: Buffer): void {
    const held = this.#end - this.#start;
    if (held === 0) {
      // Messages are given as views, so a buffer of which some were given is never written to from its start.
      this.#use(piece, false, piece.length);
      this.#searched = 0;
    } else if (this.#isOwn && this.#end + piece.length <= this.#buffer.length) {
      this.#buffer.set(piece, this.#end);
      this.#end += piece.length;
    } else {
      const grown = Buffer.allocUnsafeSlow(Math.max(bufferBytesMin, held + piece.length, held * 2));
      this.#buffer.copy(grown, 0, this.#start, this.#end);
      grown.set(piece, held);
      this.#searched = Math.max(0, this.#searched - this.#start);
      this.#use(grown, true, held + piece.length);
    }
  }

  #use(buffer: Buffer, isOwn: boolean, byteCount: number): void {
    this.#buffer = buffer;
    this.#isOwn = isOwn;
    this.#start = 0;
    this.#end = byteCount;
  }

  /** True when there may be another one. */
  #takeFrame(): boolean {
    if (this.#start >= this.#end) return false;
    const frame = this.#nextFrame();
    switch (frame.kind) {
      case 'incomplete':
        return false;
      case 'octets':
        return this.#takeOctets(frame.headBytes, frame.byteCount);
      case 'newline':
        return this.#takeLine();
    }
  }

  #takeLine(): boolean {
    const newline = this.#buffer.indexOf(NEWLINE, Math.max(this.#searched, this.#start));
    const hasEnd = newline !== -1 && newline < this.#end;
    const byteCount = (hasEnd ? newline : this.#end) - this.#start;
    if (byteCount > this.#frameBytesMax) {
      this.#give(this.#start, this.#frameBytesMax, true);
      if (!hasEnd) this.#passing = { kind: 'line' };
      this.#start = hasEnd ? newline + 1 : this.#end;
      return hasEnd;
    }
    if (!hasEnd) {
      this.#searched = this.#end;
      return false;
    }
    this.#give(this.#start, byteCount, false);
    this.#start = newline + 1;
    return true;
  }

  #takeOctets(headBytes: number, byteCount: number): boolean {
    const start = this.#start + headBytes;
    const taken = Math.min(byteCount, this.#frameBytesMax);
    if (this.#end - start < taken) return false;
    this.#give(start, taken, taken < byteCount);
    const end = start + byteCount;
    if (end > this.#end) this.#passing = { kind: 'octets', byteCount: end - this.#end };
    this.#start = Math.min(end, this.#end);
    return true;
  }

  #give(start: number, byteCount: number, isCut: boolean): void {
    this.#sink(this.#buffer.subarray(start, start + byteCount), isCut);
  }

  #nextFrame(): Frame {
    if (this.#framing === 'newline') return { kind: 'newline' };
    let at = this.#start;
    let byteCount = 0;
    while (at < this.#end && at - this.#start < lengthDigitsMax && isDigit(this.#buffer[at])) {
      byteCount = byteCount * 10 + ((this.#buffer[at] as number) - 0x30);
      at += 1;
    }
    const digitCount = at - this.#start;
    const isOpen = at === this.#end;
    const isLength = digitCount > 0 && this.#buffer[at] === SPACE;
    if (this.#framing === 'octets') {
      if (isOpen) return { kind: 'incomplete' };
      if (!isLength) throw this.#notFramed();
      return { kind: 'octets', headBytes: digitCount + 1, byteCount };
    }
    if (digitCount === 0) return { kind: 'newline' };
    if (isOpen || (isLength && at + 1 === this.#end)) return { kind: 'incomplete' };
    if (!isLength || this.#buffer[at + 1] !== LESS_THAN) return { kind: 'newline' };
    return { kind: 'octets', headBytes: digitCount + 1, byteCount };
  }

  #notFramed(): FramingError {
    const found = JSON.stringify(
      this.#buffer.toString('latin1', this.#start, Math.min(this.#end, this.#start + 20)),
    );
    return new FramingError(
      `Expected the length of a message and a space, found ${found}: set framing=auto, or the framing of the sender to octet counting.`,
    );
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

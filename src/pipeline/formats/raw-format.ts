import { checkLines, NEWLINE, wholeLinesEnd } from './input-lines.js';
import type { FormatLimits, FormattedLines, LineContext, LineFormat } from './line-format.js';

/** Lines as they are. A line that is too long is cut where a character ends; only the count tells of it. */
export class RawFormat implements LineFormat {
  readonly name = 'raw';
  #cutLine = new Uint8Array(0);

  apply(
    bytes: Uint8Array,
    start: number,
    _context: LineContext,
    limits: FormatLimits,
  ): FormattedLines {
    checkLines(bytes, start, limits);
    const { outBytesMax, messageBytesMax } = limits;
    const end = wholeLinesEnd(bytes, start, outBytesMax);
    const goodEnd = shortLinesEnd(bytes, start, end, messageBytesMax);
    if (goodEnd === start) return this.#cutFirstLine(bytes, start, messageBytesMax);
    const lines = bytes.subarray(start, goodEnd);
    return { bytes: lines, consumed: lines.length, cutCount: 0, wrappedCount: 0 };
  }

  #cutFirstLine(bytes: Uint8Array, start: number, messageBytesMax: number): FormattedLines {
    const lineEnd = bytes.indexOf(NEWLINE, start) + 1;
    let cut = start + messageBytesMax - 1;
    // A character has at most three bytes behind its first one; what has more of them is not UTF-8.
    for (let back = 0; back < 3 && cut > start && isInsideCharacter(bytes[cut]); back += 1)
      cut -= 1;
    const message = this.#reserve(cut - start + 1);
    message.set(bytes.subarray(start, cut));
    message[cut - start] = NEWLINE;
    return { bytes: message, consumed: lineEnd - start, cutCount: 1, wrappedCount: 0 };
  }

  #reserve(byteCount: number): Uint8Array {
    if (this.#cutLine.length < byteCount) this.#cutLine = new Uint8Array(byteCount);
    return this.#cutLine.subarray(0, byteCount);
  }
}

/** Where the lines end of which each has at most `messageBytesMax` bytes, stepping over as many as that takes at once. */
function shortLinesEnd(
  bytes: Uint8Array,
  start: number,
  end: number,
  messageBytesMax: number,
): number {
  let place = start;
  while (place < end) {
    const next = bytes.lastIndexOf(NEWLINE, Math.min(place + messageBytesMax, end) - 1) + 1;
    if (next <= place) break;
    place = next;
  }
  return place;
}

function isInsideCharacter(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

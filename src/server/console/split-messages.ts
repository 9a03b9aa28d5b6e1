/** One message as the page keeps it. */
export interface ShownMessage {
  /** What can be shown safely: no control characters, and nothing that turns the direction of text around. */
  readonly text: string;
  /** Its size in the chunk, without the newline. */
  readonly byteCount: number;
}

const NEWLINE = 0x0a;

const decoder = new TextDecoder();

/** Characters that draw nothing, or change how others are drawn; not the tab, nor the joiners within words and emoji. */
const unseen = /(?![\t\u200c\u200d])[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** The whole messages of some bytes, and what is left of one that goes on. */
export function splitMessages(bytes: Uint8Array): { lines: Uint8Array[]; rest: Uint8Array } {
  const lines: Uint8Array[] = [];
  let start = 0;
  for (;;) {
    const end = bytes.indexOf(NEWLINE, start);
    if (end === -1) return { lines, rest: bytes.subarray(start) };
    lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
}

/** A message made safe to be shown. It is bytes, so what is no UTF-8 is shown as the sign for that. */
export function toShown(line: Uint8Array): ShownMessage {
  return { text: decoder.decode(line).replace(unseen, makeVisible), byteCount: line.length };
}

/** Control characters have pictures of their own; for others there is the code. */
function makeVisible(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return '\u2421';
  return `\\u{${code.toString(16)}}`;
}

/** Puts the bytes behind what was left of a message. */
export function joinBytes(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first.length === 0) return second;
  const joined = new Uint8Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}

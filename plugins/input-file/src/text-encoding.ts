/** The encodings that are turned into UTF-8; `utf-8` stands for bytes that stay as they are. */
export const textEncodings = ['utf-8', 'latin1', 'utf-16', 'utf-16le', 'utf-16be'] as const;

export type TextEncoding = (typeof textEncodings)[number];

/** An encoding as it is decoded: `utf-16` has been resolved to one of the two. */
export interface TextDecoding {
  /** How many bytes a newline has; all its characters are a multiple. */
  readonly unitBytes: 1 | 2;
  /** How many bytes of UTF-8 one byte can become at most. */
  readonly growth: number;
  /** Where the next newline begins at or behind `start`; -1 for none. */
  findNewline(bytes: Buffer, start: number): number;
  /** The bytes as UTF-8; what cannot be decoded becomes U+FFFD. May be the bytes themselves. */
  decode(bytes: Buffer): Buffer;
  /** How many bytes the beginning of a text, as `decode` gave it, had in the source. */
  sourceBytesOf(text: Buffer): number;
}

const NEWLINE = 0x0a;

const single = (bytes: Buffer, start: number): number => bytes.indexOf(NEWLINE, start);

const utf8: TextDecoding = {
  unitBytes: 1,
  growth: 1,
  findNewline: single,
  decode: (bytes) => bytes,
  sourceBytesOf: (text) => text.length,
};

const latin1: TextDecoding = {
  unitBytes: 1,
  growth: 2,
  findNewline: single,
  decode: (bytes) => Buffer.from(bytes.toString('latin1'), 'utf8'),
  sourceBytesOf: (text) => text.toString().length,
};

const utf16le: TextDecoding = {
  unitBytes: 2,
  // U+FFFD for a torn character at the end takes 3 bytes for 1.
  growth: 3,
  findNewline: (bytes, start) => findUnit(bytes, start, 0),
  decode: (bytes) => decodeUtf16(bytes),
  sourceBytesOf: (text) => text.toString().length * 2,
};

const utf16be: TextDecoding = {
  ...utf16le,
  findNewline: (bytes, start) => findUnit(bytes, start, 1),
  decode: (bytes) => {
    const even = bytes.length - (bytes.length % 2);
    const swapped = Buffer.from(bytes);
    swapped.subarray(0, even).swap16();
    return decodeUtf16(swapped);
  },
};

/** How to decode a source that begins with these bytes; without a mark of byte order, UTF-16 has the low byte first. */
export function textDecoding(encoding: TextEncoding, head: Uint8Array): TextDecoding {
  switch (encoding) {
    case 'utf-8':
      return utf8;
    case 'latin1':
      return latin1;
    case 'utf-16le':
      return utf16le;
    case 'utf-16be':
      return utf16be;
    case 'utf-16':
      return head[0] === 0xfe && head[1] === 0xff ? utf16be : utf16le;
  }
}

function decodeUtf16(bytes: Buffer): Buffer {
  const even = bytes.length - (bytes.length % 2);
  const text = bytes.toString('utf16le', 0, even);
  return Buffer.from(even === bytes.length ? text : `${text}\ufffd`, 'utf8');
}

/** Finds a newline of two bytes at an even index, with the low byte at `lowByte` of it. */
function findUnit(bytes: Buffer, start: number, lowByte: 0 | 1): number {
  for (let from = start + lowByte; ; ) {
    const at = bytes.indexOf(NEWLINE, from);
    if (at === -1) return -1;
    const unit = at - lowByte;
    const other = lowByte === 0 ? at + 1 : unit;
    if (unit % 2 === 0 && other < bytes.length && bytes[other] === 0) return unit;
    from = at + 1;
  }
}

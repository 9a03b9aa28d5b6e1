/**
 * What is known of the end of some bytes:
 *
 * - `open`: more may come.
 * - `lines`: the lines that are whole are messages; only a last one without an end may go on.
 * - `closed`: nothing more comes that belongs to these bytes.
 */
export type Ending = 'open' | 'lines' | 'closed';

/**
 * What the first bytes make:
 *
 * - `messages`: these, from that many bytes of the source.
 * - `more`: there is no whole message yet.
 * - `long_line`: the first line is longer than a message may be.
 */
export type FrameResult =
  | { readonly kind: 'messages'; readonly output: Buffer; readonly sourceBytes: number }
  | { readonly kind: 'more' }
  | { readonly kind: 'long_line' };

/** Makes messages of the bytes of a source, from the start of a message on. Keeps nothing between two calls. */
export interface Framing {
  /** How many bytes of a source one message can need at most. */
  readonly sourceBytesMax: number;
  /** How many bytes of a source fit into a batch, whatever is in them. */
  readonly blockBytesMax: number;
  /**
   * `buffer` holds `byteCount` bytes of the source and room for one more. Those that become messages are changed
   * in place or copied; the rest stays as it is. The output has at most `outputBytesMax` bytes.
   */
  frame(buffer: Buffer, byteCount: number, ending: Ending, outputBytesMax: number): FrameResult;
  /** The offset behind the first end of a line at or behind `start`, which is the start of a character; -1 for none. */
  lineEnd(bytes: Buffer, start: number): number;
  /** The beginning of a line as a message of at most `outputBytesMax` bytes without its end, and what that takes of the source. */
  cut(
    bytes: Buffer,
    outputBytesMax: number,
  ): { readonly output: Buffer; readonly sourceBytes: number };
}

/** Where UTF-8 can be cut at or before a byte without tearing a character; bytes that are no UTF-8 are cut there. */
export function characterStart(bytes: Uint8Array, end: number): number {
  if (end >= bytes.length) return bytes.length;
  for (let at = end; at > end - 4 && at >= 0; at -= 1) {
    if (((bytes[at] as number) & 0xc0) !== 0x80) return at;
  }
  return end;
}

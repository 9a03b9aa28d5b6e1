import type { FileHandle } from 'node:fs/promises';
import { countNewlines, findLongMessage } from '@chukcha/plugin-api';
import type { BufferLoan } from './buffer-pool.js';

const NEWLINE = 0x0a;

/** How much is read at a time to count lines, in bytes. */
const countBytes = 256 * 1024;

/**
 * What stands at an offset of a file. The bytes are at the beginning of the loan's buffer:
 *
 * - `lines`: this many bytes of whole lines.
 * - `partial`: this many bytes up to the end of the file, without a newline; 0 at the end.
 * - `too_long`: a line that has more bytes than a message may have.
 */
export type ReadResult =
  | { readonly kind: 'lines'; readonly byteCount: number }
  | { readonly kind: 'partial'; readonly byteCount: number }
  | { readonly kind: 'too_long' };

/**
 * Reads one block and cuts it behind its last newline. A line that is longer than the block makes the
 * buffer of the loan grow, up to `messageBytesMax`.
 */
export async function readLines(
  handle: FileHandle,
  offset: number,
  loan: BufferLoan,
  messageBytesMax: number,
): Promise<ReadResult> {
  let byteCount = await readFully(handle, loan.buffer, 0, offset);
  let cut = lastLineEnd(loan.buffer, byteCount);
  if (cut === 0 && byteCount === loan.buffer.length && byteCount < messageBytesMax) {
    const grown = Buffer.allocUnsafeSlow(messageBytesMax);
    loan.buffer.copy(grown);
    loan.buffer = grown;
    byteCount = await readFully(handle, grown, byteCount, offset);
    cut = lastLineEnd(grown, byteCount);
  }
  if (cut === 0) {
    return byteCount < messageBytesMax ? { kind: 'partial', byteCount } : { kind: 'too_long' };
  }
  const long = findLongMessage(loan.buffer.subarray(0, cut), messageBytesMax);
  if (long === 0) return { kind: 'too_long' };
  return { kind: 'lines', byteCount: long ?? cut };
}

/** Ends the partial line at the beginning of the loan's buffer with a newline; returns its new length. */
export function endPartialLine(loan: BufferLoan, byteCount: number): number {
  if (byteCount === loan.buffer.length) {
    const grown = Buffer.allocUnsafeSlow(byteCount + 1);
    loan.buffer.copy(grown);
    loan.buffer = grown;
  }
  loan.buffer[byteCount] = NEWLINE;
  return byteCount + 1;
}

/** The first bytes of a file, up to `byteCount` of them. */
export async function readHead(handle: FileHandle, byteCount: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(byteCount);
  return buffer.subarray(0, await readFully(handle, buffer, 0, 0));
}

/** The offset behind the last newline before `end`; `end` when there is none in the `byteCountMax` bytes before. */
export async function findLineStart(
  handle: FileHandle,
  end: number,
  byteCountMax: number,
): Promise<number> {
  const from = Math.max(0, end - byteCountMax);
  const buffer = Buffer.allocUnsafe(end - from);
  const byteCount = await readFully(handle, buffer, 0, from);
  const cut = lastLineEnd(buffer, byteCount);
  if (cut > 0) return from + cut;
  return from === 0 ? 0 : end;
}

/** The number, from 1, of the line at an offset: reads all before it. */
export async function lineNumberAt(handle: FileHandle, offset: number): Promise<number> {
  const buffer = Buffer.allocUnsafe(countBytes);
  let line = 1;
  for (let at = 0; at < offset; ) {
    const want = buffer.subarray(0, Math.min(countBytes, offset - at));
    const byteCount = await readFully(handle, want, 0, at);
    if (byteCount === 0) break;
    line += countNewlines(want.subarray(0, byteCount));
    at += byteCount;
  }
  return line;
}

function lastLineEnd(buffer: Buffer, byteCount: number): number {
  return byteCount === 0 ? 0 : buffer.lastIndexOf(NEWLINE, byteCount - 1) + 1;
}

/** Fills the buffer from `start` on with what stands in the file behind `offset + start`; returns its end. */
async function readFully(
  handle: FileHandle,
  buffer: Buffer,
  start: number,
  offset: number,
): Promise<number> {
  let end = start;
  while (end < buffer.length) {
    const { bytesRead } = await handle.read(buffer, end, buffer.length - end, offset + end);
    if (bytesRead === 0) break;
    end += bytesRead;
  }
  return end;
}

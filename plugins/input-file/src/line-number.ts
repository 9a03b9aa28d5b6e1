import { countNewlines } from '@chukcha/plugin-api';
import type { ByteSource } from './byte-source.js';

/** How much is read at a time to count lines, in bytes. */
const countBytes = 256 * 1024;

/** The number, from 1, of the line at an offset: reads all before it. */
export async function lineNumberAt(source: ByteSource, offset: number): Promise<number> {
  const buffer = Buffer.allocUnsafe(countBytes);
  let line = 1;
  for (let at = 0; at < offset; ) {
    const wanted = buffer.subarray(0, Math.min(countBytes, offset - at));
    const byteCount = await source.read(wanted, at);
    if (byteCount === 0) break;
    line += countNewlines(wanted.subarray(0, byteCount));
    at += byteCount;
  }
  return line;
}

import type { ByteSource } from './byte-source.js';

const NEWLINE = 0x0a;

/** The offset behind the last newline before `end`; `end` when there is none in the `byteCountMax` bytes before. */
export async function findLineStart(
  source: ByteSource,
  end: number,
  byteCountMax: number,
  unitBytes: 1 | 2,
): Promise<number> {
  const from = Math.max(0, end - byteCountMax);
  const buffer = Buffer.allocUnsafe(end - from);
  const byteCount = await source.read(buffer, from);
  for (let at = byteCount; at > 0; at = buffer.lastIndexOf(NEWLINE, at - 1)) {
    const found = buffer.lastIndexOf(NEWLINE, at - 1);
    if (found === -1) break;
    if (unitBytes === 1) return from + found + 1;
    const unit = from + found - ((from + found) % 2);
    const other = unit === from + found ? found + 1 : found - 1;
    if (buffer[other] === 0) return unit + 2;
    at = found + 1;
  }
  return from === 0 ? 0 : end;
}

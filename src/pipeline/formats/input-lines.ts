import type { FormatLimits } from './line-format.js';

export const NEWLINE = 0x0a;

/**
 * Checks what every format asks of its input.
 *
 * @throws {RangeError} when there is no whole line from `start` on, or a limit is no positive whole number
 */
export function checkLines(bytes: Uint8Array, start: number, limits: FormatLimits): void {
  if (!Number.isInteger(start) || start < 0 || start >= bytes.length) {
    throw new RangeError(
      `Formatting cannot start at ${start}: expected a place within the ${bytes.length} bytes that were given.`,
    );
  }
  const last = bytes[bytes.length - 1];
  if (last !== NEWLINE) {
    throw new RangeError(
      `The bytes to format end with byte ${last}: expected whole lines, of which the last one ends with a newline too.`,
    );
  }
  for (const name of ['outBytesMax', 'messageBytesMax'] as const) {
    if (!Number.isSafeInteger(limits[name]) || limits[name] < 1) {
      throw new RangeError(
        `${name} is ${limits[name]}: expected a whole number of bytes, 1 or more.`,
      );
    }
  }
}

/** Where the whole lines end that have at most `byteCountMax` bytes together; the first one is always in. */
export function wholeLinesEnd(bytes: Uint8Array, start: number, byteCountMax: number): number {
  const last = bytes.lastIndexOf(NEWLINE, Math.min(start + byteCountMax, bytes.length) - 1);
  return last >= start ? last + 1 : bytes.indexOf(NEWLINE, start) + 1;
}

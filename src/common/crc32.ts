import { crc32 as crc32OfBytes } from 'node:zlib';

/*
 * CRC-32 as gzip and `crc32` of the shell have it (polynomial 0xEDB88320, reflected). Node's is written in
 * C and does 4 GB/s here.
 */

/** The CRC-32 of some bytes, or of what had the CRC `before` with these bytes behind it. */
export function crc32(bytes: Uint8Array | string, before = 0): number {
  return crc32OfBytes(bytes, before);
}

/** As `crc32`, of several pieces taken as one. */
export function crc32OfPieces(pieces: readonly Uint8Array[], before = 0): number {
  let crc = before;
  for (const piece of pieces) crc = crc32OfBytes(piece, crc);
  return crc;
}

/** A CRC-32 as text: eight hexadecimal digits. */
export function formatCrc32(crc: number): string {
  return hexOfByte(crc >>> 24) + hexOfByte(crc >>> 16) + hexOfByte(crc >>> 8) + hexOfByte(crc);
}

/** A table, because the text of a number is made anew each time, and every batch has a checksum. */
const hexPairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function hexOfByte(value: number): string {
  return hexPairs[value & 0xff] ?? '';
}

/**
 * The CRC-32 of two byte strings taken as one, from the CRC of each and the length of the second, without
 * the bytes: appending n bytes multiplies the first CRC by x^(8n) modulo the polynomial (Mark Adler's
 * method of zlib's `crc32_combine`).
 */
export function combineCrc32(first: number, second: number, secondByteCount: number): number {
  let power = ONE;
  let index = 0;
  // x^(8n) is the product of x^(8 * 2^i) for every bit i of n; n may have more than 32 bits.
  for (let rest = secondByteCount; rest > 0; rest = Math.floor(rest / 2), index += 1) {
    if (rest % 2 === 1) power = multiply(power, powerOfBytes(index));
  }
  return (multiply(power, first) ^ second) >>> 0;
}

/** The polynomials 1 and x^8, with the coefficient of x^0 in the highest bit. */
const ONE = 0x80000000;
const BYTE = 0x00800000;

/** At `i`: x^(8 * 2^i) modulo the polynomial, each the square of the one before. */
const powers: number[] = [BYTE];

function powerOfBytes(index: number): number {
  for (let known = powers.length; known <= index; known += 1) {
    const before = powers[known - 1] ?? BYTE;
    powers.push(multiply(before, before));
  }
  return powers[index] ?? BYTE;
}

function multiply(left: number, right: number): number {
  let product = 0;
  let shifted = right;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((left & bit) !== 0) product ^= shifted;
    shifted = (shifted & 1) === 0 ? shifted >>> 1 : (shifted >>> 1) ^ 0xedb88320;
  }
  return product >>> 0;
}

/*
 * The part of DER (ITU-T X.690) that a certificate needs: values of known types, written from the inside out.
 */

const lengthShortMax = 0x7f;
const bitsPerByte = 8;

/** A value with its tag and its length in front. */
export function derValue(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(tag), lengthOf(content.length), content]);
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => derValue(0x30, ...parts);

export const set = (...parts: readonly Uint8Array[]): Buffer => derValue(0x31, ...parts);

export const octetString = (bytes: Uint8Array): Buffer => derValue(0x04, bytes);

export const utf8String = (text: string): Buffer => derValue(0x0c, Buffer.from(text));

export const truth: Buffer = derValue(0x01, Buffer.of(0xff));

/** A whole number that is not negative: a leading byte keeps its first bit from being taken for a sign. */
export function integer(bytes: Uint8Array): Buffer {
  const isSigned = ((bytes[0] ?? 0) & 0x80) !== 0;
  return derValue(0x02, isSigned ? Buffer.of(0) : Buffer.alloc(0), bytes);
}

/** Bits, of which the last `unusedCount` of the last byte do not count. */
export function bitString(bytes: Uint8Array, unusedCount = 0): Buffer {
  return derValue(0x03, Buffer.of(unusedCount), bytes);
}

/** Of the numbers between the dots: the first two share a byte, and the others have seven bits to a byte. */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...others] = dotted.split('.').map(Number);
  return derValue(0x06, Buffer.from([first * 40 + second, ...others.flatMap(inSevens)]));
}

/** The time in UTC with two digits for the year: right for the years from 1950 to 2049. */
export function utcTime(time: Date): Buffer {
  const digits = time.toISOString().replace(/\D/g, '').slice(2, 14);
  return derValue(0x17, Buffer.from(`${digits}Z`, 'latin1'));
}

function inSevens(number: number): number[] {
  const bytes = [number & 0x7f];
  for (let rest = number >>> 7; rest > 0; rest >>>= 7) bytes.unshift((rest & 0x7f) | 0x80);
  return bytes;
}

function lengthOf(byteCount: number): Buffer {
  if (byteCount <= lengthShortMax) return Buffer.of(byteCount);
  const bytes: number[] = [];
  for (let rest = byteCount; rest > 0; rest >>>= bitsPerByte) bytes.unshift(rest & 0xff);
  return Buffer.of(0x80 | bytes.length, ...bytes);
}

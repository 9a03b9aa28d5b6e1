import type { Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import { quote, RequestError } from './request-error.js';

/** How a body can be packed. */
export type BodyEncoding = 'gzip' | 'deflate' | 'br';

const encodings: ReadonlyMap<string, BodyEncoding | undefined> = new Map([
  ['', undefined],
  ['identity', undefined],
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['deflate', 'deflate'],
  ['br', 'br'],
]);

/** Reads the header `Content-Encoding`; throws `unsupported_encoding`. */
export function parseContentEncoding(header: string): BodyEncoding | undefined {
  const name = header.trim().toLowerCase();
  if (encodings.has(name)) return encodings.get(name);
  throw new RequestError(
    'unsupported_encoding',
    `The body has the Content-Encoding ${quote(header)}: expected gzip, deflate, br or none; nothing was accepted.`,
    { headers: { 'Accept-Encoding': 'gzip, deflate, br' } },
  );
}

/**
 * A stream that unpacks.
 *
 * @param firstByte of the packed body: what calls itself `deflate` comes with the header of zlib from some
 *   programs and without it from others, and only the first byte tells
 */
export function createUnpacker(encoding: BodyEncoding, firstByte: number): Transform {
  if (encoding === 'gzip') return createGunzip();
  if (encoding === 'br') return createBrotliDecompress();
  // The low half of zlib's first byte is the method, which is always 8; a raw stream cannot begin so.
  return (firstByte & 0x0f) === 8 ? createInflate() : createInflateRaw();
}

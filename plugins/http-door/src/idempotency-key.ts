import { createHash } from 'node:crypto';
import { RequestError } from './request-error.js';

/** What the host takes as it is. */
const keyPattern = /^[A-Za-z0-9_.-]{1,64}$/;

/** How long the header may be, in characters. */
const headerLengthMax = 1024;

/**
 * The value of the header `Idempotency-Key`; `undefined` when there is none. A value in quotes, as the draft
 * of the standard has it, means the same as without. Throws `invalid_idempotency_key`.
 */
export function readIdempotencyKey(header: string): string | undefined {
  if (header === '') return undefined;
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header;
  if (key !== '' && key.length <= headerLengthMax) return key;
  throw new RequestError(
    'invalid_idempotency_key',
    `The header Idempotency-Key has ${key.length} characters: expected 1 to ${headerLengthMax}, the same for each try of one request and never used for another, such as a UUID; nothing was accepted.`,
  );
}

/** The key for the host: as it came when it may be, else a digest of it, which two keys do not share. */
export function toHostKey(key: string): string {
  if (keyPattern.test(key)) return key;
  return createHash('sha256').update(key).digest('base64url');
}

/**
 * The key for one of several batches of a request. The bytes are part of it: should another version cut the
 * same request elsewhere, no batch is taken for one that it is not.
 */
export function toPartKey(key: string, category: string | undefined, bytes: Uint8Array): string {
  return createHash('sha256')
    .update(`${JSON.stringify([key, category ?? null])}\n`)
    .update(bytes)
    .digest('base64url');
}

import { randomBytes } from 'node:crypto';

/** Makes an id that no other generation has: 96 random bits in 16 characters of `[A-Za-z0-9_-]`. */
export function createGenerationId(): string {
  return randomBytes(12).toString('base64url');
}

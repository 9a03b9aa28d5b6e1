import { createHash } from 'node:crypto';

/** How a subset is told from another: 128 bits. */
const digestLength = 32;

/**
 * The token of some messages of a batch: always the same for the same ones, and another for others. All of them together
 * have the token of the batch.
 */
export function subsetToken(
  token: string,
  messageCount: number,
  indexes: readonly number[],
): string {
  if (indexes.length === messageCount) return token;
  const digest = createHash('sha256').update(Uint32Array.from(indexes)).digest('hex');
  return `${token}/${digest.slice(0, digestLength)}`;
}

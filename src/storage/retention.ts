import type { Chunk } from './chunk.js';

/** How long, and how much of a category a node keeps at most; what is missing has no limit. */
export interface RetentionLimits {
  /** A chunk that was sealed so long ago is given up, in milliseconds. */
  readonly ageMsMax?: number | undefined;
  /** When the chunks are larger together, the oldest are given up, in bytes. */
  readonly bytesMax?: number | undefined;
}

/** The sealed chunks that are to be given up, the oldest first; an open chunk never is. */
export function findExpired(
  chunks: readonly Chunk[],
  { ageMsMax = Number.POSITIVE_INFINITY, bytesMax = Number.POSITIVE_INFINITY }: RetentionLimits,
  nowMs: number,
): Chunk[] {
  const expired: Chunk[] = [];
  let keptBytes = chunks.reduce((sum, chunk) => sum + chunk.size, 0);
  for (const chunk of chunks) {
    const { sealedAtMs } = chunk.sealRecord ?? { sealedAtMs: nowMs };
    const isOld = nowMs - sealedAtMs > ageMsMax;
    if (chunk.state !== 'sealed' || (!isOld && keptBytes <= bytesMax)) break;
    expired.push(chunk);
    keptBytes -= chunk.size;
  }
  return expired;
}

import { createHash } from 'node:crypto';
import type { OutputBatch } from '@chukcha/plugin-api';

/** 96 bits: among a billion chunks the chance that any two agree is below 10^-11. */
const prefixBytes = 12;

/**
 * What the ids of all messages of a chunk begin with: 16 characters that stand for cluster, category and chunk, and a dash.
 * The rest of an id is the offset of the message in the chunk.
 */
export function documentIdPrefix({ cluster, category, chunk }: OutputBatch): string {
  const hash = createHash('sha256').update(`${cluster}/${category}/${chunk}`).digest();
  return `${hash.subarray(0, prefixBytes).toString('base64url')}-`;
}

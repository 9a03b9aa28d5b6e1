import { writeSync } from 'node:fs';
import type { ByteTarget } from './byte-target.js';

/** About 1 ms of blocking: long enough that the calls cost nothing, short enough for an abort. */
const pieceBytesMax = 1024 * 1024;

/**
 * A regular file behind a descriptor, as in `chukcha sink --to stdout > file`. The stream that Node makes
 * of such a descriptor writes synchronously too, but it takes a short write, the last thing that a
 * filling disk does, for a whole one: the rest of the bytes would be lost without an error.
 */
export function createFileTarget(descriptor: number): ByteTarget {
  return {
    pieceBytesMax,
    // No position: the bytes go where the descriptor stands, which a shell may share between commands.
    write: async (bytes) => writeSync(descriptor, bytes),
    release: () => undefined,
  };
}

import { crc32 } from 'node:zlib';

/** How many bytes at the beginning of a file tell it from another one with the same device and inode. */
export const headBytesMax = 1024;

/** How far a file was accepted by the bus, as it is kept in the state under `dev:ino`. */
export interface Checkpoint {
  readonly version: 1;
  /** The path that the file had; for people. */
  readonly path: string;
  /** All before it was accepted, in bytes. Behind a last line without a newline it is the file's end. */
  readonly offset: number;
  /** The first `bytes` bytes of the file; never more than were accepted. */
  readonly head: { readonly bytes: number; readonly crc32: number };
}

export type ReadFrom = 'beginning' | 'end';

/**
 * Where to start in a file, and why:
 *
 * - `resumed`: it is the file of the checkpoint.
 * - `unknown`: it was never read, and is read as `readFrom` says.
 * - `truncated`: it is shorter than what was accepted of it.
 * - `replaced`: it has the inode of the file of the checkpoint, and other contents.
 */
export type StartDecision =
  | { readonly reason: 'resumed'; readonly offset: number }
  | { readonly reason: 'unknown'; readonly startAt: ReadFrom }
  | { readonly reason: 'truncated' | 'replaced' };

/** Makes the checkpoint of a file that begins with these bytes (its first 1024, or all up to `offset`). */
export function createCheckpoint(path: string, offset: number, head: Uint8Array): Checkpoint {
  const known = head.subarray(0, Math.min(offset, headBytesMax));
  return { version: 1, path, offset, head: { bytes: known.length, crc32: crc32(known) } };
}

/** Decides where to start; pure. `head` is the first 1024 bytes of the file, or all when it has fewer. */
export function decideStart(
  checkpoint: Checkpoint | undefined,
  file: { readonly size: number; readonly head: Uint8Array },
  readFrom: ReadFrom,
): StartDecision {
  if (checkpoint === undefined) return { reason: 'unknown', startAt: readFrom };
  const { offset, head } = checkpoint;
  if (file.size < offset) return { reason: 'truncated' };
  const isSame =
    file.head.length >= head.bytes && crc32(file.head.subarray(0, head.bytes)) === head.crc32;
  return isSame ? { reason: 'resumed', offset } : { reason: 'replaced' };
}

/** Reads a checkpoint from the state; `undefined` for what is none. */
export function parseCheckpoint(value: unknown): Checkpoint | undefined {
  const { version, path, offset, head } = (value ?? {}) as Partial<Checkpoint>;
  if (version !== 1 || typeof path !== 'string' || !isByteCount(offset)) return undefined;
  if (!isByteCount(head?.bytes) || !isByteCount(head?.crc32)) return undefined;
  return { version, path, offset, head: { bytes: head.bytes, crc32: head.crc32 } };
}

function isByteCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

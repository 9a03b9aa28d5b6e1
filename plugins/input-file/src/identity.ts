import { crc32 } from 'node:zlib';

/** How many bytes at the beginning of a file tell it from another one. */
export const headBytesMax = 1024;

/** How many bytes before an offset show that what was read stands there still. */
export const markerBytesMax = 64;

/** Some bytes that are remembered by their number and checksum. */
export interface Fingerprint {
  readonly bytes: number;
  readonly crc32: number;
}

/** What is remembered of a file to know it again. */
export interface Evidence {
  /** `dev:ino` */
  readonly key: string;
  /** When the inode was made, where that is known. */
  readonly born?: string | undefined;
  /** Of the first bytes, as many as were seen up to 1024. */
  readonly head: Fingerprint;
  /** Everything before it was accepted, in bytes of the contents. */
  readonly offset: number;
  /** Of the up to 64 bytes before the offset; of none when they are not known. */
  readonly marker: Fingerprint;
}

/** What a look at a file shows. */
export interface Look {
  readonly key: string;
  readonly born?: string | undefined;
  /** In bytes of the contents. */
  readonly size: number;
  /** The first 1024 bytes, or all when there are fewer. */
  readonly head: Uint8Array;
  /** The bytes before the offset of the evidence, as many as its marker has; fewer when they are not there. */
  readonly tail: Uint8Array;
}

/**
 * What a file is to a remembered one:
 *
 * - `same`: it goes on from the offset.
 * - `truncated`: the same inode, and less in it than was read. It begins anew, and a copy of the old contents may exist.
 * - `replaced`: the same inode number with other contents: an inode that is used again, or a truncation that
 *   nobody saw. As `truncated`.
 * - `continued`: another inode with the same contents up to the offset: the file was moved to another file system
 *   or restored, or it is the copy that was made before a truncation. It goes on from the offset.
 * - `other`: another file, to be read by itself, even when it begins with the same bytes.
 */
export type Verdict = 'same' | 'truncated' | 'replaced' | 'continued' | 'other';

/**
 * The table of identity; pure.
 *
 * | inode | head           | size >= offset | marker  | verdict     |
 * |-------|----------------|----------------|---------|-------------|
 * | same  | same or longer | yes            | same    | `same`      |
 * | same  | any            | no             | -       | `truncated` |
 * | same  | same or longer | yes            | differs | `replaced`  |
 * | same  | differs        | yes            | -       | `replaced`  |
 * | other | same or longer | yes            | same    | `continued` |
 * | other | same or longer | yes            | differs | `other`     |
 * | other | same or longer | no             | -       | `other`     |
 * | other | differs        | -              | -       | `other`     |
 *
 * An inode number that was given out anew since (the time of birth differs) counts as `same` only when there
 * are a full marker's bytes to prove it.
 */
export function decideIdentity(known: Evidence, found: Look): Verdict {
  const isLongEnough = found.size >= known.offset && found.head.length >= known.head.bytes;
  const hasSameBytes =
    isLongEnough && isFingerprintOf(known.head, found.head) && isMarkerOf(known.marker, found.tail);
  if (known.key !== found.key) {
    // Nothing in common is no proof.
    return hasSameBytes && known.head.bytes > 0 ? 'continued' : 'other';
  }
  const isReborn =
    known.born !== undefined && found.born !== undefined && known.born !== found.born;
  if (isReborn && known.head.bytes < markerBytesMax) return 'replaced';
  if (!isLongEnough) return 'truncated';
  return hasSameBytes ? 'same' : 'replaced';
}

export function fingerprintOf(bytes: Uint8Array): Fingerprint {
  return { bytes: bytes.length, crc32: crc32(bytes) };
}

/** Whether these bytes begin with those of the fingerprint. */
export function isFingerprintOf(known: Fingerprint, bytes: Uint8Array): boolean {
  return bytes.length >= known.bytes && crc32(bytes.subarray(0, known.bytes)) === known.crc32;
}

/** Whether these bytes end with those of the fingerprint. */
function isMarkerOf(known: Fingerprint, bytes: Uint8Array): boolean {
  const start = bytes.length - known.bytes;
  return start >= 0 && crc32(bytes.subarray(start)) === known.crc32;
}

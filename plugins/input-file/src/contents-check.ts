import type { Generation } from './generation.js';
import { decideIdentity, fingerprintOf, isFingerprintOf, markerBytesMax } from './identity.js';
import type { OpenedFile } from './opened-file.js';

/** How the contents of a file differ from those that were read. */
export type ContentsChange = 'truncated' | 'replaced';

/**
 * Tells whether the contents were replaced since they were read. It is asked after a block was read and before
 * that is believed: a program may truncate the file at any moment, and write more than it had before. The
 * bytes on both sides of the offset and the head show that; at the end, the size does too. The checkpoint
 * learns what was seen of the head before anything of it is given.
 */
export async function findChange(
  generation: Generation,
  opened: OpenedFile,
  block: Buffer,
  isAtEnd: boolean,
): Promise<ContentsChange | undefined> {
  const { plain } = opened;
  const from = generation.readOffset;
  if (plain !== undefined) {
    const tail = generation.tail ?? Buffer.alloc(0);
    const behind = block.subarray(0, markerBytesMax);
    const again = plain.readAgain(tail.length + behind.length, from - tail.length);
    const isSame =
      tail.equals(again.subarray(0, tail.length)) && behind.equals(again.subarray(tail.length));
    if (isAtEnd || !isSame) {
      const { size } = await plain.status();
      if (size < from) return 'truncated';
    }
    if (!isSame) return 'replaced';
  }
  // Also in the middle of a large file: the bytes around the offset may be the same ones by chance.
  const head = opened.readHead();
  if (!isFingerprintOf(generation.head, head)) return 'replaced';
  if (head.length <= generation.head.bytes) return undefined;
  generation.head = fingerprintOf(head);
  await generation.save();
  return undefined;
}

/** Before the first read behind a place that was not reached by reading: whether it is still the same file. */
export async function findChangeBefore(
  generation: Generation,
  opened: OpenedFile,
): Promise<ContentsChange | undefined> {
  if (opened.plain === undefined) return undefined;
  const evidence = generation.evidence('read');
  const verdict = decideIdentity(evidence, await opened.lookFor(evidence));
  return verdict === 'truncated' || verdict === 'replaced' ? verdict : undefined;
}

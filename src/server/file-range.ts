import type { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DiskFile } from '../storage/disk.js';
import type { OpenFile } from '../storage/open-files.js';
import type { SlabPool } from './slab-pool.js';

/** After so many slabs others get their turn, even when neither the disk nor the client makes this one wait. */
const slabsPerTurn = 4;

/**
 * Sends `[from, end)` of a file. While one slab is on its way to the client the next is read, so an answer
 * holds two slabs however large the range is, and a slow client makes the reading wait.
 *
 * Resolves when the bytes have left, or when the client has gone away; rejects when the file cannot be read.
 */
export async function sendFileRange(
  file: OpenFile,
  from: number,
  end: number,
  to: Writable,
  slabs: SlabPool,
): Promise<void> {
  let sent: Promise<void> = Promise.resolve();
  let slabCount = 0;
  for (let position = from; position < end && !to.destroyed; ) {
    slabCount += 1;
    if (slabCount % slabsPerTurn === 0) await nextTurn();
    const slab = slabs.take();
    const piece = slab.subarray(0, Math.min(slab.length, end - position));
    await readFully(file, piece, position);
    position += piece.length;
    await sent;
    sent = writePiece(to, piece).then((released) => {
      if (released) slabs.giveBack(slab);
    });
  }
  await sent;
}

/**
 * Resolves with whether the socket has let go of the piece; false when the connection broke first, because
 * the system may still read from it then.
 */
export function writePiece(to: Writable, piece: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    const onClose = (): void => resolve(false);
    to.once('close', onClose);
    to.write(piece, (error) => {
      to.off('close', onClose);
      resolve(error === undefined || error === null);
    });
  });
}

/** Fills the buffer from a position. Throws when the file ends before. */
export async function readFully(
  file: Pick<DiskFile, 'read'>,
  buffer: Buffer,
  position: number,
): Promise<void> {
  for (let filled = 0; filled < buffer.length; ) {
    const byteCount = await file.read(buffer.subarray(filled), position + filled);
    if (byteCount === 0)
      throw new Error(`The file ends at ${position + filled}, before its known size`);
    filled += byteCount;
  }
}

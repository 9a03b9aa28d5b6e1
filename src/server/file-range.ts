import type { ServerResponse } from 'node:http';
import { finished } from 'node:stream/promises';
import type { DiskFile } from '../storage/disk.js';
import type { SlabPool } from './slab-pool.js';

/**
 * Sends `[from, end)` of a file as the body of a response whose head was written, and ends it. While one
 * slab is on its way to the client the next is read, so a response holds two slabs however large the
 * range is, and a slow client makes the reading wait.
 *
 * A client that goes away ends the sending without an error.
 */
export async function sendFileRange(
  file: DiskFile,
  from: number,
  end: number,
  response: ServerResponse,
  slabs: SlabPool,
): Promise<void> {
  let sent: Promise<void> = Promise.resolve();
  for (let position = from; position < end && !response.destroyed; ) {
    const slab = slabs.take();
    const piece = slab.subarray(0, Math.min(slab.length, end - position));
    await readFully(file, piece, position);
    position += piece.length;
    await sent;
    sent = writePiece(response, piece).then((released) => {
      if (released) slabs.giveBack(slab);
    });
  }
  await sent;
  response.end();
  await finished(response).catch(() => undefined);
}

/** Resolves with whether the socket has let go of the piece; false when the connection broke first. */
export function writePiece(response: ServerResponse, piece: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const onClose = (): void => resolve(false);
    response.once('close', onClose);
    response.write(piece, (error) => {
      response.off('close', onClose);
      resolve(error === undefined || error === null);
    });
  });
}

/** Fills the buffer from a position. Throws when the file ends before. */
export async function readFully(file: DiskFile, buffer: Buffer, position: number): Promise<void> {
  for (let filled = 0; filled < buffer.length; ) {
    const byteCount = await file.read(buffer.subarray(filled), position + filled);
    if (byteCount === 0)
      throw new Error(`The file ends at ${position + filled}, before its known size`);
    filled += byteCount;
  }
}

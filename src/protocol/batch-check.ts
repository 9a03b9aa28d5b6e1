import { ChukchaError } from './chukcha-error.js';
import { messageBytesMax } from './limits.js';

const NEWLINE = 0x0a;

/**
 * Checks that a batch consists of whole messages: it is not empty, ends with a newline, and no message
 * is larger than the limit. The batch may lie in several pieces, as it came from the network.
 *
 * Throws `batch_empty`, `batch_unterminated`, or `message_too_large` with the number of the line.
 *
 * The cost does not depend on the number of lines: from each message start the check looks back from
 * the furthest byte where the message may end, so every step passes over up to 1 MiB of lines. A batch
 * below that size needs only a look at its last byte.
 */
export function checkBatch(pieces: readonly Uint8Array[]): void {
  const size = totalBytes(pieces);
  if (size === 0) {
    throw new ChukchaError(
      'batch_empty',
      'The batch is empty: expected at least one line, ended by \\n.',
    );
  }
  const last = pieces.findLast((piece) => piece.length > 0);
  if (last?.[last.length - 1] !== NEWLINE) {
    throw new ChukchaError(
      'batch_unterminated',
      `The last line of the batch (${size} bytes) does not end with \\n: send whole lines; nothing was stored.`,
      { fields: { size } },
    );
  }
  if (size <= messageBytesMax) return;
  let messageStart = 0;
  while (size - messageStart > messageBytesMax) {
    const end = lastNewlineBefore(pieces, messageStart + messageBytesMax, messageStart);
    if (end === -1) throw messageTooLarge(pieces, messageStart);
    messageStart = end + 1;
  }
}

/** The sum of the lengths of the pieces, in bytes. */
export function totalBytes(pieces: readonly Uint8Array[]): number {
  let size = 0;
  for (const piece of pieces) size += piece.length;
  return size;
}

/** The offset of the last newline in `[from, before)` of the pieces taken as one; -1 when there is none. */
function lastNewlineBefore(pieces: readonly Uint8Array[], before: number, from: number): number {
  let pieceEnd = totalBytes(pieces);
  for (let index = pieces.length - 1; index >= 0; index -= 1) {
    const piece = pieces[index] as Uint8Array;
    const pieceStart = pieceEnd - piece.length;
    pieceEnd = pieceStart;
    if (pieceStart >= before || piece.length === 0) continue;
    const found = piece.lastIndexOf(NEWLINE, before - 1 - pieceStart);
    if (found !== -1) return pieceStart + found >= from ? pieceStart + found : -1;
    if (pieceStart <= from) return -1;
  }
  return -1;
}

function messageTooLarge(pieces: readonly Uint8Array[], messageStart: number): ChukchaError {
  const line = countNewlines(pieces, messageStart) + 1;
  return new ChukchaError(
    'message_too_large',
    `Line ${line} of the batch is larger than ${messageBytesMax} bytes with its newline, the limit of a message: ` +
      'split it or send a reference to its content; nothing of the batch was stored.',
    { fields: { line, offset: messageStart, limit: messageBytesMax } },
  );
}

function countNewlines(pieces: readonly Uint8Array[], before: number): number {
  let count = 0;
  let pieceStart = 0;
  for (const piece of pieces) {
    const end = Math.min(piece.length, before - pieceStart);
    for (
      let at = piece.indexOf(NEWLINE);
      at !== -1 && at < end;
      at = piece.indexOf(NEWLINE, at + 1)
    ) {
      count += 1;
    }
    pieceStart += piece.length;
    if (pieceStart >= before) break;
  }
  return count;
}

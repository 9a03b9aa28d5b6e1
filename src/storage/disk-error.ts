import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { hasSystemCode } from './disk.js';

/**
 * Turns what the disk threw during a write into `disk_full` or `storage_failed`. The file is then as it
 * was before, which the text says.
 */
export function writeError(cause: unknown, path: string): ChukchaError {
  if (hasSystemCode(cause, 'ENOSPC', 'EDQUOT')) {
    return new ChukchaError(
      'disk_full',
      `The disk has no room (space or inodes) to write ${path}: acknowledge what was processed or free some; nothing was stored.`,
      { cause },
    );
  }
  return new ChukchaError(
    'storage_failed',
    `${path} could not be written (${errorMessage(cause)}): nothing was stored; look at the disk.`,
    { cause },
  );
}

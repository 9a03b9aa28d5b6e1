import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { hasSystemCode } from './disk.js';

/**
 * Turns what the disk threw into `disk_full` or `storage_failed`.
 *
 * @param outcome what has become of that which was to be written, for the text
 */
export function writeError(
  cause: unknown,
  path: string,
  outcome = 'nothing was stored',
): ChukchaError {
  if (cause instanceof ChukchaError) return cause;
  if (hasSystemCode(cause, 'ENOSPC', 'EDQUOT')) {
    return new ChukchaError(
      'disk_full',
      `The disk has no room (space or inodes) to write ${path}: acknowledge what was processed or free some; ${outcome}.`,
      { cause },
    );
  }
  if (hasSystemCode(cause, 'EMFILE', 'ENFILE')) {
    return new ChukchaError(
      'storage_failed',
      `The process has no file descriptor left to write ${path} (${errorMessage(cause)}): raise its limit (ulimit -n), or ` +
        `write to fewer categories at a time, and try again; ${outcome}.`,
      { cause },
    );
  }
  return new ChukchaError(
    'storage_failed',
    `The disk does not work as it should at ${path} (${errorMessage(cause)}): look at it and try again; ${outcome}.`,
    { cause },
  );
}

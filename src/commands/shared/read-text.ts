import { readFile } from 'node:fs/promises';
import { ChukchaError, errorMessage } from '../../protocol/chukcha-error.js';

/** Reads a file that a flag names. Throws `invalid_option`. */
export async function readText(path: string, flag: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new ChukchaError(
      'invalid_option',
      `The file ${path} of --${flag} cannot be read (${errorMessage(cause)}): check its path and its rights.`,
      { cause },
    );
  }
}

import { closeSync, openSync, writeSync } from 'node:fs';
import { makeLines } from './make-lines.js';

const blockBytes = 10 * 1024 * 1024;

/** Writes a file of exactly so many bytes, in lines of about 200. */
export function writeLinesFile(path: string, fileBytes: number): void {
  const block = makeLines(blockBytes);
  const descriptor = openSync(path, 'w');
  for (let left = fileBytes; left > 0; left -= block.length) {
    writeSync(descriptor, left >= block.length ? block : makeLines(left));
  }
  closeSync(descriptor);
}

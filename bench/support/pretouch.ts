import { closeSync, openSync, rmSync, writeSync } from 'node:fs';

const MIB = 1024 * 1024;
const pretouchBytes = 1024 * MIB;

/**
 * Writes a gigabyte and throws it away. A virtual machine may have given free memory back to its host, and
 * then the next pages that are written cost several times as much; this makes every round start alike.
 */
export function pretouch(path: string): void {
  const block = Buffer.alloc(4 * MIB, 0x61);
  const descriptor = openSync(path, 'w');
  for (let written = 0; written < pretouchBytes; written += block.length)
    writeSync(descriptor, block);
  closeSync(descriptor);
  rmSync(path);
}

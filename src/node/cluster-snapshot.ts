import type { CoordinatorSnapshot } from '../coordination/coordinator.js';
import { replaceFile } from '../storage/atomic-file.js';
import { type Disk, hasSystemCode } from '../storage/disk.js';

/** Keeps the copy of what the nodes agree on in a file. */
export function fileSnapshot(disk: Disk, path: string): CoordinatorSnapshot {
  return {
    async load() {
      try {
        return (await disk.readFile(path)).toString();
      } catch (error) {
        if (hasSystemCode(error, 'ENOENT')) return undefined;
        throw error;
      }
    },
    save: (text) => replaceFile(disk, path, text),
  };
}

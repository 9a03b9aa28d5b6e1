import type { Disk } from '../storage/disk.js';

/** The disk, with the time told that each file took to become durable, in seconds. */
export function measuredDisk(disk: Disk, onSync: (seconds: number) => void): Disk {
  return {
    ...disk,
    async openFile(path, access) {
      const file = await disk.openFile(path, access);
      if (access === 'read') return file;
      const sync = file.sync.bind(file);
      file.sync = async () => {
        const startMs = performance.now();
        await sync();
        onSync((performance.now() - startMs) / 1_000);
      };
      return file;
    },
  };
}

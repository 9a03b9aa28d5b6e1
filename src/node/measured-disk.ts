import type { Disk } from '../storage/disk.js';

/** Who is told how long the disk took for what, in seconds. */
export interface DiskTimes {
  /** A file became durable. */
  synced(seconds: number): void;
  /** The system took what was written to a file. */
  written(seconds: number): void;
}

/** The disk, with its times told. */
export function measuredDisk(disk: Disk, times: DiskTimes): Disk {
  return {
    ...disk,
    async openFile(path, access) {
      const file = await disk.openFile(path, access);
      if (access === 'read') return file;
      const sync = file.sync.bind(file);
      file.sync = async () => {
        const startMs = performance.now();
        await sync();
        times.synced(secondsSince(startMs));
      };
      const write = file.write.bind(file);
      file.write = async (pieces, position) => {
        const startMs = performance.now();
        const byteCount = await write(pieces, position);
        times.written(secondsSince(startMs));
        return byteCount;
      };
      const writeNow = file.writeNow.bind(file);
      file.writeNow = (pieces, position) => {
        const startMs = performance.now();
        const byteCount = writeNow(pieces, position);
        times.written(secondsSince(startMs));
        return byteCount;
      };
      return file;
    },
  };
}

function secondsSince(startMs: number): number {
  return (performance.now() - startMs) / 1_000;
}

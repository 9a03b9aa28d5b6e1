import { spawnSync } from 'node:child_process';
import { open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '../common/make-directory.js';
import { formatBytes } from '../common/quantity.js';
import { atExit } from '../processes/at-exit.js';
import { hasFileCode } from './chunk-files.js';

/** Room for what writers write while a node is away, with as much again for what is not acknowledged. */
const diskBytes = 192 * 1024 * 1024;

/** Below this the node refuses writes; above it the disk is filled further than the node would. */
const reserveBytes = 4 * 1024 * 1024;

const pieceBytes = 1024 * 1024;

/** A disk in memory for one node, small enough to be filled. */
export class SmallDisk {
  readonly directory: string;
  readonly #ballastPath: string;
  readonly #forget: () => void;

  private constructor(directory: string) {
    this.directory = directory;
    this.#forget = atExit('mounts', () => this.unmount());
    this.#ballastPath = join(directory, 'ballast');
  }

  /** Mounts it; `undefined` where this user or this machine cannot. */
  static async mount(directory: string): Promise<SmallDisk | undefined> {
    await makeDirectory(directory);
    const words = ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'chukcha-torture', directory];
    const { status } = spawnSync('mount', words);
    return status === 0 ? new SmallDisk(directory) : undefined;
  }

  get summary(): string {
    return `a tmpfs of ${formatBytes(diskBytes)}`;
  }

  /** What the node needs to be told, because the reserve that it has by itself is larger than the disk. */
  get words(): readonly string[] {
    return ['--disk-reserve', String(reserveBytes)];
  }

  /** Fills it up to so many bytes. */
  async fill(leftBytes: number): Promise<void> {
    const file = await open(this.#ballastPath, 'a');
    try {
      for (;;) {
        const { bavail, bsize } = await statfs(this.directory);
        const missingBytes = Math.min(bavail * bsize - leftBytes, pieceBytes);
        if (missingBytes <= 0) return;
        await file.write(Buffer.alloc(missingBytes));
      }
    } catch (error) {
      // The node took the rest in between.
      if (!hasFileCode(error, 'ENOSPC')) throw error;
    } finally {
      await file.close();
    }
  }

  async free(): Promise<void> {
    await rm(this.#ballastPath, { force: true });
  }

  /** Also while something is open there. */
  unmount(): void {
    this.#forget();
    spawnSync('umount', ['--lazy', this.directory]);
  }
}

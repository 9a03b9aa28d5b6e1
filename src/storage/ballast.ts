import { replaceFile } from './atomic-file.js';
import { type Disk, type DiskFile, hasSystemCode } from './disk.js';

/** Room for several small files and what the file system needs to name them. */
const ballastBytes = 64 * 1024;

/**
 * A file that only takes up room, to be given up when the disk is full: an acknowledgement has to be
 * recorded before it can free anything, and that needs a little room, and an inode, itself.
 */
export class Ballast {
  readonly #disk: Disk;
  readonly #path: string;
  #isThere = false;

  constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.#path = path;
  }

  /** Takes up the room unless it is there; on a disk that is full already it does nothing. */
  async restore(): Promise<void> {
    if (this.#isThere) return;
    try {
      // One that is there may be a short one of a full disk; what it lacks is written, and the rest is the same.
      const file = await this.#open();
      const written = await file
        .write([Buffer.alloc(ballastBytes, 0x0a)], 0)
        .finally(() => file.close());
      this.#isThere = written === ballastBytes;
    } catch {
      // There is no room; later calls try again.
    }
  }

  async #open(): Promise<DiskFile> {
    try {
      return await this.#disk.createFile(this.#path);
    } catch (error) {
      if (!hasSystemCode(error, 'EEXIST')) throw error;
      return this.#disk.openFile(this.#path, 'write');
    }
  }

  /** As `replaceFile`; on a full disk it gives the room up for that. */
  async replaceFile(path: string, content: string): Promise<void> {
    try {
      await replaceFile(this.#disk, path, content);
    } catch (error) {
      if (!hasSystemCode(error, 'ENOSPC', 'EDQUOT') || !(await this.#release())) throw error;
      await replaceFile(this.#disk, path, content);
    }
  }

  /** Gives the room up. Tells whether there was any. */
  async #release(): Promise<boolean> {
    this.#isThere = false;
    try {
      await this.#disk.removeFile(this.#path);
      return true;
    } catch (error) {
      if (hasSystemCode(error, 'ENOENT')) return false;
      throw error;
    }
  }
}

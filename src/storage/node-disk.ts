import {
  close,
  type Dirent,
  fdatasync,
  fstat,
  fsync,
  ftruncate,
  open,
  promises,
  read,
  readSync,
  type Stats,
  writev,
  writevSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { makeDirectory } from '../common/make-directory.js';
import type { DirectoryEntry, Disk, DiskFile } from './disk.js';

/*
 * File descriptors and callbacks rather than `FileHandle`: the promise forms of `node:fs` write at
 * about half the rate (measured with 1 MiB batches).
 */
const openAsync = promisify(open);
const closeAsync = promisify(close);
const fstatAsync = promisify(fstat) as (descriptor: number) => Promise<Stats>;
const fsyncAsync = promisify(fsync);
const fdatasyncAsync = promisify(fdatasync);
const ftruncateAsync = promisify(ftruncate);

/** No file has this number, so the system refuses it. */
const closedDescriptor = 2 ** 31 - 1;

/** The real disk. */
export const nodeDisk: Disk = {
  // A directory is durable when its name is, in the one above it.
  makeDirectory: (path) => makeDirectory(path, (made) => nodeDisk.syncDirectory(dirname(made))),
  async listDirectory(path) {
    const entries = await promises.readdir(path, { withFileTypes: true });
    return entries.map((entry) => ({ name: entry.name, kind: kindOf(entry) }));
  },
  async syncDirectory(path) {
    const descriptor = await openAsync(path, 'r');
    try {
      await fsyncAsync(descriptor);
    } finally {
      await closeAsync(descriptor);
    }
  },
  async createFile(path) {
    return new NodeDiskFile(await openAsync(path, 'wx+'));
  },
  async openFile(path, access) {
    return new NodeDiskFile(await openAsync(path, access === 'read' ? 'r' : 'r+'));
  },
  readFile: (path) => promises.readFile(path),
  rename: (from, to) => promises.rename(from, to),
  removeFile: (path) => promises.unlink(path),
  async space(path) {
    const { bsize, blocks, bavail, files, ffree } = await promises.statfs(path);
    return {
      totalBytes: blocks * bsize,
      freeBytes: bavail * bsize,
      inodes: files === 0 ? undefined : { total: files, free: ffree },
    };
  },
};

function kindOf(entry: Dirent): DirectoryEntry['kind'] {
  if (entry.isFile()) return 'file';
  return entry.isDirectory() ? 'directory' : 'other';
}

/** After `close` every call fails with `EBADF`: the system gives the number to another file. */
class NodeDiskFile implements DiskFile {
  #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  async size(): Promise<number> {
    return (await fstatAsync(this.#descriptor)).size;
  }

  write(pieces: readonly Uint8Array[], position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      writev(this.#descriptor, pieces, position, (error, byteCount) => {
        if (error) reject(error);
        else resolve(byteCount);
      });
    });
  }

  writeNow(pieces: readonly Uint8Array[], position: number): number {
    return writevSync(this.#descriptor, pieces, position);
  }

  read(buffer: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#descriptor, buffer, 0, buffer.length, position, (error, byteCount) => {
        if (error) reject(error);
        else resolve(byteCount);
      });
    });
  }

  readNow(buffer: Uint8Array, position: number): number {
    return readSync(this.#descriptor, buffer, 0, buffer.length, position);
  }

  truncate(size: number): Promise<void> {
    return ftruncateAsync(this.#descriptor, size);
  }

  sync(): Promise<void> {
    return fdatasyncAsync(this.#descriptor);
  }

  close(): Promise<void> {
    const descriptor = this.#descriptor;
    this.#descriptor = closedDescriptor;
    return closeAsync(descriptor);
  }
}

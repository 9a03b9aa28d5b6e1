import { createDeferred } from '../../src/common/deferred.js';
import type { DirectoryEntry, Disk, DiskFile, DiskSpace } from '../../src/storage/disk.js';
import type { CrashMode } from './crash-content.js';
import { CrashTree, type FileInode, systemError } from './crash-tree.js';
import type { SeededRandom } from './seeded-random.js';

/** The calls that change what is on disk; a crash at one that only reads is a crash at the next of these. */
type DiskChange =
  | 'makeDirectory'
  | 'syncDirectory'
  | 'createFile'
  | 'write'
  | 'truncate'
  | 'sync'
  | 'rename'
  | 'removeFile';

/** The call at which the process dies, counted from 0; `within` is behind the first half of a write. */
export interface CrashPoint {
  readonly call: number;
  readonly side: 'before' | 'within' | 'after';
}

export interface CrashDiskOptions {
  /** How many bytes files may have together. @default no limit */
  readonly bytesMax?: number;
  /** How many files and directories there may be. @default no limit */
  readonly inodesMax?: number;
}

/**
 * A disk in memory that knows what a crash leaves of it. Content is durable as of the last `sync` of its
 * file, a name as of the last `syncDirectory` of its directory, each as it was when that call began.
 *
 * Every call that changes something is numbered. The process can be made to die at one of them: that call
 * and all later ones never return, and `crash` gives the disk that the next process finds.
 */
export class CrashDisk implements Disk {
  /** The calls that were made; the place of each is its number. */
  readonly calls: { readonly change: DiskChange; readonly path: string }[] = [];
  readonly #tree: CrashTree;
  /** A file that lost its name keeps its room until it is closed. */
  readonly #openFiles = new Map<DiskFile, FileInode>();
  readonly #crashed = createDeferred<void>();
  #limits: CrashDiskOptions;
  #crashPoint: CrashPoint | undefined;
  #isCrashed = false;
  #failingSync: RegExp | undefined;

  constructor(limits: CrashDiskOptions = {}, tree = new CrashTree()) {
    this.#limits = limits;
    this.#tree = tree;
  }

  /** Makes the process die at that call. */
  crashAt(point: CrashPoint): void {
    this.#crashPoint = point;
  }

  /** Resolves when the process has died. */
  get crashed(): Promise<void> {
    return this.#crashed.promise;
  }

  get isCrashed(): boolean {
    return this.#isCrashed;
  }

  /** Makes the disk larger or smaller from now on. */
  limit(limits: CrashDiskOptions): void {
    this.#limits = limits;
  }

  /**
   * Makes the next sync of such a file fail with `EIO`. As on Linux, the pages that were not written count as
   * clean from then on: programs see them until a power cut, and no later sync tells that they are lost.
   */
  failNextSync(path: RegExp): void {
    this.#failingSync = path;
  }

  /** Ends the process if it lives still, and returns the disk as the next one finds it. */
  crash(mode: CrashMode, random: SeededRandom): CrashDisk {
    this.#die();
    return new CrashDisk(this.#limits, this.#tree.afterCrash(mode, random));
  }

  /** Resolves when the process has died, or makes no calls until something wakes it. */
  async quiet(): Promise<void> {
    // A few turns, because a commit begins in the turn behind the one in which it was asked for.
    let calls = -1;
    for (let turns = 0; turns < 3 && !this.#isCrashed; turns += 1) {
      if (calls !== this.calls.length) turns = 0;
      calls = this.calls.length;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  async makeDirectory(path: string): Promise<void> {
    const names = path.split('/').filter(Boolean);
    const chain = names.map((_, depth) => `/${names.slice(0, depth + 1).join('/')}`);
    await this.#change('makeDirectory', path, () => {
      for (const directory of chain) {
        if (this.#tree.has(directory)) continue;
        this.#takeInode();
        this.#tree.addDirectory(directory);
      }
      this.#tree.list(path);
    });
    for (const directory of chain) this.#tree.beginSyncOf(directory)();
  }

  async listDirectory(path: string): Promise<readonly DirectoryEntry[]> {
    await this.#look();
    return this.#tree.list(path).map(([name, { kind }]) => ({ name, kind }));
  }

  async syncDirectory(path: string): Promise<void> {
    const finish = this.#tree.beginSync(path);
    await this.#change('syncDirectory', path, finish);
  }

  async createFile(path: string): Promise<DiskFile> {
    const inode = await this.#change('createFile', path, () => {
      if (!this.#tree.has(path)) this.#takeInode();
      return this.#tree.addFile(path);
    });
    return this.#open(inode, path);
  }

  async openFile(path: string): Promise<DiskFile> {
    await this.#look();
    return this.#open(this.#tree.file(path), path);
  }

  async readFile(path: string): Promise<Buffer> {
    await this.#look();
    return Buffer.from(this.#tree.file(path).content.from(0));
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#change('rename', to, () => this.#tree.rename(from, to));
  }

  async removeFile(path: string): Promise<void> {
    await this.#change('removeFile', path, () => this.#tree.remove(path));
  }

  async space(): Promise<DiskSpace> {
    await this.#look();
    const { bytesMax = Number.MAX_SAFE_INTEGER, inodesMax: total } = this.#limits;
    const { byteCount, inodeCount } = this.#used();
    return {
      totalBytes: bytesMax,
      freeBytes: Math.max(0, bytesMax - byteCount),
      inodes: total === undefined ? undefined : { total, free: Math.max(0, total - inodeCount) },
    };
  }

  #open(inode: FileInode, path: string): DiskFile {
    const { content } = inode;
    const check = (): void => {
      if (!this.#openFiles.has(file)) throw systemError('EBADF', path);
    };
    const look = async (): Promise<void> => {
      await this.#look();
      check();
    };
    const readNow = (buffer: Uint8Array, position: number): number => {
      check();
      const bytes = content.from(position).subarray(0, buffer.length);
      buffer.set(bytes);
      return bytes.length;
    };
    const write = (bytes: Buffer, position: number, share: number): number => {
      check();
      const taken = this.#takeRoom(bytes, position, content.size, path);
      content.write(taken.subarray(0, Math.ceil(taken.length * share)), position);
      return taken.length;
    };
    const file: DiskFile = {
      size: async () => {
        await look();
        return content.size;
      },
      write: async (pieces, position) => {
        const bytes = Buffer.concat(pieces);
        return this.#change('write', path, (share) => write(bytes, position, share));
      },
      writeNow: (pieces, position) =>
        this.#changeNow('write', path, (share) => write(Buffer.concat(pieces), position, share)),
      read: async (buffer, position) => {
        await look();
        return readNow(buffer, position);
      },
      readNow,
      truncate: (size) =>
        this.#change('truncate', path, () => {
          check();
          content.truncate(size);
        }),
      sync: async () => {
        check();
        const finish = this.#takeSyncFailure(path) ? undefined : content.beginSync();
        await this.#change('sync', path, () => {
          if (finish !== undefined) return finish();
          content.loseUnsynced();
          throw systemError('EIO', path);
        });
      },
      close: async () => {
        await look();
        this.#openFiles.delete(file);
      },
    };
    this.#openFiles.set(file, inode);
    return file;
  }

  /** @param effect gets the share of its bytes that a write takes */
  async #change<T>(change: DiskChange, path: string, effect: (share: number) => T): Promise<T> {
    const side = this.#begin(change, path);
    // Others may begin meanwhile, and the process may die.
    await this.#look();
    if (side === undefined) return effect(1);
    this.#dieAt(side, effect);
    return never();
  }

  #changeNow<T>(change: DiskChange, path: string, effect: (share: number) => T): T {
    const side = this.#begin(change, path);
    if (!this.#isCrashed) {
      if (side === undefined) return effect(1);
      this.#dieAt(side, effect);
    }
    // Nobody sees it: whatever the dead process calls behind it never returns.
    throw new Error('The process has died');
  }

  #begin(change: DiskChange, path: string): CrashPoint['side'] | undefined {
    const call = this.calls.length;
    this.calls.push({ change, path });
    return this.#crashPoint?.call === call ? this.#crashPoint.side : undefined;
  }

  #dieAt(side: CrashPoint['side'], effect: (share: number) => unknown): void {
    try {
      if (side !== 'before') effect(side === 'within' ? 0.5 : 1);
    } catch {
      // The call failed, and the process died before it could be told.
    }
    this.#die();
  }

  #die(): void {
    this.#isCrashed = true;
    this.#crashed.resolve();
  }

  async #look(): Promise<void> {
    await undefined;
    if (this.#isCrashed) await never();
  }

  #takeSyncFailure(path: string): boolean {
    if (!this.#failingSync?.test(path)) return false;
    this.#failingSync = undefined;
    return true;
  }

  #takeInode(): void {
    const { inodesMax = Number.POSITIVE_INFINITY } = this.#limits;
    if (this.#used().inodeCount >= inodesMax) throw systemError('ENOSPC', 'no inode');
  }

  /** As much of the bytes as there is room for; overwriting takes none. */
  #takeRoom(bytes: Buffer, position: number, size: number, path: string): Buffer {
    const { bytesMax } = this.#limits;
    if (bytesMax === undefined) return bytes;
    const end = size + Math.max(0, bytesMax - this.#used().byteCount);
    const taken = bytes.subarray(0, Math.max(0, end - position));
    if (taken.length === 0 && bytes.length > 0) throw systemError('ENOSPC', path);
    return taken;
  }

  #used(): { byteCount: number; inodeCount: number } {
    const inodes = this.#tree.inodes();
    for (const inode of this.#openFiles.values()) inodes.add(inode);
    let byteCount = 0;
    for (const inode of inodes) if (inode.kind === 'file') byteCount += inode.content.size;
    return { byteCount, inodeCount: inodes.size };
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

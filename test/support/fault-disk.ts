import { createDeferred, type Deferred } from '../../src/common/deferred.js';
import type { DirectoryEntry, Disk, DiskFile, DiskSpace } from '../../src/storage/disk.js';
import { nodeDisk } from '../../src/storage/node-disk.js';

/** What a fault can hit; `write` is also what `writeNow` counts as. */
export type DiskOperation = Exclude<keyof Disk | keyof DiskFile, 'writeNow' | 'readNow'>;

export interface Fault {
  readonly operation: DiskOperation;
  /** Which paths it hits; all when it is left out. */
  readonly path?: RegExp;
  /** How many calls go well before the first that fails. */
  readonly after?: number;
  /** How many calls fail. @default 1 */
  readonly times?: number;
  /** The code of the error that the system gives. */
  readonly code?: string;
  /** For `write`: no error, but only so many bytes are taken. */
  readonly takeBytes?: number;
}

interface ActiveFault extends Fault {
  skip: number;
  left: number;
}

interface Hold {
  readonly phase: 'before' | 'after';
  readonly operation: DiskOperation;
  readonly path: RegExp;
  readonly reached: Deferred<void>;
  readonly released: Deferred<void>;
}

export interface HeldCall {
  readonly reached: Promise<void>;
  release(): void;
}

export interface DiskCall {
  readonly operation: DiskOperation;
  readonly path: string;
}

/** The real disk, which counts what it does and fails where a test says so. */
export class FaultDisk implements Disk {
  readonly calls: DiskCall[] = [];
  #faults: ActiveFault[] = [];
  #holds: Hold[] = [];

  inject(fault: Fault): void {
    this.#faults.push({ ...fault, skip: fault.after ?? 0, left: fault.times ?? 1 });
  }

  /** Ends all faults. */
  heal(): void {
    this.#faults = [];
  }

  /**
   * Makes the next such call wait before or after its work until it is released; that of a process which
   * dies there never is. Calls of `writeNow` cannot be held.
   */
  hold(operation: DiskOperation, path: RegExp, phase: Hold['phase'] = 'before'): HeldCall {
    const hold = {
      phase,
      operation,
      path,
      reached: createDeferred<void>(),
      released: createDeferred<void>(),
    };
    this.#holds.push(hold);
    return { reached: hold.reached.promise, release: () => hold.released.resolve() };
  }

  count(operation: DiskOperation, path = /(?:)/): number {
    return this.calls.filter((call) => call.operation === operation && path.test(call.path)).length;
  }

  makeDirectory(path: string): Promise<void> {
    return this.#around('makeDirectory', path, () => nodeDisk.makeDirectory(path));
  }

  listDirectory(path: string): Promise<readonly DirectoryEntry[]> {
    return this.#around('listDirectory', path, () => nodeDisk.listDirectory(path));
  }

  syncDirectory(path: string): Promise<void> {
    return this.#around('syncDirectory', path, () => nodeDisk.syncDirectory(path));
  }

  async createFile(path: string): Promise<DiskFile> {
    return this.#wrap(
      await this.#around('createFile', path, () => nodeDisk.createFile(path)),
      path,
    );
  }

  async openFile(path: string, access: 'read' | 'write'): Promise<DiskFile> {
    const open = (): Promise<DiskFile> => nodeDisk.openFile(path, access);
    return this.#wrap(await this.#around('openFile', path, open), path);
  }

  readFile(path: string): Promise<Buffer> {
    return this.#around('readFile', path, () => nodeDisk.readFile(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#around('rename', to, () => nodeDisk.rename(from, to));
  }

  removeFile(path: string): Promise<void> {
    return this.#around('removeFile', path, () => nodeDisk.removeFile(path));
  }

  space(path: string): Promise<DiskSpace> {
    return this.#around('space', path, () => nodeDisk.space(path));
  }

  #wrap(file: DiskFile, path: string): DiskFile {
    return {
      size: () => this.#around('size', path, () => file.size()),
      write: (pieces, position) =>
        this.#around('write', path, (takeBytes) =>
          file.write(firstBytes(pieces, takeBytes), position),
        ),
      writeNow: (pieces, position) =>
        file.writeNow(firstBytes(pieces, this.#strike('write', path)), position),
      read: (buffer, position) => this.#around('read', path, () => file.read(buffer, position)),
      readNow: (buffer, position) => {
        this.#strike('read', path);
        return file.readNow(buffer, position);
      },
      truncate: (size) => this.#around('truncate', path, () => file.truncate(size)),
      sync: () => this.#around('sync', path, () => file.sync()),
      close: () => this.#around('close', path, () => file.close()),
    };
  }

  async #around<T>(
    operation: DiskOperation,
    path: string,
    run: (takeBytes: number | undefined) => Promise<T>,
  ): Promise<T> {
    await this.#wait('before', operation, path);
    const takeBytes = this.#strike(operation, path);
    const result = await run(takeBytes);
    await this.#wait('after', operation, path);
    return result;
  }

  async #wait(phase: Hold['phase'], operation: DiskOperation, path: string): Promise<void> {
    const hold = this.#holds.find(
      (held) => held.phase === phase && held.operation === operation && held.path.test(path),
    );
    if (hold === undefined) return;
    this.#holds = this.#holds.filter((held) => held !== hold);
    hold.reached.resolve();
    await hold.released.promise;
  }

  /** Throws when a fault hits the call, or returns how many bytes it may take. */
  #strike(operation: DiskOperation, path: string): number | undefined {
    this.calls.push({ operation, path });
    const fault = this.#faults.find(
      (active) =>
        active.operation === operation && active.left > 0 && (active.path ?? /(?:)/).test(path),
    );
    if (fault === undefined) return undefined;
    if (fault.skip > 0) {
      fault.skip -= 1;
      return undefined;
    }
    fault.left -= 1;
    if (fault.code === undefined) return fault.takeBytes;
    throw Object.assign(new Error(`${fault.code}: injected, ${operation}`), { code: fault.code });
  }
}

function firstBytes(
  pieces: readonly Uint8Array[],
  byteCount = Number.POSITIVE_INFINITY,
): Uint8Array[] {
  let left = byteCount;
  const taken: Uint8Array[] = [];
  for (const piece of pieces) {
    taken.push(piece.subarray(0, left));
    left -= Math.min(left, piece.length);
  }
  return taken;
}

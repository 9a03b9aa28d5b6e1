/**
 * The disk as storage sees it. The adapter over the real one is `node-disk.ts`; tests put faults in
 * front of it. Errors are those of the system, with their `code` (`ENOSPC`, `EIO`, ...).
 */
export interface Disk {
  /** Makes the directory and those above it, durably; it is no error when they exist. */
  makeDirectory(path: string): Promise<void>;
  /** The entries of a directory, in no order; rejects with `ENOENT` when it does not exist. */
  listDirectory(path: string): Promise<readonly DirectoryEntry[]>;
  /** Makes the names that were created, renamed or removed in the directory durable. */
  syncDirectory(path: string): Promise<void>;
  /** Opens a new file for appending; rejects with `EEXIST` when the name is taken. */
  createFile(path: string): Promise<DiskFile>;
  /** Opens an existing file for reading, or for reading and writing. */
  openFile(path: string, access: 'read' | 'write'): Promise<DiskFile>;
  /** The whole content of a small file. */
  readFile(path: string): Promise<Buffer>;
  /** Replaces the target in one step when it exists. */
  rename(from: string, to: string): Promise<void>;
  removeFile(path: string): Promise<void>;
  /** The room on the file system of a directory. */
  space(path: string): Promise<DiskSpace>;
}

export interface DiskSpace {
  readonly totalBytes: number;
  /** What this user may still write. */
  readonly freeBytes: number;
  /** `undefined` where the file system makes inodes as it needs them. */
  readonly inodes: { readonly total: number; readonly free: number } | undefined;
}

export interface DirectoryEntry {
  readonly name: string;
  readonly kind: 'file' | 'directory' | 'other';
}

export interface DiskFile {
  size(): Promise<number>;
  /** Writes at a position and resolves with how many bytes were taken, which may be fewer without an error. */
  write(pieces: readonly Uint8Array[], position: number): Promise<number>;
  /** As `write`, but before it returns: it blocks the process, so only for little. */
  writeNow(pieces: readonly Uint8Array[], position: number): number;
  /** Fills the buffer from a position and resolves with how many bytes there were. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** As `read`, but before it returns: it blocks the process, so only for little that was just written. */
  readNow(buffer: Uint8Array, position: number): number;
  truncate(size: number): Promise<void>;
  /** Makes content and size durable (`fdatasync`). After an error nothing is known of what was written. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Tells whether an error of the system has one of the codes. */
export function hasSystemCode(error: unknown, ...codes: readonly string[]): boolean {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' && codes.includes(code);
}

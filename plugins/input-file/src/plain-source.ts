import { readSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import type { ByteSource } from './byte-source.js';
import { type FileStatus, toFileStatus } from './file-status.js';

/** An open file that is read as it is. */
export class PlainSource implements ByteSource {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async read(buffer: Buffer, offset: number): Promise<number> {
    let count = 0;
    while (count < buffer.length) {
      const { bytesRead } = await this.#handle.read(
        buffer,
        count,
        buffer.length - count,
        offset + count,
      );
      if (bytesRead === 0) break;
      count += bytesRead;
    }
    return count;
  }

  /** As `read`, at once: for the few bytes that were read a moment ago. */
  readAgain(byteCount: number, offset: number): Buffer {
    const buffer = Buffer.allocUnsafe(byteCount);
    return buffer.subarray(0, readSync(this.#handle.fd, buffer, 0, byteCount, offset));
  }

  async status(): Promise<FileStatus> {
    return toFileStatus(await this.#handle.stat({ bigint: true }));
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

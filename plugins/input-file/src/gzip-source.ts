import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip, type Gunzip } from 'node:zlib';
import type { ByteSource } from './byte-source.js';

/** How much is unpacked at a time, in bytes. */
const pieceBytes = 256 * 1024;

/** How much of a packed file is read at a time, in bytes. */
const packedBytes = 64 * 1024;

const magic = Buffer.from([0x1f, 0x8b, 0x08]);

/** A file that is packed with gzip; it may be several packed files one behind another. */
export class GzipSource implements ByteSource {
  readonly #handle: FileHandle;
  #unpacking: Unpacking | undefined;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Whether a file of this name, which begins with these bytes, is taken for packed. */
  static isPacked(path: string, head: Uint8Array): boolean {
    return path.endsWith('.gz') && magic.equals(head.subarray(0, magic.length));
  }

  /** Rejects with the code `ERR_GZIP_INCOMPLETE` or `ERR_GZIP_DAMAGED` where it cannot be unpacked further. */
  async read(buffer: Buffer, offset: number): Promise<number> {
    if (this.#unpacking === undefined || offset < this.#unpacking.offset) {
      this.#unpacking?.stop();
      this.#unpacking = new Unpacking(this.#handle);
    }
    return this.#unpacking.read(buffer, offset);
  }

  get failure(): Error | undefined {
    return this.#unpacking?.failure;
  }

  async close(): Promise<void> {
    this.#unpacking?.stop();
    await this.#handle.close();
  }
}

/** One pass over a packed file. */
class Unpacking {
  /** The offset of the next byte that comes. */
  offset = 0;
  readonly #gunzip: Gunzip = createGunzip({ chunkSize: pieceBytes });
  readonly #pieces: AsyncIterator<Buffer>;
  #piece: Buffer = Buffer.alloc(0);
  #isStopped = false;
  /** Why it cannot be unpacked further. */
  failure: Error | undefined;

  constructor(handle: FileHandle) {
    const packed = Readable.from(
      readAll(handle, () => this.#isStopped),
      { objectMode: false },
    );
    packed.on('error', (error) => this.#gunzip.destroy(error));
    this.#pieces = packed.pipe(this.#gunzip)[Symbol.asyncIterator]();
  }

  async read(buffer: Buffer, offset: number): Promise<number> {
    let count = 0;
    while (count < buffer.length) {
      if (this.#piece.length === 0 && !(await this.#next())) break;
      const skipped = Math.min(this.#piece.length, offset + count - this.offset);
      const copied = this.#piece.copy(buffer, count, skipped);
      this.#piece = this.#piece.subarray(skipped + copied);
      this.offset += skipped + copied;
      count += copied;
    }
    if (count === 0 && buffer.length > 0 && this.failure !== undefined) throw this.failure;
    return count;
  }

  stop(): void {
    this.#isStopped = true;
    this.#gunzip.destroy();
  }

  /** What was unpacked before a damaged place is given; the failure comes behind it. */
  async #next(): Promise<boolean> {
    if (this.failure !== undefined) return false;
    try {
      const result = await this.#pieces.next();
      if (result.done === true) return false;
      this.#piece = result.value;
      return true;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (!code?.startsWith('Z_')) throw error;
      this.failure = Object.assign(new Error(message, { cause: error }), {
        code: code === 'Z_BUF_ERROR' ? 'ERR_GZIP_INCOMPLETE' : 'ERR_GZIP_DAMAGED',
      });
      return false;
    }
  }
}

async function* readAll(handle: FileHandle, isStopped: () => boolean): AsyncGenerator<Buffer> {
  for (let offset = 0; !isStopped(); ) {
    const buffer = Buffer.allocUnsafe(packedBytes);
    const { bytesRead } = await handle.read(buffer, 0, packedBytes, offset);
    if (bytesRead === 0) return;
    offset += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

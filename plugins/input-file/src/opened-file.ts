import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { ByteSource } from './byte-source.js';
import { type FileStatus, isSameInode, toFileStatus } from './file-status.js';
import { GzipSource } from './gzip-source.js';
import { type Evidence, headBytesMax, type Look } from './identity.js';
import { PlainSource } from './plain-source.js';

/** A regular file that is open. */
export class OpenedFile {
  readonly source: ByteSource;
  /** The source, unless it is packed. */
  readonly plain: PlainSource | undefined;
  readonly status: FileStatus;
  /** The first bytes of the unpacked contents when it was opened, up to 1024. */
  readonly #head: Buffer;

  private constructor(source: ByteSource, status: FileStatus, head: Buffer) {
    this.source = source;
    this.plain = source instanceof PlainSource ? source : undefined;
    this.status = status;
    this.#head = head;
  }

  /**
   * Opens what the path leads to. Rejects with what the system says, and with the code `ENOENT` when it is no
   * regular file, or another one than the one that is expected.
   */
  static async open(path: string, expected?: FileStatus): Promise<OpenedFile> {
    // Without O_NONBLOCK, opening a pipe that took the place of the file would wait for a writer.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = await handle.stat({ bigint: true });
      const status = toFileStatus(stats);
      if (!stats.isFile() || (expected !== undefined && !isSameInode(expected, status))) {
        throw Object.assign(new Error(`${path} leads to another file now`), { code: 'ENOENT' });
      }
      const plain = new PlainSource(handle);
      const head = plain.readAgain(headBytesMax, 0);
      if (!GzipSource.isPacked(path, head)) return new OpenedFile(plain, status, head);
      const packed = new GzipSource(handle);
      const buffer = Buffer.alloc(headBytesMax);
      return new OpenedFile(packed, status, buffer.subarray(0, await packed.read(buffer, 0)));
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** The first bytes of the contents now, up to 1024. */
  readHead(): Buffer {
    return this.plain?.readAgain(headBytesMax, 0) ?? this.#head;
  }

  /** What there is to be compared with this evidence. */
  async lookFor(evidence: Evidence): Promise<Look> {
    const { key, born } = this.status;
    const head = this.readHead();
    const byteCount = Math.max(evidence.marker.bytes, Math.min(1, evidence.offset));
    const buffer = Buffer.alloc(byteCount);
    const found = await this.source.read(buffer, evidence.offset - byteCount);
    const isLongEnough = found === byteCount;
    const tail = buffer.subarray(byteCount - evidence.marker.bytes, found);
    const knownSize = isLongEnough ? evidence.offset : 0;
    const size = this.plain === undefined ? knownSize : (await this.plain.status()).size;
    return { key, born, size, head, tail };
  }
}

import { indexHeader } from '../storage/batch-index.js';
import type { Chunk } from '../storage/chunk.js';
import type { Disk, DiskFile } from '../storage/disk.js';
import type { OpenFiles } from '../storage/open-files.js';

/** The most bytes of messages in one part, unless a single batch is larger. */
export const partBytesMax = 1024 * 1024;

/** How much of an index is looked at for one part: the lines of more than a thousand batches. */
const indexBlockBytes = 64 * 1024;

const NEWLINE = 0x0a;
const SPACE = 0x20;
const ZERO = 0x30;
const NINE = 0x39;

export interface ChunkFeedPorts {
  readonly disk: Disk;
  readonly files: OpenFiles;
  /** Buffers of `partBytesMax`. */
  readonly takeBuffer: () => Buffer;
}

/** Whole batches of a chunk, with the lines of the index that describe them. */
export interface FedPart {
  readonly offset: number;
  readonly lines: Buffer;
  readonly bytes: Buffer;
  /** Whether the bytes lie in a buffer of `takeBuffer`. */
  readonly isPooled: boolean;
}

/**
 * Reads a chunk and its index beside each other, from an offset on, batch by batch as they were written, also while
 * both grow. It keeps no message and no line: what it has read lies in the page cache, whoever reads it next.
 */
export class ChunkFeed {
  readonly chunk: Chunk;
  readonly #ports: ChunkFeedPorts;
  readonly #block = Buffer.allocUnsafe(indexBlockBytes);
  /** Lines behind those that were used, of a sealed chunk: an open one may yet take back what is not counted. */
  #linesAhead: Buffer | undefined;
  #index: DiskFile | undefined;
  /** Where the line of the batch at `offset` starts in the index; `undefined` while it is to be looked for. */
  #lineOffset: number | undefined;
  #offset: number;

  /** @param offset where a batch starts */
  constructor(chunk: Chunk, offset: number, ports: ChunkFeedPorts) {
    this.chunk = chunk;
    this.#offset = offset;
    this.#ports = ports;
    if (offset === 0) this.#lineOffset = indexHeader.length;
  }

  get offset(): number {
    return this.#offset;
  }

  get hasMore(): boolean {
    return this.#offset < this.chunk.size;
  }

  /**
   * The next batches; `undefined` when no batch ends within what the chunk has now. Rejects with the error of the
   * system, `ENOENT` when the chunk is gone, and with an `Error` when chunk and index do not fit each other.
   */
  async next(): Promise<FedPart | undefined> {
    const { size } = this.chunk;
    if (this.#offset >= size) return undefined;
    this.#lineOffset ??= await this.#findLine(this.#offset);
    const lineOffset = this.#lineOffset;
    const { block, lineBytes, byteCount } = await this.#scanFrom(lineOffset, size);
    if (byteCount === 0) return undefined;
    const offset = this.#offset;
    const lines = Buffer.from(block.subarray(0, lineBytes));
    const isPooled = byteCount <= partBytesMax;
    const bytes = isPooled
      ? this.#ports.takeBuffer().subarray(0, byteCount)
      : Buffer.allocUnsafeSlow(byteCount);
    await this.#readChunk(bytes, offset);
    this.#offset = offset + byteCount;
    this.#lineOffset = lineOffset + lineBytes;
    this.#linesAhead = this.chunk.state === 'sealed' ? block.subarray(lineBytes) : undefined;
    return { offset, lines, bytes, isPooled };
  }

  /** Closes what is open; the next call of `next` opens it again. */
  async close(): Promise<void> {
    const index = this.#index;
    this.#index = undefined;
    // Nothing was written through it, so there is nothing that a failure could lose.
    await index?.close().catch(() => undefined);
  }

  async #readChunk(bytes: Buffer, offset: number): Promise<void> {
    const file = await this.#ports.files.acquire(this.chunk);
    try {
      for (let filled = 0; filled < bytes.length; ) {
        const byteCount = await file.read(bytes.subarray(filled), offset + filled);
        if (byteCount === 0) throw new Error(`${this.chunk.path} ends before its known size`);
        filled += byteCount;
      }
    } finally {
      this.#ports.files.release(file);
    }
  }

  /** The lines for the next part, from those that were read before if there are any. */
  async #scanFrom(
    lineOffset: number,
    size: number,
  ): Promise<{ readonly block: Buffer } & ScannedLines> {
    const ahead = this.#linesAhead;
    if (ahead !== undefined) {
      const found = scanLines(ahead, this.#offset, size, partBytesMax);
      if (found.byteCount > 0) return { block: ahead, ...found };
    }
    const block = await this.#readIndex(lineOffset);
    return { block, ...scanLines(block, this.#offset, size, partBytesMax) };
  }

  async #readIndex(offset: number): Promise<Buffer> {
    this.#index ??= await this.#ports.disk.openFile(this.chunk.indexPath, 'read');
    // What was just written is in the page cache, where the way to the thread pool costs more than the read.
    const byteCount =
      this.chunk.state === 'open'
        ? this.#index.readNow(this.#block, offset)
        : await this.#index.read(this.#block, offset);
    return this.#block.subarray(0, byteCount);
  }

  async #findLine(wanted: number): Promise<number> {
    let lineOffset = indexHeader.length;
    for (let offset = 0; ; ) {
      const block = await this.#readIndex(lineOffset);
      const { lineBytes, byteCount } = scanLines(block, offset, wanted, Number.POSITIVE_INFINITY);
      lineOffset += lineBytes;
      offset += byteCount;
      if (offset === wanted) return lineOffset;
      if (byteCount === 0) {
        throw new Error(`no batch of ${this.chunk.indexPath} starts at ${wanted}`);
      }
    }
  }
}

interface ScannedLines {
  readonly lineBytes: number;
  /** The bytes of the batches that the lines describe. */
  readonly byteCount: number;
}

/**
 * How many lines at the start of a block, in bytes, describe whole batches from `offset` on that end within `size`,
 * and how many bytes these have: at most `byteCountMax`, but one batch in any case. Byte by byte, because turning
 * each line into text costs more than everything else that is done for a small batch.
 */
function scanLines(
  block: Buffer,
  offset: number,
  size: number,
  byteCountMax: number,
): ScannedLines {
  let lineBytes = 0;
  let byteCount = 0;
  for (;;) {
    const lineEnd = block.indexOf(NEWLINE, lineBytes);
    const first = block[lineBytes] ?? 0;
    // A seal begins with a letter, and ends the index.
    if (lineEnd === -1 || first < ZERO || first > NINE) break;
    let at = lineBytes;
    let start = 0;
    for (; block[at] !== SPACE && at < lineEnd; at += 1) start = start * 10 + digit(block, at);
    let length = 0;
    for (at += 1; block[at] !== SPACE && at < lineEnd; at += 1) {
      length = length * 10 + digit(block, at);
    }
    if (start !== offset + byteCount) {
      throw new Error(`the index goes on at ${start}, not at ${offset + byteCount}`);
    }
    if (start + length > size || (byteCount > 0 && byteCount + length > byteCountMax)) break;
    byteCount += length;
    lineBytes = lineEnd + 1;
  }
  return { lineBytes, byteCount };
}

function digit(block: Buffer, at: number): number {
  return (block[at] ?? ZERO) - ZERO;
}

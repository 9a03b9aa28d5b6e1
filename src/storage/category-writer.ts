import type { Clock } from '../common/clock.js';
import { Mutex } from '../common/mutex.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { commitBufferCountMax, commitBytesMax } from '../protocol/limits.js';
import type { Appended, Submission } from './batch.js';
import type { Chunk } from './chunk.js';
import type { ChunkWriter } from './chunk-writer.js';
import type { Flushable, Flusher } from './flusher.js';

export interface CategoryWriterPorts {
  readonly clock: Clock;
  readonly flusher: Flusher;
  readonly chunkBytesMax: number;
  /** Makes the next chunk and announces it to readers. */
  readonly createChunk: () => Promise<ChunkWriter>;
  /** Called when a chunk of this writer was sealed. */
  readonly onSealed: () => void;
  /** Called once, when the writer has stopped taking batches because of the disk. */
  readonly onFailed: (error: ChukchaError) => void;
}

/**
 * Appends the batches of one category to this node's own chunks, in the order in which they came.
 *
 * Batches that arrive in the same turn of the event loop, or while a commit is under way, share one
 * write call and, where asked for, one `fdatasync` ("group commit"). One commit runs at a time. A batch
 * is answered as soon as what it asked for is true: written, or written and durable.
 *
 * The writer has no open chunk until the first batch, and none after a seal:
 *
 *     none --first batch--> open --size reached, seal() or torn tail--> none
 *     any --close()--> closing (refuses batches, writes and seals what waits)
 *     any --fsync failed--> failed (refuses batches until the node is started again; see ADR 6)
 */
export class CategoryWriter implements Flushable {
  readonly #ports: CategoryWriterPorts;
  readonly #lane = new Mutex();
  #queue: Submission[] = [];
  #commitScheduled = false;
  #closing = false;
  #failure: ChukchaError | undefined;
  #current: ChunkWriter | undefined;
  /** Those with bytes or a name that are not durable yet; the sealed ones among them are still to be closed. */
  #unsynced = new Set<ChunkWriter>();

  constructor(ports: CategoryWriterPorts) {
    this.#ports = ports;
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  submit(submission: Submission): void {
    if (this.#failure !== undefined) {
      submission.failed(this.#failure);
      return;
    }
    if (this.#closing) {
      submission.failed(drainingError());
      return;
    }
    this.#queue.push(submission);
    if (this.#commitScheduled) return;
    this.#commitScheduled = true;
    this.#ports.clock.defer(() => void this.#lane.run(() => this.#commitQueue()));
  }

  /** Makes what was written durable, and closes the files of sealed chunks. */
  async flush(): Promise<void> {
    const writers = this.#unsynced;
    this.#unsynced = new Set();
    for (const writer of writers) {
      try {
        await writer.flush();
      } catch (error) {
        if (writer.hasFailed) this.#fail(error as ChukchaError);
        else this.#markUnsynced(writer);
      }
    }
  }

  /**
   * Seals the open chunk, so that it can be acknowledged; the next batch starts a new one.
   *
   * @returns what was sealed; `undefined` when no chunk was open
   */
  seal(): Promise<Chunk | undefined> {
    return this.#lane.run(async () => this.#sealCurrent());
  }

  /** Refuses further batches, writes those that wait, and seals. Durable only after the flusher ran. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#lane.run(() => this.#commitQueue());
    await this.seal();
  }

  async #commitQueue(): Promise<void> {
    this.#commitScheduled = false;
    while (this.#queue.length > 0) {
      const failure = this.#failure;
      if (failure !== undefined) {
        for (const append of this.#queue.splice(0)) append.failed(failure);
        return;
      }
      const group = this.#takeGroup();
      try {
        await this.#commit(group);
      } catch (error) {
        for (const append of group) append.failed(error);
      }
    }
  }

  /** The batches of the next commit: never more than the open chunk, a commit or one `writev` may take. */
  #takeGroup(): Submission[] {
    let chunkBytes = this.#current?.chunk.size ?? 0;
    if (chunkBytes >= this.#ports.chunkBytesMax) chunkBytes = 0;
    let commitBytes = 0;
    let bufferCount = 0;
    let count = 0;
    for (const append of this.#queue) {
      bufferCount += append.pieces.length;
      const full =
        chunkBytes >= this.#ports.chunkBytesMax ||
        commitBytes + append.byteCount > commitBytesMax ||
        bufferCount > commitBufferCountMax;
      if (full && count > 0) break;
      chunkBytes += append.byteCount;
      commitBytes += append.byteCount;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  async #commit(group: readonly Submission[]): Promise<void> {
    const writer = await this.#writerWithRoom();
    const { chunk } = writer;
    let offset = chunk.size;
    const pieces =
      group.length === 1 ? (group[0]?.pieces ?? []) : group.flatMap((append) => append.pieces);
    const byteCount = group.reduce((sum, append) => sum + append.byteCount, 0);
    try {
      await writer.append(pieces, byteCount);
    } finally {
      if (writer.tornTail) this.#sealCurrent();
    }
    this.#markUnsynced(writer);
    const synced: [Submission, Appended][] = [];
    for (const append of group) {
      const appended = { chunk: chunk.name, offset, size: append.byteCount, duplicate: false };
      offset += append.byteCount;
      if (append.sync) synced.push([append, appended]);
      else append.stored(appended);
    }
    if (synced.length === 0) return;
    try {
      await writer.sync();
    } catch (error) {
      if (writer.hasFailed) this.#fail(error as ChukchaError);
      throw error;
    }
    for (const [append, appended] of synced) append.stored(appended);
  }

  async #writerWithRoom(): Promise<ChunkWriter> {
    if (this.#current !== undefined && this.#current.chunk.size >= this.#ports.chunkBytesMax) {
      this.#sealCurrent();
    }
    this.#current ??= await this.#ports.createChunk();
    return this.#current;
  }

  #sealCurrent(): Chunk | undefined {
    const writer = this.#current;
    if (writer === undefined) return undefined;
    this.#current = undefined;
    writer.chunk.seal();
    this.#markUnsynced(writer);
    this.#ports.onSealed();
    return writer.chunk;
  }

  #markUnsynced(writer: ChunkWriter): void {
    this.#unsynced.add(writer);
    this.#ports.flusher.markDirty(this);
  }

  /** After a failed fsync nobody knows what the disk has, and a second one may lie: no more writes. */
  #fail(error: ChukchaError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#ports.onFailed(error);
  }
}

/** What a node that is stopping answers to writes, and to calls that would have to wait. */
export function drainingError(): ChukchaError {
  return new ChukchaError(
    'draining',
    'The node is stopping: ask another node, or this one again later; nothing was stored.',
  );
}

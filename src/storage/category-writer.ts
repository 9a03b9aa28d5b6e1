import type { Clock, Timer } from '../common/clock.js';
import { Mutex } from '../common/mutex.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { commitBufferCountMax, commitBytesMax } from '../protocol/limits.js';
import type { Appended, Submission } from './batch.js';
import type { BatchRecord } from './batch-index.js';
import type { Chunk } from './chunk.js';
import type { ChunkWriter } from './chunk-writer.js';
import type { DiskGuard } from './disk-guard.js';
import type { Flusher } from './flusher.js';
import { OpenWriters } from './open-writers.js';

/**
 * A chunk whose index has this many bytes before a write is sealed too: a start reads an index as a whole, and
 * holds about ten times as much while it does. With lines of 30 bytes that is 250,000 batches.
 */
const indexBytesMax = 8 * 1024 * 1024;

export interface CategoryWriterOptions {
  readonly chunkBytesMax: number;
  /** How long a chunk stays open at most, in milliseconds. */
  readonly rotateIntervalMs: number;
}

export interface CategoryWriterPorts {
  readonly clock: Clock;
  readonly flusher: Flusher;
  readonly guard: DiskGuard;
  /** Makes the next chunk and announces it to readers. */
  readonly createChunk: () => Promise<ChunkWriter>;
  /** Called for each batch that is in a chunk, before it is answered. */
  readonly onStored: (chunk: string, record: BatchRecord) => void;
  /** Called when batches are in a chunk, before those are answered that ask for no more. */
  readonly onCommitted: () => void;
  /** Called when a chunk of this writer was sealed. */
  readonly onSealed: (chunk: Chunk) => void;
  /**
   * Called when a sealed chunk is durable. Resolves with whether its index may say so: whatever else must be
   * durable before that is.
   */
  readonly onDurable: (chunk: string) => Promise<boolean>;
}

/** A batch that is written, and answered when it is durable. */
interface SyncWaiter {
  readonly submission: Submission;
  readonly appended: Appended;
  readonly writer: ChunkWriter;
}

/**
 * Appends the batches of one category to this node's own chunks, in the order in which they came.
 *
 * Batches that arrive in the same turn of the event loop, or while a commit is under way, share one
 * write call and, where asked for, one `fdatasync` ("group commit"). One commit and one sync run at a time, beside
 * each other. A batch is answered as soon as what it asked for is true: written, or written and durable.
 *
 * The writer has no open chunk until the first batch, and none after a seal:
 *
 *     none --first batch--> open --size or age reached, seal() or torn tail--> none
 *     any --close()--> closing (refuses batches, writes and seals what waits)
 */
export class CategoryWriter {
  readonly #options: CategoryWriterOptions;
  readonly #ports: CategoryWriterPorts;
  readonly #lane = new Mutex();
  #queue: Submission[] = [];
  #commitScheduled = false;
  #closing = false;
  #current: ChunkWriter | undefined;
  #rotation: Timer | undefined;
  #waitingForSync: SyncWaiter[] = [];
  #syncing: Promise<void> | undefined;
  readonly #open: OpenWriters;

  constructor(options: CategoryWriterOptions, ports: CategoryWriterPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#open = new OpenWriters({ ...ports, exclusively: (task) => this.#lane.run(task) });
  }

  submit(submission: Submission): void {
    const refusal = this.#closing ? drainingError() : this.#ports.guard.refusal();
    if (refusal !== undefined) {
      submission.failed(refusal);
      return;
    }
    this.#queue.push(submission);
    if (this.#commitScheduled) return;
    this.#commitScheduled = true;
    this.#ports.clock.defer(() => void this.#lane.run(() => this.#commitQueue()));
  }

  /** Makes what was written durable, and closes the files of chunks that are sealed or idle. */
  flush(): Promise<void> {
    return this.#open.flush();
  }

  /** Makes what was written durable; the files stay open. Throws `storage_failed`, also when an earlier sync failed. */
  sync(): Promise<void> {
    return this.#open.syncAll();
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
    await this.#syncing;
    await this.seal();
  }

  async #commitQueue(): Promise<void> {
    this.#commitScheduled = false;
    while (this.#queue.length > 0) {
      const group = this.#takeGroup();
      try {
        // What made the node stop taking writes may have happened while these waited.
        const refusal = this.#ports.guard.refusal();
        if (refusal !== undefined) throw refusal;
        await this.#commit(group);
      } catch (error) {
        for (const submission of group) submission.failed(error);
      }
    }
  }

  /** The batches of the next commit: never more than the open chunk, a commit or one `writev` may take. */
  #takeGroup(): Submission[] {
    const { chunkBytesMax } = this.#options;
    let chunkBytes = this.#current?.chunk.size ?? 0;
    if (chunkBytes >= chunkBytesMax) chunkBytes = 0;
    let commitBytes = 0;
    let bufferCount = 0;
    let count = 0;
    for (const { byteCount, pieces } of this.#queue) {
      bufferCount += pieces.length;
      const full =
        chunkBytes >= chunkBytesMax ||
        commitBytes + byteCount > commitBytesMax ||
        bufferCount > commitBufferCountMax;
      if (full && count > 0) break;
      chunkBytes += byteCount;
      commitBytes += byteCount;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  async #commit(group: readonly Submission[]): Promise<void> {
    const writer = await this.#writerWithRoom();
    const { guard, onCommitted, onStored } = this.#ports;
    const { name: chunk } = writer.chunk;
    let records: readonly BatchRecord[];
    try {
      records = await writer.append(group);
    } finally {
      if (writer.tornTail) this.#sealCurrent();
    }
    this.#open.mark(writer);
    guard.noteWritten(group.reduce((sum, { byteCount }) => sum + byteCount, 0));
    for (const record of records) onStored(chunk, record);
    onCommitted();
    group.forEach((submission, index) => {
      const appended = receiptOf(chunk, records[index]);
      if (submission.sync) this.#waitingForSync.push({ submission, appended, writer });
      else submission.stored(appended);
    });
    if (this.#waitingForSync.length > 0) this.#syncing ??= this.#syncWaiting();
  }

  /**
   * Answers those who wait for durability. What is written while one sync is under way waits for the next, which
   * is the first that is sure to cover it; meanwhile commits go on.
   */
  async #syncWaiting(): Promise<void> {
    while (this.#waitingForSync.length > 0) {
      const waiting = this.#waitingForSync;
      this.#waitingForSync = [];
      const failures = new Map<ChunkWriter, unknown>();
      for (const writer of new Set(waiting.map((waiter) => waiter.writer))) {
        await this.#open.sync(writer).catch((error: unknown) => failures.set(writer, error));
      }
      for (const { submission, appended, writer } of waiting) {
        if (failures.has(writer)) submission.failed(failures.get(writer));
        else submission.stored(appended);
      }
    }
    this.#syncing = undefined;
  }

  async #writerWithRoom(): Promise<ChunkWriter> {
    const { chunk, indexByteCount = 0 } = this.#current ?? {};
    const size = chunk?.size ?? 0;
    if (size >= this.#options.chunkBytesMax || indexByteCount >= indexBytesMax) this.#sealCurrent();
    if (this.#current === undefined) {
      this.#current = await this.#ports.createChunk();
      this.#startRotation(this.#current);
    }
    return this.#current;
  }

  /** The age of a chunk counts from its creation, by the monotonic clock. */
  #startRotation(writer: ChunkWriter): void {
    this.#rotation = this.#ports.clock.after(this.#options.rotateIntervalMs, () => {
      void this.#lane.run(async () => {
        if (this.#current !== writer) return;
        // A chunk without a batch is left by a write that failed; it has nothing to be acknowledged.
        if (writer.chunk.size === 0) this.#startRotation(writer);
        else this.#sealCurrent();
      });
    });
  }

  #sealCurrent(): Chunk | undefined {
    const writer = this.#current;
    if (writer === undefined) return undefined;
    this.#current = undefined;
    this.#rotation?.cancel();
    writer.seal(this.#ports.clock.wallMs());
    this.#open.mark(writer);
    this.#ports.onSealed(writer.chunk);
    this.#ports.onCommitted();
    return writer.chunk;
  }
}

function receiptOf(chunk: string, record: BatchRecord | undefined) {
  const { offset = 0, byteCount = 0 } = record ?? {};
  return { chunk, offset, size: byteCount, duplicate: false };
}

/** What a node that is stopping answers to writes, and to calls that would have to wait. */
export function drainingError(): ChukchaError {
  return new ChukchaError(
    'draining',
    'The node is stopping: ask another node, or this one again later; nothing was stored.',
  );
}

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type InputBatch, PluginError, type PluginLog } from '@chukcha/plugin-api';
import { AckLedger } from './ack-ledger.js';
import type { BufferLoan } from './buffer-pool.js';
import { createCheckpoint, decideStart, headBytesMax, type ReadFrom } from './checkpoint.js';
import type { CheckpointBook, CheckpointPlace } from './checkpoint-book.js';
import { type FileStatus, toFileStatus } from './file-status.js';
import { endPartialLine, findLineStart, lineNumberAt, readHead, readLines } from './line-reader.js';

export interface FollowedFileOptions {
  readonly log: PluginLog;
  readonly book: CheckpointBook;
  readonly messageBytesMax: number;
}

/**
 * An open file, from where it is read to the end that it has at the moment. It stays the same file over a
 * rename. When its contents are replaced in place, it starts again at 0 with a new ledger, and batches of
 * the old contents no longer move the checkpoint.
 */
export class FollowedFile {
  /** The path that leads to the file, as it was seen last; for people. */
  path: string;
  readonly key: string;
  /** True when there may be something to read. */
  hasMore = true;
  /** How often its contents were replaced since it was opened. */
  restartCount = 0;
  readonly #handle: FileHandle;
  readonly #options: FollowedFileOptions;
  readonly #place: CheckpointPlace;
  #ledger: AckLedger;
  /** Where the next block is read, in bytes. */
  #offset: number;
  /** The first bytes of what was read, up to 1024. */
  #head: Buffer;
  #status: FileStatus;
  #hasLoggedNack = false;
  /** True when the file is gone for good, and with it what its checkpoint is for. */
  #isForgotten = false;

  private constructor(
    source: { path: string; handle: FileHandle; status: FileStatus; place: CheckpointPlace },
    start: { offset: number; head: Buffer },
    options: FollowedFileOptions,
  ) {
    this.path = source.path;
    this.key = source.status.key;
    this.#handle = source.handle;
    this.#status = source.status;
    this.#place = source.place;
    this.#options = options;
    this.#offset = start.offset;
    this.#head = start.head.subarray(0, Math.min(start.offset, headBytesMax));
    this.#ledger = new AckLedger(start.offset);
  }

  /**
   * Opens the file that the path leads to now, and decides where to start in it. Resolves with
   * `undefined` when `isKnown` says that this file is open already.
   */
  static async open(
    path: string,
    readFrom: ReadFrom,
    options: FollowedFileOptions,
    isKnown: (key: string) => boolean = () => false,
  ): Promise<FollowedFile | undefined> {
    // Without O_NONBLOCK, opening a pipe that took the place of the file would wait for a writer.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = await handle.stat({ bigint: true });
      const status = toFileStatus(stats);
      if (stats.isFile() && !isKnown(status.key)) {
        return await FollowedFile.#start(path, handle, status, readFrom, options);
      }
    } catch (error) {
      await handle.close();
      throw error;
    }
    await handle.close();
    return undefined;
  }

  static async #start(
    path: string,
    handle: FileHandle,
    status: FileStatus,
    readFrom: ReadFrom,
    options: FollowedFileOptions,
  ): Promise<FollowedFile> {
    const head = await readHead(handle, headBytesMax);
    const place = options.book.claim(status.key);
    const decision = decideStart(place.saved, { size: status.size, head }, readFrom);
    let offset = 0;
    if (decision.reason === 'resumed') offset = decision.offset;
    if (decision.reason === 'unknown' && decision.startAt === 'end') {
      // A line that is being written is read whole, once it is finished.
      offset = await findLineStart(handle, status.size, options.messageBytesMax);
    }
    const file = new FollowedFile({ path, handle, status, place }, { offset, head }, options);
    if (decision.reason === 'truncated' || decision.reason === 'replaced') {
      file.#logRestart(decision.reason);
    }
    // From now on the file is known: a kill before the first ack must not make it start elsewhere.
    if (decision.reason !== 'resumed') await file.#save();
    return file;
  }

  /** Takes notice of what a look at the path showed. */
  observe(path: string, status: FileStatus): void {
    this.path = path;
    const { size, modifiedNs } = this.#status;
    if (status.size !== size || status.modifiedNs !== modifiedNs) this.hasMore = true;
    this.#status = status;
  }

  /**
   * Reads a block into the loan and makes a batch of it, which then owns the loan; `undefined` at the end
   * of the file. With `isFinal` nobody will finish the last line: it gets its newline here, and should the
   * file grow after all, the rest counts as a line of its own.
   *
   * Throws a `PluginError` of kind `data` for a line that is too long, and what the system says when the
   * file cannot be read.
   */
  async readBatch(loan: BufferLoan, isFinal: boolean): Promise<InputBatch | undefined> {
    // First, because a hint that comes while the file is read must not get lost.
    this.hasMore = false;
    const offset = this.#offset;
    const result = await readLines(this.#handle, offset, loan, this.#options.messageBytesMax);
    if (await this.#hasChanged(result.kind === 'partial')) return undefined;
    switch (result.kind) {
      case 'lines':
        this.hasMore = true;
        return this.#createBatch(loan, result.byteCount, offset + result.byteCount);
      case 'too_long':
        throw await this.#longLineError();
      case 'partial':
        if (result.byteCount === 0 || !isFinal) return undefined;
        this.#options.log.info('Added the missing newline at the end of the file.', {
          file: this.path,
          offset: offset + result.byteCount,
        });
        this.hasMore = true;
        return this.#createBatch(
          loan,
          endPartialLine(loan, result.byteCount),
          offset + result.byteCount,
        );
    }
  }

  /** Lets go of the file; what the host still has of it can be acknowledged later. */
  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** Closes a file that was read to its end and that no path leads to any more. */
  async finish(): Promise<void> {
    const { isDeleted } = toFileStatus(await this.#handle.stat({ bigint: true }));
    await this.close();
    this.#isForgotten = isDeleted;
    if (isDeleted && this.#ledger.isSettled) await this.#save();
  }

  #createBatch(loan: BufferLoan, byteCount: number, end: number): InputBatch {
    const bytes = loan.buffer.subarray(0, byteCount);
    if (this.#head.length < headBytesMax) {
      const missing = bytes.subarray(0, Math.min(headBytesMax, end) - this.#head.length);
      this.#head = Buffer.concat([this.#head, missing]);
    }
    const start = this.#offset;
    this.#offset = end;
    const ledger = this.#ledger;
    const acknowledge = ledger.add(end);
    let settled: Promise<void> | undefined;
    const ack = async (): Promise<void> => {
      loan.release();
      if (acknowledge() && ledger === this.#ledger) await this.#save();
    };
    const nack = async (): Promise<void> => {
      loan.release();
      if (this.#hasLoggedNack) return;
      this.#hasLoggedNack = true;
      this.#options.log.warn(
        'Lines of a file were not accepted; they are read again at the next start.',
        {
          file: this.path,
          offset: start,
        },
      );
    };
    return {
      bytes,
      ack: () => {
        settled ??= ack();
        return settled;
      },
      nack: () => {
        settled ??= nack();
        return settled;
      },
    };
  }

  #save(): Promise<void> {
    if (this.#isForgotten) {
      return this.#ledger.isSettled ? this.#place.save(undefined) : Promise.resolve();
    }
    return this.#place.save(createCheckpoint(this.path, this.#ledger.lowWater, this.#head));
  }

  /**
   * Tells whether the contents were replaced since the file was opened, and starts again if so. It is
   * asked after a block was read and before that is believed: a program may truncate the file at any
   * moment, and write more than it had before. At the end, a smaller size is what shows it first.
   */
  async #hasChanged(isAtEnd: boolean): Promise<boolean> {
    const head = await readHead(this.#handle, this.#head.length);
    if (!head.equals(this.#head)) {
      await this.#restart(head.length < this.#head.length ? 'truncated' : 'replaced');
      return true;
    }
    if (!isAtEnd) return false;
    const { size } = toFileStatus(await this.#handle.stat({ bigint: true }));
    if (size >= this.#offset) return false;
    await this.#restart('truncated');
    return true;
  }

  async #restart(reason: 'truncated' | 'replaced'): Promise<void> {
    this.restartCount += 1;
    this.#logRestart(reason);
    this.#offset = 0;
    this.#head = Buffer.alloc(0);
    this.#ledger = new AckLedger(0);
    this.hasMore = true;
    // At once: the checkpoint of the old contents could fit the new ones once they have grown.
    await this.#save();
  }

  #logRestart(reason: 'truncated' | 'replaced'): void {
    this.#options.log.warn(
      reason === 'truncated'
        ? 'A file is shorter than what was read of it; reading it from its beginning.'
        : 'A file has other contents than what was read of it; reading it from its beginning.',
      { file: this.path },
    );
  }

  async #longLineError(): Promise<PluginError> {
    const line = await lineNumberAt(this.#handle, this.#offset);
    const limit = this.#options.messageBytesMax;
    return new PluginError(
      'data',
      `Line ${line} of ${this.path} (at offset ${this.#offset}) is longer than ${limit} bytes with its newline, ` +
        'the limit of a message: split it or take it out of the file, and start again; the lines before it were read.',
    );
  }
}

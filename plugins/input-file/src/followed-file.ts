import { type InputBatch, PluginError, type PluginLog } from '@chukcha/plugin-api';
import type { BatchRange } from './batch-range.js';
import type { BufferLoan } from './buffer-pool.js';
import type { CheckpointBook } from './checkpoint-book.js';
import { type ContentsChange, findChange, findChangeBefore } from './contents-check.js';
import type { FileFigures } from './file-figures.js';
import type { FileStatus } from './file-status.js';
import type { Ending, Framing } from './framing.js';
import { createFraming, type FramingOptions, type LongLineAction } from './framing-options.js';
import { type Generation, tailOf } from './generation.js';
import { isFingerprintOf, markerBytesMax } from './identity.js';
import { lineNumberAt } from './line-number.js';
import { cutLine, LongLine } from './long-line.js';
import { OpenedFile } from './opened-file.js';
import { QuietEnd, type QuietEndOptions } from './quiet-end.js';

export interface FollowedFileOptions extends QuietEndOptions {
  readonly log: PluginLog;
  readonly book: CheckpointBook;
  readonly figures: FileFigures;
  readonly framing: FramingOptions;
  readonly batchBytesMax: number;
  readonly longLine: LongLineAction;
}

/** What a turn of reading came to. */
export type ReadOutcome =
  | { readonly kind: 'batch'; readonly batch: InputBatch }
  | { readonly kind: 'nothing' }
  /** The contents are not those that were read any more; see `decideIdentity`. */
  | { readonly kind: ContentsChange };

const NEWLINE = 0x0a;

const nothing: ReadOutcome = { kind: 'nothing' };

/**
 * A file, and the generation whose contents it has. It stays the same file over a rename, with another path. It is
 * opened when it is read, and may be closed between two reads.
 */
export class FollowedFile {
  /** The path that leads to the file, as it was seen last. */
  path: string;
  readonly key: string;
  status: FileStatus;
  /** `undefined` for a file that is not read: it is empty, or the copy of another one. */
  generation: Generation | undefined;
  /** True when there may be something to read. */
  hasMore = true;
  /** When the turn of a last message without an end comes, on the clock of `performance.now`. */
  flushAtMs = Number.POSITIVE_INFINITY;
  /** How often its contents were replaced since it was found. */
  restartCount = 0;
  /** Why it could not be read, the last time. */
  failure: NodeJS.ErrnoException | undefined;
  opened: OpenedFile | undefined;
  readonly #options: FollowedFileOptions;
  #framing: Framing | undefined;
  #longLine: LongLine | undefined;
  #end: QuietEnd;

  constructor(path: string, status: FileStatus, options: FollowedFileOptions) {
    this.path = path;
    this.key = status.key;
    this.status = status;
    this.#options = options;
    this.#end = new QuietEnd(options);
  }

  /** How many bytes were seen at the end of the contents and not given: a part of a line. */
  get unreadBytes(): number {
    return Math.max(0, this.#end.offset - (this.generation?.readOffset ?? 0));
  }

  /** Whether there may be bytes that are not read; a closed file was looked at not long ago, or is not read for now. */
  get mayLag(): boolean {
    return this.opened !== undefined || this.hasMore;
  }

  /**
   * How many bytes are there and not read. Of a packed file it is the size until it is read, and nothing then, because
   * nobody knows where in it the reading stands. Never rejects.
   */
  async lagBytes(): Promise<number> {
    const { opened } = this;
    if (opened !== undefined && opened.plain === undefined) return 0;
    if (!this.mayLag) return 0;
    const { size } = (await opened?.plain?.status().catch(() => undefined)) ?? this.status;
    return this.generation === undefined ? 0 : Math.max(0, size - this.generation.readOffset);
  }

  /** Takes notice of what a look at the file showed. */
  observe(status: FileStatus): void {
    const { size, modifiedNs } = this.status;
    if (status.size !== size || status.modifiedNs !== modifiedNs) this.hasMore = true;
    this.status = status;
  }

  /** Begins to read a generation in this file. */
  assign(generation: Generation): void {
    this.generation = generation;
    generation.attach(this.path, this.status);
    this.hasMore = !this.#isReadUpTo(generation.readOffset);
    this.#options.log.debug('A file goes on with a generation.', {
      file: this.path,
      key: this.key,
      generation: generation.id,
      offset: generation.readOffset,
    });
    this.#longLine = undefined;
    this.#framing = undefined;
    this.#end = new QuietEnd(this.#options);
  }

  /** Opens it where it is closed. Rejects with the code `ENOENT` also when the path leads to another file. */
  async open(): Promise<OpenedFile> {
    this.opened ??= await OpenedFile.open(this.path, this.status);
    return this.opened;
  }

  async close(): Promise<void> {
    const { opened } = this;
    this.opened = undefined;
    await opened?.source.close();
  }

  /**
   * Reads a block into the loan and makes a batch of it, which then owns the loan. With `isFinal` nobody will
   * finish the last line: it gets its newline here, and should the file grow after all, the rest counts as a
   * line of its own. Rejects with what the system says when the file cannot be read.
   */
  async readBatch(loan: BufferLoan, isFinal: boolean): Promise<ReadOutcome> {
    // First, because a hint that comes while the file is read must not get lost.
    this.hasMore = false;
    const { generation } = this;
    if (generation === undefined) return nothing;
    const opened = await this.open();
    const { source } = opened;
    const stop = generation.skipGiven();
    const from = generation.readOffset;
    let { tail } = generation;
    if (tail === undefined) {
      const change = await findChangeBefore(generation, opened);
      if (change !== undefined) return { kind: change };
      tail = await this.#readTail(from);
      generation.tail = tail;
    }
    const framing = await this.#framingOf(generation);
    if (this.#longLine !== undefined) return this.#readLongLine(loan, generation, stop, isFinal);

    const blockBytes = Math.min(loan.buffer.length - 1, framing.blockBytesMax);
    const wanted = Math.min(blockBytes, stop - from);
    let byteCount = await source.read(loan.buffer.subarray(0, wanted), from);
    const block = loan.buffer.subarray(0, byteCount);
    const change = await findChange(generation, opened, block, byteCount < wanted);
    if (change !== undefined) return { kind: change };
    let ending = this.#endingOf(generation, byteCount, byteCount === stop - from, wanted, isFinal);
    const outputBytesMax = this.#options.batchBytesMax;
    let result = framing.frame(loan.buffer, byteCount, ending, outputBytesMax);
    if (result.kind === 'more' && byteCount === blockBytes) {
      const grown = Buffer.allocUnsafeSlow(framing.sourceBytesMax + 1);
      loan.buffer.copy(grown, 0, 0, byteCount);
      loan.buffer = grown;
      const most = Math.min(framing.sourceBytesMax, stop - from);
      byteCount += await source.read(grown.subarray(byteCount, most), from + byteCount);
      ending = this.#endingOf(generation, byteCount, byteCount === stop - from, most, isFinal);
      result = framing.frame(grown, byteCount, ending, outputBytesMax);
    }
    switch (result.kind) {
      case 'more':
        if (source.failure !== undefined) throw source.failure;
        // A part of a message waits at the end until its time is over.
        this.flushAtMs = byteCount > 0 ? this.#end.nextChangeAtMs() : Number.POSITIVE_INFINITY;
        return nothing;
      case 'long_line':
        this.#longLine = new LongLine(from);
        return this.#readLongLine(loan, generation, stop, isFinal);
      case 'messages': {
        this.hasMore = true;
        const { output, sourceBytes } = result;
        this.#noteAddedNewline(from + sourceBytes, loan.buffer[sourceBytes - 1]);
        return this.#createBatch(generation, loan, {
          output,
          to: from + sourceBytes,
          // The newline that may be behind the last byte is not of the source.
          tail: tailOf(tail, loan.buffer.subarray(0, sourceBytes)),
          isCut: false,
        });
      }
    }
  }

  /** Makes a batch of an earlier run again; `undefined` when its bytes are not there any more. */
  async repeatBatch(range: BatchRange): Promise<InputBatch | undefined> {
    const { generation } = this;
    if (generation === undefined) return undefined;
    const opened = await this.open();
    const { source } = opened;
    const { from, to, marker, isCut } = range;
    const tail = Buffer.alloc(marker.bytes);
    const isThere =
      (await source.read(tail, to - marker.bytes)) === marker.bytes &&
      isFingerprintOf(marker, tail);
    if (!isThere) return undefined;
    const framing = createFraming(range.framing, this.#options.batchBytesMax, opened.readHead());
    const limit = range.framing.messageBytesMax;
    const buffer = Buffer.allocUnsafeSlow((isCut ? Math.min(to - from, limit) : to - from) + 1);
    const byteCount = await source.read(buffer.subarray(0, buffer.length - 1), from);
    const output = isCut
      ? cutLine(
          buffer.subarray(0, byteCount),
          await this.#lengthOfLine(framing, from, to),
          framing,
          limit,
        ).output
      : outputOf(framing, buffer, byteCount);
    if (output?.length !== range.bytes) return undefined;
    const release = (): void => undefined;
    return generation.repeat({ ...range, output, tail, release });
  }

  #createBatch(
    generation: Generation,
    loan: BufferLoan,
    parts: { output: Buffer; to: number; tail: Buffer; isCut: boolean },
  ): ReadOutcome {
    this.failure = undefined;
    this.flushAtMs = Number.POSITIVE_INFINITY;
    const { readOffset: from, readGiven: given } = generation;
    const { framing } = this.#options;
    const batch = generation.next({ ...parts, from, given, framing, release: loan.release });
    return { kind: 'batch', batch };
  }

  async #readLongLine(
    loan: BufferLoan,
    generation: Generation,
    stop: number,
    isFinal: boolean,
  ): Promise<ReadOutcome> {
    const opened = await this.open();
    const { source } = opened;
    const line = this.#longLine as LongLine;
    const framing = await this.#framingOf(generation);
    if (this.#options.longLine === 'fail') throw await this.#longLineError(line.from);
    let to = await line.findEnd(source, loan.buffer, framing, stop);
    if (to === 'more') {
      this.hasMore = true;
      return nothing;
    }
    if (to === 'at_end') {
      const change = await findChange(generation, opened, Buffer.alloc(0), true);
      if (change !== undefined) return { kind: change };
      if (!isFinal) return nothing;
      to = line.sourceEnd;
    }
    this.#longLine = undefined;
    this.hasMore = true;
    const tail = await this.#readTail(to);
    const limit = this.#options.framing.messageBytesMax;
    if (this.#options.longLine === 'skip') {
      this.#options.figures.linesSkipped.add();
      this.#options.figures.cutBytes.add(to - line.from);
      await generation.leaveOut(to, tail);
      return nothing;
    }
    const head = loan.buffer.length > limit ? loan.buffer : Buffer.allocUnsafeSlow(limit);
    const headBytes = await source.read(
      head.subarray(0, Math.min(limit, to - line.from)),
      line.from,
    );
    const lineBytes = await this.#lengthOfLine(framing, line.from, to);
    const { output, cutBytes } = cutLine(head.subarray(0, headBytes), lineBytes, framing, limit);
    this.#options.figures.linesCut.add();
    this.#options.figures.cutBytes.add(cutBytes);
    return this.#createBatch(generation, loan, { output, to, tail, isCut: true });
  }

  /** The length of the line between two offsets without its end, which it may lack. */
  async #lengthOfLine(framing: Framing, from: number, to: number): Promise<number> {
    const { source } = await this.open();
    const end = Buffer.alloc(2 - ((to - from) % 2));
    await source.read(end, to - end.length);
    const endBytes = [1, 2].find((bytes) => framing.lineEnd(end.subarray(-bytes), 0) === bytes);
    return to - from - (endBytes ?? 0);
  }

  async #readTail(offset: number): Promise<Buffer> {
    const { source } = await this.open();
    const tail = Buffer.alloc(Math.min(markerBytesMax, offset));
    if (tail.length === 0) return tail;
    return tail.subarray(0, await source.read(tail, offset - tail.length));
  }

  async #framingOf(generation: Generation): Promise<Framing> {
    if (this.#framing !== undefined) return this.#framing;
    const opened = await this.open();
    const { framing, batchBytesMax } = this.#options;
    const created = createFraming(framing, batchBytesMax, opened.readHead());
    // The mark of byte order decides; before it is there, nothing is settled.
    if (generation.head.bytes >= 2 || framing.encoding !== 'utf-16') this.#framing = created;
    return created;
  }

  /** Whether a file that was opened a moment ago has nothing behind an offset, without reading it. */
  #isReadUpTo(offset: number): boolean {
    const plain = this.opened?.plain;
    if (plain === undefined || this.status.size !== offset) return false;
    // Files of /proc say that they are empty.
    return offset > 0 || plain.readAgain(1, 0).length === 0;
  }

  /** What is known of the end of a block. */
  #endingOf(
    generation: Generation,
    byteCount: number,
    isBounded: boolean,
    wanted: number,
    isFinal: boolean,
  ): Ending {
    if (isBounded) return 'closed';
    // What a damaged file has behind the damage is not known, so its last line is not whole.
    if (byteCount === wanted || this.opened?.source.failure !== undefined) return 'open';
    const ending = this.#end.ending(generation.readOffset + byteCount);
    return isFinal ? 'closed' : ending;
  }

  #noteAddedNewline(offset: number, lastByte: number | undefined): void {
    if (this.#options.framing.encoding !== 'utf-8' || lastByte === NEWLINE) return;
    this.#options.log.info('Added the missing newline at the end of the file.', {
      file: this.path,
      offset,
    });
  }

  async #longLineError(offset: number): Promise<PluginError> {
    const { source } = await this.open();
    const line = await lineNumberAt(source, offset);
    const limit = this.#options.framing.messageBytesMax;
    return new PluginError(
      'data',
      `Line ${line} of ${this.path} (at offset ${offset}) is longer than ${limit} bytes with its newline, ` +
        'the limit of a message: split it or take it out of the file, or set long_line to cut or skip, and start again; ' +
        'the lines before it were read.',
    );
  }
}

/** The messages of bytes that were a batch; `undefined` when they are not now. */
function outputOf(framing: Framing, buffer: Buffer, byteCount: number): Buffer | undefined {
  const result = framing.frame(buffer, byteCount, 'closed', Number.POSITIVE_INFINITY);
  return result.kind === 'messages' && result.sourceBytes === byteCount ? result.output : undefined;
}

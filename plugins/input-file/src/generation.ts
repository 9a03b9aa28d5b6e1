import type { InputBatch, PluginLog } from '@chukcha/plugin-api';
import { AckLedger, type Mark, type Span } from './ack-ledger.js';
import { formatRange } from './batch-range.js';
import type { Checkpoint } from './checkpoint.js';
import type { CheckpointBook } from './checkpoint-book.js';
import type { FileStatus } from './file-status.js';
import type { FramingOptions } from './framing-options.js';
import { createGenerationId } from './generation-id.js';
import { type Evidence, type Fingerprint, fingerprintOf, markerBytesMax } from './identity.js';

/** A batch before the host has it. */
export interface BatchParts {
  readonly output: Buffer;
  /** The part of the source that it is made of. */
  readonly from: number;
  readonly to: number;
  /** How many bytes the generation gave before. */
  readonly given: number;
  /** The up to 64 bytes of the source before `to`. */
  readonly tail: Buffer;
  readonly isCut: boolean;
  readonly framing: FramingOptions;
  /** Called once, when the batch is settled. */
  readonly release: () => void;
}

const nothing: Fingerprint = { bytes: 0, crc32: 0 };

/**
 * One life of a file's contents: what was read of it, what was accepted, and how to know it again. It outlives
 * the file when there is a copy; batches of it can be acknowledged also when there is none.
 */
export class Generation {
  readonly id: string;
  path: string;
  /** Empty when it is known that the inode has other contents. */
  key: string;
  born: string | undefined;
  /** Of the first bytes, as far as they were seen. */
  head: Fingerprint;
  readonly ledger: AckLedger;
  /** Where the next bytes are read, in bytes of the source. */
  readOffset: number;
  /** How many bytes of messages were made of what is before. */
  readGiven: number;
  /** The up to 64 bytes before `readOffset`; `undefined` when they have to be looked up. */
  tail: Buffer | undefined;
  /** What they have to be, when they have to be looked up and that is known. */
  marker: Fingerprint;
  /** Since when no file has the contents, in ms since 1970. */
  lostMs: number | undefined;
  modifiedMs: number;
  readonly #book: CheckpointBook;
  readonly #log: PluginLog;
  /** Parts at and behind `readOffset` that must not be read, ascending. */
  readonly #given: Span[];
  #isForgotten = false;
  #hasLoggedNack = false;

  private constructor(checkpoint: Checkpoint, book: CheckpointBook, log: PluginLog) {
    this.id = checkpoint.id;
    this.path = checkpoint.path;
    this.key = checkpoint.key;
    this.born = checkpoint.born;
    this.head = checkpoint.head;
    const { offset, given, marker, islands } = checkpoint;
    this.ledger = new AckLedger({ offset, given, marker }, islands);
    this.readOffset = offset;
    this.readGiven = given;
    this.marker = marker;
    this.lostMs = checkpoint.lostMs;
    this.modifiedMs = checkpoint.modifiedMs;
    this.#given = [...this.ledger.islands];
    this.#book = book;
    this.#log = log;
  }

  static resume(checkpoint: Checkpoint, book: CheckpointBook, log: PluginLog): Generation {
    return new Generation(checkpoint, book, log);
  }

  /** Begins a generation whose bytes before `offset` are not wanted. */
  static begin(
    file: { readonly path: string; readonly status: FileStatus; readonly head: Uint8Array },
    offset: number,
    book: CheckpointBook,
    log: PluginLog,
  ): Generation {
    const id = createGenerationId();
    const { path, status, head } = file;
    const { key, born } = status;
    const identity = { id, path, key, born, head: fingerprintOf(head), marker: nothing };
    const place = { offset, given: offset, islands: [], modifiedMs: toMs(status) };
    return new Generation({ version: 2, ...identity, ...place }, book, log);
  }

  /** What tells a file of this generation: up to what was accepted, or up to what was read. */
  evidence(at: 'accepted' | 'read'): Evidence {
    const { key, born, head } = this;
    if (at === 'accepted') {
      const { offset, marker } = this.ledger.lowWater;
      return { key, born, head, offset, marker };
    }
    const marker = this.tail === undefined ? this.marker : fingerprintOf(this.tail);
    return { key, born, head, offset: this.readOffset, marker };
  }

  /** Takes notice of the file that has the contents now. */
  attach(path: string, status: FileStatus): void {
    this.path = path;
    this.key = status.key;
    this.born = status.born;
    this.lostMs = undefined;
    this.modifiedMs = toMs(status);
  }

  /**
   * The file of its inode has other contents now, and may get bytes that the evidence fits. After a kill it is looked for by
   * its contents alone. Resolves when that is durable.
   */
  detach(): Promise<void> {
    this.key = '';
    this.born = undefined;
    return this.save();
  }

  /** Goes past the parts that must not be read; returns where the next of them begins. */
  skipGiven(): number {
    for (let next = this.#given[0]; next !== undefined; next = this.#given[0]) {
      if (next.from > this.readOffset) return next.from;
      if (next.end.offset > this.readOffset) this.#moveTo(next.end, undefined);
      this.#given.shift();
    }
    return Number.POSITIVE_INFINITY;
  }

  /** Makes the next batch of `batches`, and moves on behind it. */
  next(parts: BatchParts): InputBatch {
    const end = endOf(parts);
    this.#moveTo(end, parts.tail);
    return this.#createBatch(parts, end);
  }

  /** Makes a batch of an earlier run again; `batches` leaves its part out. */
  repeat(parts: BatchParts): InputBatch {
    const end = endOf(parts);
    this.#given.push({ from: parts.from, end });
    this.#given.sort((left, right) => left.from - right.from);
    return this.#createBatch(parts, end);
  }

  /** Leaves out a part for good, and moves on behind it. */
  async leaveOut(to: number, tail: Buffer): Promise<void> {
    const end = { offset: to, given: this.readGiven, marker: fingerprintOf(tail) };
    this.ledger.accept(this.readOffset, end);
    this.#moveTo(end, tail);
    await this.save();
  }

  /** Resolves when the checkpoint is durable, or gone when the generation was forgotten and all is accepted. */
  save(): Promise<void> {
    if (!this.#isForgotten) return this.#book.save(this.#checkpoint());
    return this.isAccepted ? this.#book.remove(this.id) : this.#book.save(this.#checkpoint());
  }

  /** True when the bus has accepted all that was read. */
  get isAccepted(): boolean {
    return this.ledger.lowWater.offset >= this.readOffset && this.ledger.unsettledCount === 0;
  }

  /** There will be no file of it any more: its checkpoint goes once all that was read is accepted. */
  forget(): Promise<void> {
    this.#isForgotten = true;
    return this.save();
  }

  #checkpoint(): Checkpoint {
    const { id, path, key, born, head, lostMs, modifiedMs } = this;
    const { lowWater, islands } = this.ledger;
    const identity = { id, path, key, born, head, modifiedMs, lostMs };
    return { version: 2, ...identity, ...lowWater, islands };
  }

  #moveTo(end: Mark, tail: Buffer | undefined): void {
    this.readOffset = end.offset;
    this.readGiven = end.given;
    this.tail = tail;
    this.marker = end.marker;
  }

  #createBatch(parts: BatchParts, end: Mark): InputBatch {
    const { output, from, to, given, isCut, framing } = parts;
    this.ledger.unsettledCount += 1;
    let settled: Promise<void> | undefined;
    const settle = (isAccepted: boolean): Promise<void> => {
      parts.release();
      this.ledger.unsettledCount -= 1;
      if (isAccepted) this.ledger.accept(from, end);
      else this.#logNack(from);
      return isAccepted ? this.save() : Promise.resolve();
    };
    const { id, path } = this;
    const { marker } = end;
    return {
      bytes: output,
      origin: { source: path, id, offset: given },
      range: formatRange({ id, from, to, given, bytes: output.length, marker, isCut, framing }),
      ack: () => {
        settled ??= settle(true);
        return settled;
      },
      nack: () => {
        settled ??= settle(false);
        return settled;
      },
    };
  }

  #logNack(offset: number): void {
    if (this.#hasLoggedNack) return;
    this.#hasLoggedNack = true;
    this.#log.warn('Lines of a file were not accepted; they are read again at the next start.', {
      file: this.path,
      offset,
    });
  }
}

/** The last bytes before a place, of what was before and what came. */
export function tailOf(before: Buffer, bytes: Buffer): Buffer {
  if (bytes.length >= markerBytesMax) return Buffer.from(bytes.subarray(-markerBytesMax));
  return Buffer.concat([before, bytes]).subarray(-markerBytesMax);
}

function endOf({ to, given, output, tail }: BatchParts): Mark {
  return { offset: to, given: given + output.length, marker: fingerprintOf(tail) };
}

function toMs({ modifiedNs }: FileStatus): number {
  return Number(modifiedNs / 1_000_000n);
}

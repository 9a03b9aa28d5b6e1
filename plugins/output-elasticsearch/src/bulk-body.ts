import type { OutputBatch } from '@chukcha/plugin-api';
import type { BodyBuffers } from './body-buffers.js';
import { documentIdPrefix } from './document-id.js';
import type { MessageReader } from './message-reader.js';

const newline = 0x0a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const digitZero = 0x30;

const int32Max = 0x7fffffff;

/** The longest offset of a message, in digits: that of Number.MAX_SAFE_INTEGER. */
const offsetDigitsMax = 16;

/** From about this size of a message on, copying the batch once more costs more than it saves. */
const stagedMessageBytesMax = 400;

/** A message that is not sent. */
export interface RefusedMessage {
  readonly index: number;
  readonly reason: string;
}

/** The body of one request, and which messages it has. */
export interface BulkBody {
  readonly bytes: Buffer;
  /** The index in the batch of each message that is in it, in order. */
  readonly indexes: Uint32Array;
}

/**
 * Makes the bodies of `_bulk` requests for one batch: before each message an action line, both copied once, nothing else
 * done to a message that is a JSON object. It goes through the batch once; {@link next} gives body after body.
 */
export class BulkBodies {
  readonly #batch: OutputBatch;
  readonly #source: Buffer;
  /** The same bytes as {@link #source}: parts of a plain array are made at half the cost. */
  readonly #plainSource: Uint8Array;
  readonly #reader: MessageReader;
  readonly #buffers: BodyBuffers;
  readonly #idPrefix: string;
  readonly #head: Buffer;
  readonly #tail: Buffer;
  /** Whether messages that look like objects go through {@link #appendRun}. */
  readonly #canRun: boolean;
  readonly refused: RefusedMessage[] = [];
  /** How far a message stands behind its place in the batch, in the target; minus infinity when none is there. */
  #stagedShift = Number.NEGATIVE_INFINITY;
  /** Where the next message starts, its index, and the place in `only`. */
  #at = 0;
  #index = 0;
  #onlyAt = 0;
  #target: Uint8Array;
  #length = 0;
  /** The action line with any offset, up to which offset it has enough digits, and where one stands in the target. */
  #line = Buffer.alloc(0);
  #lineOffsetEnd = 0;
  #lineAt = -1;

  constructor(batch: OutputBatch, reader: MessageReader, buffers: BodyBuffers) {
    this.#batch = batch;
    const { bytes } = batch;
    this.#source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#plainSource = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#reader = reader;
    this.#buffers = buffers;
    const { action, id } = reader;
    this.#idPrefix = documentIdPrefix(batch);
    const [head, tail] =
      id === 'auto'
        ? [`{"${action}":{}}\n`, '']
        : [`{"${action}":{"_id":"${this.#idPrefix}`, '"}}\n'];
    this.#head = Buffer.from(head);
    this.#tail = Buffer.from(tail);
    this.#target = buffers.empty;
    const isShort = bytes.length < batch.messageCount * stagedMessageBytesMax;
    this.#canRun = isShort && batch.only === undefined && !reader.wrapsAll && !reader.readsFields;
  }

  /** The next body of at most so many bytes, or of one message that is larger; `undefined` when all messages were in one. */
  next(bodyBytesMax: number): BulkBody | undefined {
    if (this.#at >= this.#source.length) return undefined;
    this.#target = this.#buffers.take(this.#expectedBytes(bodyBytesMax));
    this.#length = 0;
    this.#lineAt = -1;
    this.#stage();
    const indexes = new Uint32Array(this.#batch.messageCount - this.#index);
    let count = 0;
    while (this.#skipToWanted()) {
      if (this.#canRun) {
        count = this.#appendRun(bodyBytesMax, indexes, count);
        if (this.#at >= this.#source.length) break;
      }
      const end = this.#source.indexOf(newline, this.#at);
      const lengthBefore = this.#length;
      // Most messages take at least as many bytes as they have; with an action line it may still become too much.
      if (count > 0 && lengthBefore + this.#head.length + end - this.#at > bodyBytesMax) break;
      const refusal = this.#append(this.#at, end);
      if (refusal !== undefined) {
        this.#length = lengthBefore;
        this.refused.push({ index: this.#index, reason: refusal });
      } else if (this.#length > bodyBytesMax && count > 0) {
        this.#length = lengthBefore;
        break;
      } else {
        indexes[count] = this.#index;
        count += 1;
      }
      this.#at = end + 1;
      this.#index += 1;
    }
    if (count === 0) {
      this.#buffers.giveBack(this.#target);
      return undefined;
    }
    const bytes = Buffer.from(this.#target.buffer, 0, this.#length);
    return { bytes, indexes: indexes.subarray(0, count) };
  }

  /** Every message that is still to be sent, for when the target cannot be reached any more. */
  *rest(): Generator<number> {
    while (this.#skipToWanted()) {
      yield this.#index;
      this.#at = this.#source.indexOf(newline, this.#at) + 1;
      this.#index += 1;
    }
  }

  /** What is left, with action lines, when no message is changed. */
  #expectedBytes(bodyBytesMax: number): number {
    const perMessage = this.#head.length + offsetDigitsMax + this.#tail.length;
    const messageCount = this.#batch.only?.length ?? this.#batch.messageCount - this.#index;
    const left = this.#source.length - this.#at + messageCount * perMessage;
    return Math.min(left, bodyBytesMax);
  }

  /** Goes to the next message that is to be sent; false when there is none. */
  #skipToWanted(): boolean {
    const { only } = this.#batch;
    if (only !== undefined) {
      while ((only[this.#onlyAt] ?? Number.POSITIVE_INFINITY) < this.#index) this.#onlyAt += 1;
      const wanted = only[this.#onlyAt];
      if (wanted === undefined) this.#at = this.#source.length;
      while (wanted !== undefined && this.#index < wanted && this.#at < this.#source.length) {
        this.#at = this.#source.indexOf(newline, this.#at) + 1;
        this.#index += 1;
      }
    }
    return this.#at < this.#source.length;
  }

  /** Copies what is left of the batch to the end of the target, from where single messages are moved to their places. */
  #stage(): void {
    this.#stagedShift = Number.NEGATIVE_INFINITY;
    if (!this.#canRun) return;
    const left = this.#plainSource.subarray(this.#at, this.#at + this.#target.length);
    const start = this.#target.length - left.length;
    this.#target.set(left, start);
    this.#stagedShift = start - this.#at;
  }

  /**
   * Appends messages as long as they look like objects and nothing has to be made for them; returns how many are in the
   * body then. It does what {@link #append} does, in half the time: no call makes an object, because a message is moved
   * within the target, where it stands further behind as long as the action lines before it have not reached it.
   */
  #appendRun(bodyBytesMax: number, indexes: Uint32Array, countBefore: number): number {
    const source = this.#source;
    const target = this.#target;
    const line = this.#line;
    const headLength = this.#head.length;
    const digitsEnd = line.length - this.#tail.length;
    const lengthMax = Math.min(bodyBytesMax, target.length);
    const batchOffset = this.#batch.offset;
    const stagedShift = this.#stagedShift;
    let count = countBefore;
    let at = this.#at;
    let length = this.#length;
    let lineAt = this.#lineAt;
    while (lineAt !== -1 && at < source.length && batchOffset + at < this.#lineOffsetEnd) {
      const end = source.indexOf(newline, at) + 1;
      const messageAt = length + line.length;
      const next = messageAt + end - at;
      const staged = stagedShift + at;
      if (next > lengthMax || messageAt > staged || !isObject(source, at, end - 1)) break;
      target.copyWithin(length, lineAt, lineAt + line.length);
      writeDigits(target, length + headLength, length + digitsEnd, batchOffset + at);
      target.copyWithin(messageAt, staged, staged + end - at);
      lineAt = length;
      length = next;
      indexes[count] = this.#index;
      this.#index += 1;
      count += 1;
      at = end;
    }
    this.#at = at;
    this.#length = length;
    this.#lineAt = lineAt;
    return count;
  }

  /** Appends the message from `start` to before `end`; returns why it cannot be sent when that is so. */
  #append(start: number, end: number): string | undefined {
    const reader = this.#reader;
    const source = this.#source;
    const plain = !reader.wrapsAll && isObject(source, start, end);
    if (plain && !reader.readsFields) {
      this.#appendAction(start);
      this.#appendBytes(this.#plainSource, start, end + 1);
      return undefined;
    }
    const document = plain ? undefined : reader.wrap(source, start, end);
    if (typeof document === 'string') return document;
    if (!reader.readsFields) {
      this.#appendAction(start);
    } else {
      const action = reader.readAction(
        document ?? source.subarray(start, end),
        `${this.#idPrefix}${this.#batch.offset + start}`,
      );
      if (typeof action === 'string') return action;
      this.#appendBytes(action.line, 0, action.line.length);
    }
    if (document === undefined) this.#appendBytes(this.#plainSource, start, end + 1);
    else this.#appendBytes(document, 0, document.length);
    return undefined;
  }

  /**
   * The action line of a message at this place in the batch: a copy of the last one with another offset, when that has as
   * many digits, because moving bytes within the target is the cheapest of all ways to write them.
   */
  #appendAction(start: number): void {
    const offset = this.#batch.offset + start;
    if (offset >= this.#lineOffsetEnd) this.#formatLine(offset);
    const line = this.#line;
    this.#reserve(line.length);
    const at = this.#length;
    if (this.#lineAt === -1) this.#target.set(line, at);
    else this.#target.copyWithin(at, this.#lineAt, this.#lineAt + line.length);
    writeDigits(this.#target, at + this.#head.length, line.length - this.#tail.length + at, offset);
    this.#lineAt = at;
    this.#length = at + line.length;
  }

  /** Makes the action line for this offset, which serves all that have as many digits. */
  #formatLine(offset: number): void {
    const digits = this.#reader.id === 'auto' ? '' : String(offset);
    this.#line = Buffer.concat([this.#head, Buffer.from(digits), this.#tail]);
    this.#lineOffsetEnd = digits === '' ? Number.POSITIVE_INFINITY : 10 ** digits.length;
    this.#lineAt = -1;
  }

  #appendBytes(from: Uint8Array, start: number, end: number): void {
    const byteCount = end - start;
    this.#reserve(byteCount);
    this.#target.set(from.subarray(start, end), this.#length);
    this.#length += byteCount;
  }

  #reserve(byteCount: number): void {
    const needed = this.#length + byteCount;
    if (needed <= this.#target.length) return;
    this.#target = this.#buffers.grow(this.#target, this.#length, needed);
    this.#stagedShift = Number.NEGATIVE_INFINITY;
  }
}

/** Whether a message looks like a JSON object; the server has the last word. */
function isObject(bytes: Buffer, start: number, end: number): boolean {
  let first = start;
  while (first < end && isSpace(bytes[first] as number)) first += 1;
  let last = end - 1;
  while (last > first && isSpace(bytes[last] as number)) last -= 1;
  return last > first && bytes[first] === openBrace && bytes[last] === closeBrace;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0d;
}

/** Writes the last digits of a whole number from `start` to before `end`. */
function writeDigits(target: Uint8Array, start: number, end: number, value: number): void {
  let rest = value;
  let place = end - 1;
  // Whole numbers below 2^31 are divided several times as fast.
  for (; rest > int32Max; place -= 1) {
    const tenth = Math.floor(rest / 10);
    target[place] = digitZero + (rest - tenth * 10);
    rest = tenth;
  }
  for (let small = rest | 0; place >= start; place -= 1) {
    const tenth = (small / 10) | 0;
    target[place] = digitZero + (small - tenth * 10);
    small = tenth;
  }
}

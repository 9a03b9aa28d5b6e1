import type { OutputBatch } from '@chukcha/plugin-api';
import type { BodyBuffers } from './body-buffers.js';
import { documentIdPrefix } from './document-id.js';
import type { MessageReader } from './message-reader.js';

const newline = 0x0a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const digitZero = 0x30;

/** Below this many bytes a loop copies faster than the call of the runtime that copies. */
const loopCopyBytesMax = 48;

/** The longest offset of a message, in digits: that of Number.MAX_SAFE_INTEGER. */
const offsetDigitsMax = 16;

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
  readonly #reader: MessageReader;
  readonly #buffers: BodyBuffers;
  readonly #head: Buffer;
  readonly #tail: Buffer;
  readonly refused: RefusedMessage[] = [];
  /** Where the next message starts, its index, and the place in `only`. */
  #at = 0;
  #index = 0;
  #onlyAt = 0;
  #target: Buffer;
  #length = 0;

  constructor(batch: OutputBatch, reader: MessageReader, buffers: BodyBuffers) {
    this.#batch = batch;
    const { bytes } = batch;
    this.#source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#reader = reader;
    this.#buffers = buffers;
    const { action, id } = reader;
    const prefix = id === 'auto' ? '' : `"_id":"${documentIdPrefix(batch)}`;
    this.#head = Buffer.from(`{"${action}":{${prefix}`);
    this.#tail = Buffer.from(id === 'auto' ? '}}\n' : '"}}\n');
    this.#target = buffers.empty;
  }

  /** The next body of at most so many bytes, or of one message that is larger; `undefined` when all messages were in one. */
  next(bodyBytesMax: number): BulkBody | undefined {
    if (this.#at >= this.#source.length) return undefined;
    this.#target = this.#buffers.take(this.#expectedBytes(bodyBytesMax));
    this.#length = 0;
    const indexes = new Uint32Array(this.#batch.messageCount - this.#index);
    let count = 0;
    while (this.#skipToWanted()) {
      const end = this.#source.indexOf(newline, this.#at);
      const lengthBefore = this.#length;
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
    return { bytes: this.#target.subarray(0, this.#length), indexes: indexes.subarray(0, count) };
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

  /** Appends the message from `start` to before `end`; returns why it cannot be sent when that is so. */
  #append(start: number, end: number): string | undefined {
    const reader = this.#reader;
    const source = this.#source;
    const plain = !reader.wrapsAll && isObject(source, start, end);
    if (plain && !reader.readsFields) {
      this.#appendAction(start);
      this.#appendBytes(source, start, end + 1);
      return undefined;
    }
    const document = plain ? undefined : reader.wrap(source, start, end);
    if (typeof document === 'string') return document;
    if (!reader.readsFields) {
      this.#appendAction(start);
    } else {
      const action = reader.readAction(
        document ?? source.subarray(start, end),
        () => `${documentIdPrefix(this.#batch)}${this.#batch.offset + start}`,
      );
      if (typeof action === 'string') return action;
      this.#appendBytes(action.line, 0, action.line.length);
    }
    if (document === undefined) this.#appendBytes(source, start, end + 1);
    else this.#appendBytes(document, 0, document.length);
    return undefined;
  }

  /** The action line of a message at this place in the batch. */
  #appendAction(start: number): void {
    const head = this.#head;
    const tail = this.#tail;
    this.#reserve(head.length + offsetDigitsMax + tail.length);
    const target = this.#target;
    let at = this.#length;
    for (let from = 0; from < head.length; from += 1) target[at + from] = head[from] as number;
    at += head.length;
    if (this.#reader.id !== 'auto') at = writeDecimal(target, at, this.#batch.offset + start);
    for (let from = 0; from < tail.length; from += 1) target[at + from] = tail[from] as number;
    this.#length = at + tail.length;
  }

  #appendBytes(from: Buffer, start: number, end: number): void {
    const byteCount = end - start;
    this.#reserve(byteCount);
    const target = this.#target;
    const at = this.#length;
    if (byteCount <= loopCopyBytesMax) {
      for (let index = 0; index < byteCount; index += 1)
        target[at + index] = from[start + index] as number;
    } else {
      from.copy(target, at, start, end);
    }
    this.#length = at + byteCount;
  }

  #reserve(byteCount: number): void {
    const needed = this.#length + byteCount;
    if (needed <= this.#target.length) return;
    this.#target = this.#buffers.grow(this.#target, this.#length, needed);
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

/** Writes a whole number that is not negative; returns where it ends. */
function writeDecimal(target: Buffer, at: number, value: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits += 1;
  let rest = value;
  for (let place = at + digits - 1; place >= at; place -= 1) {
    const tenth = Math.floor(rest / 10);
    target[place] = digitZero + (rest - tenth * 10);
    rest = tenth;
  }
  return at + digits;
}

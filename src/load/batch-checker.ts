import type { BatchHead, BatchLayout } from './batch-layout.js';

export interface CheckerEvents {
  /** A batch came whole, and every byte of it is as it was written. */
  found(head: BatchHead): void;
  /** What came is not what was written; what is wrong, as a sentence. */
  broken(sentence: string): void;
}

/** A batch of which not all has come yet. */
interface PartOfBatch {
  readonly head: BatchHead;
  readonly chunk: string;
  /** How much of it has come, and where in the chunk the rest must be. */
  byteCount: number;
  nextOffset: number;
}

const newline = 0x0a;

/** Compares what one owner's chunks have with what was written, batch by batch, however it is cut when it is read. */
export class BatchChecker {
  readonly #layout: BatchLayout;
  readonly #events: CheckerEvents;
  #part: PartOfBatch | undefined;
  /** One finding for each broken place: until the next batch begins, nothing more is said of it. */
  #isLost = false;

  constructor(layout: BatchLayout, events: CheckerEvents) {
    this.#layout = layout;
    this.#events = events;
  }

  /** @param bytes whole messages that stand at an offset of a chunk */
  take(chunk: string, offset: number, bytes: Buffer): void {
    this.#checkPlace(chunk, offset);
    for (let at = 0; at < bytes.length; ) {
      const part = this.#part ?? this.#begin(chunk, offset, bytes, at);
      if (part === undefined) {
        at = nextLine(bytes, at);
        continue;
      }
      at = this.#goOn(part, offset, bytes, at);
    }
  }

  /** A batch is in one chunk, in one piece. */
  #checkPlace(chunk: string, offset: number): void {
    const part = this.#part;
    if (part === undefined || (part.chunk === chunk && part.nextOffset === offset)) return;
    this.#break(`${describe(part)} goes on in ${chunk} at ${offset}`);
  }

  #begin(chunk: string, offset: number, bytes: Buffer, at: number): PartOfBatch | undefined {
    const { lineBytes } = this.#layout;
    const head = this.#layout.parseHead(bytes, at);
    if (head === undefined) {
      if (!this.#isLost)
        this.#break(`${chunk} has at ${offset + at} what is no beginning of a batch`);
      return undefined;
    }
    this.#isLost = false;
    // The head's line is compared already.
    this.#part = { head, chunk, byteCount: 0, nextOffset: offset + at };
    if (at + lineBytes > bytes.length) this.#break(`${describe(this.#part)} has a torn first line`);
    return this.#part;
  }

  /** Returns where to go on. */
  #goOn(part: PartOfBatch, offset: number, bytes: Buffer, at: number): number {
    const { byteCount, lineBytes } = this.#layout;
    let place = part.byteCount;
    let from = at;
    if (place === 0) {
      place += lineBytes;
      from += lineBytes;
    }
    if (!this.#layout.matches(bytes, from, place)) {
      this.#break(`${describe(part)} is not what was written`);
      // What stands in the place of the rest may be the beginning of another batch.
      return from === at ? at : nextLine(bytes, at);
    }
    const end = Math.min(bytes.length, from + byteCount - place);
    part.byteCount = place + end - from;
    part.nextOffset = offset + end;
    if (part.byteCount === byteCount) {
      this.#part = undefined;
      this.#events.found(part.head);
    }
    return end;
  }

  #break(sentence: string): void {
    this.#part = undefined;
    this.#isLost = true;
    this.#events.broken(`${sentence}.`);
  }
}

function describe({ head, chunk, byteCount, nextOffset }: PartOfBatch): string {
  return `Batch ${head.sequence} of writer ${head.writer} in ${chunk}, of which ${byteCount} bytes came up to ${nextOffset},`;
}

function nextLine(bytes: Buffer, at: number): number {
  const end = bytes.indexOf(newline, at);
  return end === -1 ? bytes.length : end + 1;
}

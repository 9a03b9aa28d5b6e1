import { ChukchaError } from '../protocol/chukcha-error.js';
import type { ListedChunk } from '../protocol/http-api.js';
import { parseChunkName } from '../protocol/names.js';
import { compareOwnerPositions, type OwnerPosition } from '../protocol/position.js';
import type { ReadAnswer } from './client.js';

/** A chunk of the owner that the group has still to acknowledge, as the last listing showed it. */
interface KnownChunk {
  readonly index: number;
  readonly name: string;
  size: number;
  sealed: boolean;
}

/** What to read next. */
export interface ReadPlan {
  readonly chunk: string;
  readonly index: number;
  readonly offset: number;
  /** True when nothing more is known to be there, so the read should wait for it. */
  readonly atEnd: boolean;
}

/** How many chunks are read at one time. More than that costs connections and gains little. */
const plannedChunkCountMax = 16;

/** A chunk that was processed whole. */
export interface FinishedChunk {
  readonly chunk: string;
  readonly size: number;
}

/**
 * Where a consumer stands in the chunks of one owner, twice: how far it has read, and how far what was
 * read is processed. It reads the chunks in the order of their indexes and never goes back. It does no
 * work of its own: listings and answers go in, plans come out.
 */
export class OwnerCursor {
  readonly owner: string;
  #chunks: KnownChunk[] = [];
  #readTo: OwnerPosition;
  #processedTo: OwnerPosition;
  /** Ends of batches that were handed out, oldest first; those in front that are processed are taken off. */
  readonly #handedOut: { readonly end: OwnerPosition; processed: boolean }[] = [];

  constructor(owner: string, start: OwnerPosition) {
    this.owner = owner;
    this.#readTo = start;
    this.#processedTo = start;
  }

  get processedTo(): OwnerPosition {
    return this.#processedTo;
  }

  /** Takes over a new listing of the owner's chunks. */
  update(chunks: readonly ListedChunk[]): void {
    this.#chunks = chunks
      .map((chunk) => ({
        index: parseChunkName(chunk.name)?.index ?? 0,
        name: chunk.name,
        size: chunk.size,
        sealed: chunk.complete,
      }))
      .sort((left, right) => left.index - right.index);
  }

  /**
   * What to read next; `undefined` when the owner has no chunk that is not read to its sealed end. From the
   * end of a sealed chunk it goes on to the start of the next one that is listed.
   */
  plan(): ReadPlan | undefined {
    const chunk = this.#current();
    if (chunk === undefined) return undefined;
    if (chunk.index > this.#readTo.index) this.#readTo = { index: chunk.index, offset: 0 };
    const { offset } = this.#readTo;
    return { chunk: chunk.name, index: chunk.index, offset, atEnd: offset >= chunk.size };
  }

  /**
   * What to read at one time, in order: what `plan` says, and where that is the end of a small sealed chunk, the
   * small sealed chunks behind it. All of them together have at most `byteCountMax` bytes.
   */
  plans(byteCountMax: number): ReadPlan[] {
    const first = this.plan();
    if (first === undefined) return [];
    const plans = [first];
    const start = this.#chunks.findIndex((chunk) => chunk.name === first.chunk);
    let byteCount = -first.offset;
    for (const chunk of this.#chunks.slice(start, start + plannedChunkCountMax)) {
      byteCount += chunk.size;
      if (!chunk.sealed || byteCount > byteCountMax) break;
      const { name, index } = chunk;
      if (name !== first.chunk) plans.push({ chunk: name, index, offset: 0, atEnd: false });
    }
    return plans;
  }

  /** Whether more is known to be there than was read. */
  get hasMore(): boolean {
    return this.plan()?.atEnd === false;
  }

  /**
   * Takes note of what the read of the last plan brought; listings may have come in between. Returns the
   * place behind the bytes.
   */
  receive(plan: ReadPlan, answer: ReadAnswer): OwnerPosition {
    if (answer.nextOffset !== plan.offset + answer.bytes.length) {
      throw new ChukchaError(
        'invalid_response',
        `A read of ${plan.chunk} at ${plan.offset} brought ${answer.bytes.length} bytes, but says to go on at ${answer.nextOffset}.`,
      );
    }
    const chunk = this.#chunks.find((known) => known.name === plan.chunk);
    if (chunk !== undefined) {
      // The listing may be younger than the answer; neither a size nor a seal ever goes back.
      chunk.size = Math.max(chunk.size, answer.chunkSize);
      chunk.sealed ||= answer.state === 'sealed';
    }
    this.#readTo = { index: plan.index, offset: answer.nextOffset };
    return this.#readTo;
  }

  /** Takes note that a batch was handed out, and returns how to say that it is processed. */
  handOut(end: OwnerPosition): () => void {
    const entry = { end, processed: false };
    this.#handedOut.push(entry);
    return () => {
      entry.processed = true;
      while (this.#handedOut[0]?.processed === true) {
        this.#processedTo = this.#handedOut.shift()?.end ?? this.#processedTo;
      }
    };
  }

  /** The sealed chunks that are processed to their end and that the last listing still showed, oldest first. */
  *finished(): Generator<FinishedChunk> {
    for (const chunk of this.#chunks) {
      if (!this.#isBehind(chunk, this.#processedTo)) return;
      if (chunk.sealed) yield { chunk: chunk.name, size: chunk.size };
    }
  }

  /** Whether everything of the chunk that the plan is about was read, and nothing more can come of it. */
  hasFinished(plan: ReadPlan): boolean {
    const chunk = this.#chunks.find((known) => known.name === plan.chunk);
    return chunk === undefined || (chunk.sealed && this.#isBehind(chunk, this.#readTo));
  }

  /** Forgets a chunk that was acknowledged, by this consumer or another one of its group. */
  forget(chunkName: string): void {
    const at = this.#chunks.findIndex((chunk) => chunk.name === chunkName);
    if (at !== -1) this.#chunks.splice(at, 1);
  }

  hasReadTo(target: OwnerPosition): boolean {
    return compareOwnerPositions(this.#readTo, target) >= 0;
  }

  /** The end of what the last listing showed; `undefined` when that was nothing. */
  listedEnd(): OwnerPosition | undefined {
    const last = this.#chunks.at(-1);
    return last === undefined ? undefined : { index: last.index, offset: last.size };
  }

  #current(): KnownChunk | undefined {
    const { index } = this.#readTo;
    return this.#chunks.find(
      (chunk) => chunk.index >= index && !(chunk.sealed && this.#isBehind(chunk, this.#readTo)),
    );
  }

  /** Whether the position is at or behind the end of the chunk. */
  #isBehind(chunk: KnownChunk, position: OwnerPosition): boolean {
    return (
      position.index > chunk.index ||
      (position.index === chunk.index && position.offset >= chunk.size)
    );
  }
}

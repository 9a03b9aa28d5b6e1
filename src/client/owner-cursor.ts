import { ChukchaError } from '../protocol/chukcha-error.js';
import type { ListedChunk } from '../protocol/http-api.js';
import { parseChunkName } from '../protocol/names.js';
import { compareOwnerPositions, type OwnerPosition } from '../protocol/position.js';
import type { ReadAnswer } from './client-calls.js';

/** A chunk of the owner that the group has still to acknowledge, as the node that had most of it showed it. */
interface KnownChunk {
  readonly index: number;
  readonly name: string;
  size: number;
  /** The node that has shown it sealed and whole; `undefined` while it may be longer than any node has shown. */
  sealedAt: string | undefined;
}

/** Where a list comes from. */
export interface ListSource {
  readonly server: string;
  /** Whether there is no other node, so that a chunk that is not listed is not there. */
  readonly isAlone: boolean;
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
  /** A node that has shown it whole, so that it can take the acknowledgement. */
  readonly sealedAt: string;
}

/**
 * Where a consumer stands in the chunks of one owner, twice: how far it has read, and how far what was
 * read is processed. It reads the chunks in the order of their indexes and never goes back. It does no
 * work of its own: listings and answers go in, plans come out.
 *
 * They may come from several nodes, each of which has a prefix of what there is, and another prefix than the others.
 * What one node has shown stays known when another one lags. A node lists a chunk only when every one before it
 * is complete there, acknowledged, or lost for good: that is why one place is enough, and how a list tells what is gone.
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

  /** What is processed of the chunks that the group has not acknowledged yet, in bytes. */
  get processedBytes(): number {
    const { index, offset } = this.#processedTo;
    let sum = 0;
    for (const chunk of this.#chunks) {
      if (chunk.index > index) break;
      sum += chunk.index < index ? chunk.size : Math.min(offset, chunk.size);
    }
    return sum;
  }

  /** Takes over a node's listing of the owner's chunks. */
  update(chunks: readonly ListedChunk[], { server, isAlone }: ListSource): void {
    const known = new Map(this.#chunks.map((chunk) => [chunk.index, chunk]));
    const listed = chunks
      .map((chunk): KnownChunk => {
        const index = parseChunkName(chunk.name)?.index ?? 0;
        const next: KnownChunk = known.get(index) ?? {
          index,
          name: chunk.name,
          size: 0,
          sealedAt: undefined,
        };
        show(next, chunk.size, chunk.complete ? server : undefined);
        return next;
      })
      .sort((left, right) => left.index - right.index);
    const lastIndex = listed.at(-1)?.index ?? -1;
    // What is missing before the last one was acknowledged or lost; what is missing behind it may be still to come.
    const behind = isAlone ? [] : this.#chunks.filter((chunk) => chunk.index > lastIndex);
    this.#chunks = [...listed, ...behind];
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
      if (chunk.sealedAt === undefined || byteCount > byteCountMax) break;
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
      show(chunk, answer.chunkSize, answer.state === 'sealed' ? answer.server : undefined);
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

  /** The sealed chunks that are processed to their end and still known, oldest first. */
  *finished(): Generator<FinishedChunk> {
    for (const chunk of this.#chunks) {
      if (!this.#isBehind(chunk, this.#processedTo)) return;
      const { name, size, sealedAt } = chunk;
      if (sealedAt !== undefined) yield { chunk: name, size, sealedAt };
    }
  }

  /** Whether everything of the chunk that the plan is about was read, and nothing more can come of it. */
  hasFinished(plan: ReadPlan): boolean {
    const chunk = this.#chunks.find((known) => known.name === plan.chunk);
    return chunk === undefined || this.#isReadToSeal(chunk);
  }

  /** Whether a node that brought nothing for the plan lacks what another one has shown. */
  isMissing(plan: ReadPlan): boolean {
    const next = this.plan();
    return next?.chunk === plan.chunk && next.offset === plan.offset && !next.atEnd;
  }

  /** Goes on behind a chunk that every group has acknowledged: some node may list it for a while yet. */
  pass({ chunk, index }: ReadPlan): void {
    this.forget(chunk);
    const end = { index: index + 1, offset: 0 };
    if (this.hasReadTo(end)) return;
    this.#readTo = end;
    this.handOut(end)();
  }

  /** Forgets a chunk that was acknowledged. */
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
    return this.#chunks.find((chunk) => chunk.index >= index && !this.#isReadToSeal(chunk));
  }

  #isReadToSeal(chunk: KnownChunk): boolean {
    return chunk.sealedAt !== undefined && this.#isBehind(chunk, this.#readTo);
  }

  /** Whether the position is at or behind the end of the chunk. */
  #isBehind(chunk: KnownChunk, position: OwnerPosition): boolean {
    return (
      position.index > chunk.index ||
      (position.index === chunk.index && position.offset >= chunk.size)
    );
  }
}

/**
 * Takes note of what a node has shown of a chunk. While it is open a size never goes back, because a node that has less
 * lags. What is sealed has its last size, also where that is less than was read: a power failure took the rest.
 */
function show(chunk: KnownChunk, size: number, sealedAt: string | undefined): void {
  if (sealedAt === undefined) {
    if (chunk.sealedAt === undefined) chunk.size = Math.max(chunk.size, size);
    return;
  }
  chunk.size = size;
  chunk.sealedAt = sealedAt;
}

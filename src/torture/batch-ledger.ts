import { crc32 } from '../common/crc32.js';
import type { WriteReceipt } from '../protocol/http-api.js';
import type { FoundBatch } from './chunk-parser.js';

/** What a writer asks of a write. */
export interface WriteKind {
  readonly name: string;
  readonly replicaCount: number;
  readonly sync: boolean;
  /** Whether its batches carry a producer and a sequence. */
  readonly isStamped: boolean;
}

/** One batch of a writer, and what became of it. */
export interface LedgerBatch {
  readonly key: string;
  readonly kind: WriteKind;
  readonly category: string;
  readonly byteCount: number;
  readonly crc: number;
  /** The nodes that it was sent to, once for each time. */
  readonly sentTo: string[];
  isAnswered: boolean;
}

/** How often the groups have read what. */
export interface ReadCounts {
  readonly duplicates: number;
  /** Of these: batches without a stamp that were sent again, and such with one that were sent to several nodes. */
  readonly explainedDuplicates: number;
}

/** How many of a kind of finding are told one by one. */
const sentenceCountMax = 20;

/** What was found that must not be: how often, and the first ones as sentences. */
export class Findings {
  count = 0;
  readonly sentences: string[] = [];

  add(sentence: string, count = 1): void {
    this.count += count;
    if (this.sentences.length < sentenceCountMax) this.sentences.push(sentence);
  }
}

/** Knows every batch that was sent, where each was found, and what of that contradicts what was promised. */
export class BatchLedger {
  readonly lost = new Findings();
  readonly corrupt = new Findings();
  readonly returned = new Findings();
  /** Batches that come twice for no reason that is known. */
  readonly strangeDuplicates = new Findings();
  /** Answers that no node may give. */
  readonly refused = new Findings();
  readonly #groups: readonly string[];
  readonly #batches = new Map<string, LedgerBatch>();
  /** By category, chunk and offset. */
  readonly #places = new Map<string, LedgerBatch>();
  /** By group and batch: where the group has read it. */
  readonly #reads = new Map<string, Map<LedgerBatch, Set<string>>>();

  constructor(groups: readonly string[]) {
    this.#groups = groups;
    for (const group of groups) this.#reads.set(group, new Map());
  }

  get batches(): Iterable<LedgerBatch> {
    return this.#batches.values();
  }

  /** Must be called before the batch is sent. */
  add(key: string, kind: WriteKind, category: string, bytes: Buffer): LedgerBatch {
    const batch: LedgerBatch = {
      key,
      kind,
      category,
      byteCount: bytes.length,
      crc: crc32(bytes),
      sentTo: [],
      isAnswered: false,
    };
    this.#batches.set(key, batch);
    return batch;
  }

  answered(batch: LedgerBatch, receipt: WriteReceipt): void {
    batch.isAnswered = true;
    const { chunk, offset, size, duplicate } = receipt;
    if (size !== batch.byteCount || (duplicate && batch.sentTo.length === 1)) {
      this.refused.add(
        `Batch ${batch.key} of ${batch.byteCount} bytes, sent to ${batch.sentTo.join(', ')}, was answered with ${JSON.stringify(receipt)}.`,
      );
    }
    if (chunk !== null && offset !== null)
      this.#place(batch, placeOf(batch.category, chunk, offset));
  }

  /** A group has read a batch; reading it twice at the same place is the reader's doing. */
  found(group: string, category: string, found: FoundBatch): void {
    const { key, chunk, offset, byteCount, crc } = found;
    const batch = this.#batches.get(key);
    const place = placeOf(category, chunk, offset);
    if (batch?.byteCount !== byteCount || batch.crc !== crc || batch.category !== category) {
      this.corrupt.add(`Batch ${key} at ${place} is not what was sent.`);
      return;
    }
    this.#place(batch, place);
    const reads = this.#reads.get(group);
    const places = reads?.get(batch) ?? new Set();
    reads?.set(batch, places);
    places.add(place);
  }

  /** When every group has read everything there is: finds what is missing. */
  findLost(): void {
    for (const batch of this.#batches.values()) {
      if (!batch.isAnswered) continue;
      const missed = this.#groups.filter((group) => !this.#reads.get(group)?.has(batch));
      if (missed.length === 0) continue;
      this.lost.add(
        `Batch ${batch.key} (${batch.kind.name}), sent to ${batch.sentTo.join(', ')} and answered with 200, did not reach ${missed.join(', ')}.`,
      );
    }
  }

  countReads(): ReadCounts {
    let duplicates = 0;
    let explainedDuplicates = 0;
    for (const [group, reads] of this.#reads) {
      for (const [batch, places] of reads) {
        if (places.size === 1) continue;
        duplicates += places.size - 1;
        if (isExplained(batch)) explainedDuplicates += places.size - 1;
        else {
          this.strangeDuplicates.add(
            `Batch ${batch.key}, sent to ${batch.sentTo.join(', ')}, was read by ${group} at ${[...places].join(' and ')}.`,
          );
        }
      }
    }
    return { duplicates, explainedDuplicates };
  }

  /** A place has one batch, whoever tells it and how often. */
  #place(batch: LedgerBatch, place: string): void {
    const holder = this.#places.get(place) ?? batch;
    this.#places.set(place, holder);
    if (holder !== batch) {
      this.corrupt.add(`At ${place} there was batch ${holder.key} and is batch ${batch.key}.`);
    }
  }
}

function isExplained({ kind, sentTo }: LedgerBatch): boolean {
  return kind.isStamped ? new Set(sentTo).size > 1 : sentTo.length > 1;
}

function placeOf(category: string, chunk: string, offset: number): string {
  return `${category}/${chunk} ${offset}`;
}

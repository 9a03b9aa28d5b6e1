/** How far ahead of one that is missing others are remembered, for each writer: then it counts as lost. */
const aheadCountMax = 65_536;

/** What became of the batches of one writer. */
interface WriterEntry {
  sentCount: number;
  /** A writer's batches are accepted in order, so these are the first ones. */
  acceptedCount: number;
  /** All before it were found, or have been given up. */
  nextSequence: number;
  lostCount: number;
  readonly ahead: Set<number>;
}

/** What is wrong with what a group has read. */
export interface LedgerFindings {
  /** Batches that were accepted and never read. */
  readonly lost: number;
  /** Readings of a batch after its first one. */
  readonly duplicate: number;
}

/** Compares what was accepted with what was read, in memory that does not grow with it. */
export class SequenceLedger {
  readonly #writers: readonly WriterEntry[];
  #duplicateCount = 0;

  constructor(writerCount: number) {
    this.#writers = Array.from({ length: writerCount }, () => ({
      sentCount: 0,
      acceptedCount: 0,
      nextSequence: 0,
      lostCount: 0,
      ahead: new Set<number>(),
    }));
  }

  /** Returns the sequence of the batch that a writer is about to send. */
  nextSequence(writer: number): number {
    const entry = this.#entry(writer);
    entry.sentCount += 1;
    return entry.sentCount - 1;
  }

  /** The writer's oldest batch that was not accepted yet is accepted. */
  accepted(writer: number): void {
    this.#entry(writer).acceptedCount += 1;
  }

  /** A batch was read. */
  found(writer: number, sequence: number): 'first' | 'again' | 'never sent' {
    const entry = this.#writers[writer];
    if (entry === undefined || sequence >= entry.sentCount) return 'never sent';
    const { ahead } = entry;
    if (sequence < entry.nextSequence || ahead.has(sequence)) {
      this.#duplicateCount += 1;
      return 'again';
    }
    ahead.add(sequence);
    if (ahead.size > aheadCountMax) {
      // What comes after all then counts as a duplicate: two findings tell of it, and none is hidden.
      entry.lostCount += 1;
      entry.nextSequence += 1;
    }
    while (ahead.delete(entry.nextSequence)) entry.nextSequence += 1;
    return 'first';
  }

  /** Whether everything that was accepted was read. */
  get hasFoundAll(): boolean {
    return this.#writers.every((entry) => missingCount(entry) === 0);
  }

  /** Nothing more will be read: what was not, is lost. */
  findings(): LedgerFindings {
    const lost = this.#writers.reduce(
      (sum, entry) => sum + entry.lostCount + missingCount(entry),
      0,
    );
    return { lost, duplicate: this.#duplicateCount };
  }

  #entry(writer: number): WriterEntry {
    const entry = this.#writers[writer];
    if (entry === undefined) throw new RangeError(`There is no writer ${writer}`);
    return entry;
  }
}

/** Those that were accepted and are neither found nor given up. */
function missingCount({ acceptedCount, nextSequence, ahead }: WriterEntry): number {
  let count = Math.max(0, acceptedCount - nextSequence);
  for (const sequence of ahead) if (sequence < acceptedCount) count -= 1;
  return count;
}

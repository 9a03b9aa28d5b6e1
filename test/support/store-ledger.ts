import type { ProducerStamp } from '../../src/protocol/http-api.js';
import type { Appended } from '../../src/storage/batch.js';
import type { CrashMode } from './crash-content.js';

/** A batch that was submitted, perhaps several times, and what follows from the answers. */
export interface LedgerBatch {
  readonly id: number;
  readonly category: string;
  readonly bytes: Buffer;
  readonly stamp: ProducerStamp | undefined;
  submissionCount: number;
  /** Counts all submissions: of batches that came once, the one with the lower number comes first. */
  order: number;
  /** It was refused each time, so no chunk may have it. */
  isRefused: boolean;
  /** The death of a process does not take it any more. */
  isStored: boolean;
  /** A power cut does not take it any more either. */
  isDurable: boolean;
  /** Where it was seen last. */
  chunk: string | undefined;
}

/** What a store shows of one category. */
export interface CategoryView {
  readonly category: string;
  readonly chunks: readonly ChunkView[];
  /** Damaged chunks that wait for room on the disk. */
  readonly hidden: readonly string[];
  /** The registered groups, each with the chunks that it has still to acknowledge. */
  readonly groups: ReadonlyMap<string, readonly string[]>;
}

interface ChunkView {
  readonly name: string;
  readonly isSealed: boolean;
  /** The whole file, of which the first `size` bytes are shown to readers. */
  readonly content: Buffer;
  readonly size: number;
}

interface GroupRecord {
  /** Whether it is registered for sure; otherwise a call that would tell was not answered. */
  isSure: boolean;
  readonly acked: Set<string>;
  /** Chunks that it may have acknowledged. */
  readonly maybeAcked: Set<string>;
}

interface CategoryRecord {
  readonly groups: Map<string, GroupRecord>;
  /** Chunks that all groups may have acknowledged at some time. */
  readonly maybeRemoved: Set<string>;
  /** The batch at each place that was ever seen: a name never gets other content. */
  readonly places: Map<string, number>;
  /** Which start wrote a chunk: no later one appends to it. */
  readonly starts: Map<string, number>;
  readonly sealed: Map<string, { readonly size: number; isDurable: boolean }>;
}

/**
 * Keeps what a store has answered, over all its crashes, and checks what it shows against that. Every check
 * throws at the first promise that was broken.
 */
export class StoreLedger {
  readonly batches: LedgerBatch[] = [];
  readonly #categories = new Map<string, CategoryRecord>();
  #startCount = 0;
  #submissionCount = 0;
  /** A sync is going to fail, or has failed. */
  #diskFails = false;
  /** What a failed sync may have left in the page cache alone: no later sync will tell. */
  readonly #doubtful = new Set<LedgerBatch>();
  /** A power cut that takes writes out of order, or a disk that fails, makes the store move batches, and a crash may repeat that. */
  #mayBeMoved = false;
  #hasHidden = false;

  get categories(): readonly string[] {
    return [...this.#categories.keys()];
  }

  /** A new batch, of lines that no other batch has. */
  newBatch(category: string, lineBytes: readonly number[], stamp?: ProducerStamp): LedgerBatch {
    this.#record(category);
    const id = this.batches.length;
    const lines = lineBytes.map((byteCount, line) =>
      `b${id}.${line}/${lineBytes.length} `.padEnd(byteCount - 1, 'x'),
    );
    const batch = {
      id,
      category,
      bytes: Buffer.from(`${lines.join('\n')}\n`),
      stamp,
      submissionCount: 0,
      order: 0,
      isRefused: false,
      isStored: false,
      isDurable: false,
      chunk: undefined,
    };
    this.batches.push(batch);
    return batch;
  }

  /** The batch is about to be handed to the store. */
  submitted(batch: LedgerBatch): void {
    batch.submissionCount += 1;
    this.#submissionCount += 1;
    batch.order = this.#submissionCount;
    batch.isRefused = false;
  }

  stored(batch: LedgerBatch, { chunk, offset, size, duplicate }: Appended, sync: boolean): void {
    const { id, bytes } = batch;
    const { starts, maybeRemoved } = this.#record(batch.category);
    expect(size === bytes.length, `batch ${id} of ${bytes.length} bytes was answered as ${size}`);
    // The stamps of a hidden chunk are not known before its batches are stored again.
    const mayRepeat = duplicate || this.#hasHidden;
    expect(!batch.isStored || mayRepeat, `batch ${id} was stored before, and is no duplicate`);
    // It was not answered the first time, so nobody knows which of the removed chunks had it.
    if (chunk === null && batch.chunk === undefined && maybeRemoved.size > 0) return;
    if (!duplicate) this.#doubtful.delete(batch);
    // A disk that has lost what it said it had makes the store remember what is not there.
    if (!this.#doubtful.has(batch)) {
      batch.isStored = true;
      batch.isDurable ||= sync;
    }
    if (chunk === null) return;
    batch.chunk = chunk;
    if (duplicate) return;
    this.#seePlace(batch, chunk, offset ?? 0);
    const start = starts.get(chunk) ?? this.#startCount;
    expect(start === this.#startCount, `${chunk} is appended to by a later start`);
    starts.set(chunk, start);
  }

  /** @param wasStored whether the answer leaves open that the batch is stored */
  failed(batch: LedgerBatch, wasStored: boolean): void {
    batch.isRefused = !wasStored && batch.submissionCount === 1;
  }

  diskFails(): void {
    this.#diskFails = true;
  }

  registering(category: string, group: string, ackedNow: readonly string[] = []): void {
    this.#acking(category, this.#group(category, group), ackedNow);
  }

  registered(category: string, group: string, ackedNow: readonly string[] = []): void {
    const record = this.#group(category, group);
    record.isSure = true;
    for (const chunk of ackedNow) record.acked.add(chunk);
  }

  acking(category: string, group: string, chunk: string): void {
    this.#acking(category, this.#group(category, group), [chunk]);
  }

  acked(category: string, group: string, chunk: string): void {
    const record = this.#group(category, group);
    record.isSure = true;
    record.acked.add(chunk);
  }

  removing(category: string, group: string): void {
    const record = this.#group(category, group);
    record.isSure = false;
    record.acked.clear();
    this.#acking(category, record, []);
  }

  removed(category: string, group: string): void {
    this.#record(category).groups.delete(group);
  }

  /** The process stopped as it should: nothing is left that a crash could take. */
  closed(): void {
    this.#markDoubtful();
    this.#allDurable(this.batches.filter(({ isStored }) => isStored));
  }

  crashed(mode: CrashMode): void {
    this.#markDoubtful();
    if (mode === 'process dies') return;
    this.#mayBeMoved ||= mode === 'power cut, anything left';
    for (const batch of this.batches) batch.isStored &&= batch.isDurable;
    for (const { sealed } of this.#categories.values()) {
      for (const [chunk, seal] of sealed) if (!seal.isDurable) sealed.delete(chunk);
    }
  }

  /** A start has ended: what it shows is there to stay. */
  started(views: readonly CategoryView[]): void {
    this.#startCount += 1;
    const present = this.check(views);
    for (const batch of present) batch.isStored = true;
    this.#allDurable(present);
  }

  /** Compares all that the store shows with all that it has answered. Returns the batches that are there. */
  check(views: readonly CategoryView[]): ReadonlySet<LedgerBatch> {
    const present = new Set<LedgerBatch>();
    for (const view of views) this.#checkCategory(view, present);
    const hidden = new Set(
      views.flatMap((view) => view.hidden.map((name) => `${view.category}/${name}`)),
    );
    this.#hasHidden = hidden.size > 0;
    for (const batch of this.batches) {
      const { id, category, chunk = '', isStored } = batch;
      const wasRemoved = this.#record(category).maybeRemoved.has(chunk);
      const isHidden = hidden.has(`${category}/${chunk}`);
      const isLost = isStored && !present.has(batch) && !wasRemoved && !isHidden;
      expect(!isLost, `batch ${id}, answered in ${chunk}, is lost`);
      expect(!batch.isRefused || !present.has(batch), `batch ${id} was refused, but is stored`);
    }
    return present;
  }

  #markDoubtful(): void {
    if (!this.#diskFails) return;
    this.#diskFails = false;
    this.#mayBeMoved = true;
    for (const batch of this.batches) if (!batch.isDurable) this.#doubtful.add(batch);
  }

  #allDurable(batches: Iterable<LedgerBatch>): void {
    for (const batch of batches) batch.isDurable ||= !this.#doubtful.has(batch);
    for (const [category, { sealed }] of this.#categories) {
      const doubtful = [...this.#doubtful].filter((batch) => batch.category === category);
      for (const [name, seal] of sealed) {
        seal.isDurable ||= doubtful.every(({ chunk }) => chunk !== name);
      }
    }
  }

  #checkCategory({ category, chunks, groups }: CategoryView, present: Set<LedgerBatch>): void {
    const record = this.#record(category);
    let last: LedgerBatch | undefined;
    for (const chunk of chunks) {
      const { name, size, content } = chunk;
      expect(size === content.length, `${name} shows ${size} of the ${content.length} bytes`);
      for (const { batch, offset } of this.#parse(category, chunk)) {
        const isFirst = !present.has(batch);
        expect(isFirst || this.#mayBeMoved, `batch ${batch.id} is there twice`);
        present.add(batch);
        batch.chunk = name;
        this.#seePlace(batch, name, offset);
        if (batch.submissionCount > 1 || this.#mayBeMoved) continue;
        expect(batch.order > (last?.order ?? 0), `batch ${batch.id} comes behind ${last?.id}`);
        last = batch;
      }
      this.#checkSealed(record, chunk);
      this.#checkGroups(record, name, groups);
    }
  }

  #checkSealed({ sealed }: CategoryRecord, { name, size, isSealed }: ChunkView): void {
    const before = sealed.get(name);
    expect(before === undefined || isSealed, `${name} was sealed and is open again`);
    expect(before === undefined || before.size === size, `${name} was sealed, now has ${size}`);
    if (isSealed) sealed.set(name, before ?? { size, isDurable: false });
  }

  #checkGroups(
    { groups }: CategoryRecord,
    chunk: string,
    shown: ReadonlyMap<string, readonly string[]>,
  ): void {
    for (const [group, { isSure, acked, maybeAcked }] of groups) {
      const chunks = shown.get(group);
      expect(!isSure || chunks !== undefined, `group ${group} is lost`);
      const isShown = chunks?.includes(chunk) ?? false;
      expect(!isShown || !acked.has(chunk), `${chunk} is shown to ${group} again`);
      const mustShow = isSure && !maybeAcked.has(chunk);
      expect(isShown || !mustShow, `${chunk} is not shown to ${group}`);
    }
    const holders = [...shown].filter(([, chunks]) => chunks.includes(chunk));
    expect(shown.size === 0 || holders.length > 0, `${chunk} stays, but all have acknowledged it`);
  }

  /** The batches of a chunk, which must be whole and next to each other. */
  #parse(category: string, { name, content }: ChunkView) {
    const found: { readonly batch: LedgerBatch; readonly offset: number }[] = [];
    for (let offset = 0; offset < content.length; ) {
      const head = content.toString('latin1', offset, offset + 20);
      const batch = this.batches[Number(/^b(\d+)\.0\//.exec(head)?.[1])];
      const isWhole = batch?.bytes.equals(content.subarray(offset, offset + batch.bytes.length));
      if (batch === undefined || !isWhole || batch.category !== category) {
        throw new Error(`${name} has no whole batch at ${offset}: ${JSON.stringify(head)}`);
      }
      found.push({ batch, offset });
      offset += batch.bytes.length;
    }
    return found;
  }

  #seePlace({ id, category }: LedgerBatch, chunk: string, offset: number): void {
    const { places } = this.#record(category);
    const place = `${chunk}@${offset}`;
    const before = places.get(place) ?? id;
    expect(before === id, `${place} had batch ${before} and has ${id}`);
    places.set(place, id);
  }

  #acking(category: string, record: GroupRecord, chunks: readonly string[]): void {
    const { groups, maybeRemoved } = this.#record(category);
    for (const chunk of chunks) record.maybeAcked.add(chunk);
    const holding = [...groups.values()].filter(({ isSure }) => isSure);
    for (const { maybeAcked } of groups.values()) {
      for (const chunk of maybeAcked) {
        if (holding.every((group) => group.maybeAcked.has(chunk))) maybeRemoved.add(chunk);
      }
    }
  }

  #group(category: string, group: string): GroupRecord {
    const { groups } = this.#record(category);
    const record = groups.get(group) ?? { isSure: false, acked: new Set(), maybeAcked: new Set() };
    groups.set(group, record);
    return record;
  }

  #record(category: string): CategoryRecord {
    const record = this.#categories.get(category) ?? {
      groups: new Map(),
      maybeRemoved: new Set(),
      places: new Map(),
      starts: new Map(),
      sealed: new Map(),
    };
    this.#categories.set(category, record);
    return record;
  }
}

/** Throws what is not as it was promised. */
export function expect(holds: boolean | undefined, sentence: string): void {
  if (!holds) throw new Error(sentence);
}

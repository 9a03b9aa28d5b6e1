import { ChukchaError } from '../protocol/chukcha-error.js';
import { parseChunkName } from '../protocol/names.js';
import {
  compareOwnerPositions,
  isPosition,
  type OwnerPosition,
  type Position,
} from '../protocol/position.js';
import type { StateJournal } from './state-journal.js';
import { StateSection } from './state-section.js';

/** A range of a chunk that was cut: it is never cut in another way. */
export interface CutRange {
  readonly chunk: string;
  readonly from: number;
  readonly to: number;
}

/** A range, and whether the target has it. */
interface NotedRange extends CutRange {
  isDone: boolean;
}

interface StoredRanges {
  readonly cluster: string;
  /** `1` for what the target has. */
  readonly ranges: readonly (readonly [chunk: string, from: number, to: number, isDone: 0 | 1])[];
}

const positionKey = 'position';
const rangesKey = 'ranges';

/**
 * What a sink remembers: the position before which everything is delivered, and the ranges behind it that were cut, in
 * order. A range is remembered before it is sent for the first time. When nobody knows whether a target has it, it is sent
 * again as the same range, so that a target that knows its token takes it for a repetition.
 *
 *     cut --noted--> may be sent --taken by the target--> done --everything before it is done--> behind the position
 */
export class SinkRecord {
  readonly #journal: StateJournal;
  readonly #state: StateSection;
  readonly #isDurable: boolean;
  readonly #ranges: NotedRange[] = [];
  #position: Position | undefined;
  #cluster: string | undefined;

  /**
   * @param isDurable whether a range is on disk before it is sent, so that it outlives a crash of the machine too
   */
  constructor(journal: StateJournal, isDurable: boolean) {
    this.#journal = journal;
    this.#state = new StateSection(journal, 'sink');
    this.#isDurable = isDurable;
    this.#position = readPosition(this.#state.get(positionKey));
    const stored = readRanges(this.#state.get(rangesKey));
    this.#cluster = stored?.cluster ?? this.#position?.cluster;
    for (const [chunk, from, to, isDone] of stored?.ranges ?? []) {
      this.#ranges.push({ chunk, from, to, isDone: isDone === 1 });
    }
    this.#forgetPassed();
  }

  /** The cluster that the chunks belong to; `undefined` when nothing is remembered. */
  get cluster(): string | undefined {
    return this.#cluster;
  }

  /** The ranges of earlier runs of which nobody knows whether the target has them. */
  get unknown(): CutRange[] {
    return this.#ranges.filter(({ isDone }) => !isDone);
  }

  /** Where the next range is to be cut: behind all that were. */
  get nextPosition(): Position | undefined {
    if (this.#cluster === undefined) return this.#position;
    const owners = new Map(Object.entries(this.#position?.owners ?? {}));
    for (const range of this.#ranges) {
      const { owner, end } = endOf(range);
      owners.set(owner, end);
    }
    return { cluster: this.#cluster, owners: Object.fromEntries(owners) };
  }

  /** Remembers a range; to be called in the order in which they were cut. */
  async note(range: CutRange, cluster: string): Promise<void> {
    this.#cluster = cluster;
    const { chunk, from, to } = range;
    this.#ranges.push({ chunk, from, to, isDone: false });
    await this.#saveRanges();
  }

  /** Remembers that a range was cut once more, at an offset in it. */
  async split({ chunk, from, to }: CutRange, at: number): Promise<void> {
    const index = this.#ranges.findIndex((noted) => noted.chunk === chunk && noted.from === from);
    if (index === -1) throw new RangeError(`Nothing was noted of ${chunk} at ${from}.`);
    const halves = [
      { chunk, from, to: at, isDone: false },
      { chunk, from: at, to, isDone: false },
    ];
    this.#ranges.splice(index, 1, ...halves);
    await this.#saveRanges();
  }

  /** The target has the range. To be followed by `moveTo`, which remembers it. */
  markDone({ chunk, from }: CutRange): void {
    const noted = this.#ranges.find((range) => range.chunk === chunk && range.from === from);
    if (noted !== undefined) noted.isDone = true;
  }

  /** Remembers how far everything is delivered, and what is done behind it. */
  async moveTo(position: Position | undefined): Promise<void> {
    if (position !== undefined) {
      this.#position = position;
      await this.#state.set(positionKey, position);
    }
    this.#forgetPassed();
    await this.#state.set(rangesKey, this.#storedRanges());
  }

  async #saveRanges(): Promise<void> {
    await this.#state.set(rangesKey, this.#storedRanges());
    if (this.#isDurable) await this.#journal.sync();
  }

  #storedRanges(): StoredRanges | undefined {
    if (this.#ranges.length === 0) return undefined;
    const ranges = this.#ranges.map(
      ({ chunk, from, to, isDone }) => [chunk, from, to, isDone ? 1 : 0] as const,
    );
    return { cluster: this.#cluster ?? '', ranges };
  }

  #forgetPassed(): void {
    const kept = this.#ranges.filter((range) => {
      const { owner, end } = endOf(range);
      const position = this.#position?.owners[owner];
      return position === undefined || compareOwnerPositions(end, position) > 0;
    });
    this.#ranges.splice(0, this.#ranges.length, ...kept);
  }
}

function endOf({ chunk, to }: CutRange): { owner: string; end: OwnerPosition } {
  const { owner, index } = parseChunkName(chunk) ?? { owner: '', index: 0 };
  return { owner, end: { index, offset: to } };
}

function readPosition(value: unknown): Position | undefined {
  if (value === undefined || isPosition(value)) return value;
  throw invalidState('position', value);
}

function readRanges(value: unknown): StoredRanges | undefined {
  if (value === undefined) return undefined;
  const stored = value as Partial<StoredRanges> | null;
  const isRange = (range: unknown): boolean =>
    Array.isArray(range) &&
    parseChunkName(String(range[0])) !== undefined &&
    range.slice(1, 4).every((number) => Number.isSafeInteger(number) && number >= 0);
  if (typeof stored?.cluster === 'string' && stored.ranges?.every(isRange)) {
    return stored as StoredRanges;
  }
  throw invalidState('list of ranges', value);
}

function invalidState(what: string, value: unknown): ChukchaError {
  return new ChukchaError(
    'directory_invalid',
    `The ${what} in the state directory is not one (${JSON.stringify(value).slice(0, 80)}): remove the directory to read everything again.`,
  );
}

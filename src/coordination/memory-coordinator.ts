import { ChangeSignal } from '../common/wait.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import type {
  Coordinator,
  CoordinatorEntry,
  CoordinatorStatus,
  ExpectedVersion,
  PutOutcome,
} from './coordinator.js';

/** A table in this process, for one coordinator or for several that stand for so many nodes. */
export class MemoryTable {
  readonly entries = new Map<string, CoordinatorEntry>();
  readonly coordinators = new Set<MemoryCoordinator>();
  #version = 0;

  nextVersion(): number {
    this.#version += 1;
    return this.#version;
  }

  /** Has everybody see what the table is now, but for those that are cut off. */
  spread(): void {
    for (const coordinator of this.coordinators) coordinator.follow();
  }
}

/** The table that nodes agree on, in this process alone: nothing is needed for it, and nothing of it stays. */
export class MemoryCoordinator implements Coordinator {
  readonly changed = new ChangeSignal();
  readonly #table: MemoryTable;
  readonly #held = new Set<string>();
  #copy = new Map<string, CoordinatorEntry>();
  #isCut = false;
  #isCurrent = false;

  constructor(table: MemoryTable = new MemoryTable()) {
    this.#table = table;
    table.coordinators.add(this);
    this.follow();
  }

  get status(): CoordinatorStatus {
    return {
      isAvailable: !this.#isCut,
      problem: this.#isCut ? 'the table is cut off' : undefined,
      isCurrent: this.#isCurrent,
    };
  }

  /** Cuts the table off, or lets it be reached again. */
  cut(isCut: boolean): void {
    this.#isCut = isCut;
    this.follow();
    this.changed.notify();
  }

  /** Takes over what the table is now, if it can be reached. */
  follow(): void {
    if (this.#isCut) return;
    this.#isCurrent = true;
    this.#copy = new Map(this.#table.entries);
    this.changed.notify();
  }

  get(key: string): CoordinatorEntry | undefined {
    return this.#copy.get(key);
  }

  list(prefix: string): readonly (readonly [key: string, entry: CoordinatorEntry])[] {
    const found = [...this.#copy].filter(([key]) => key.startsWith(prefix));
    return found.sort(([left], [right]) => (left < right ? -1 : 1));
  }

  async put(key: string, value: string, expected: ExpectedVersion): Promise<PutOutcome> {
    this.#requireTable();
    const { entries } = this.#table;
    if ((entries.get(key)?.version ?? 'absent') !== expected) {
      this.follow();
      return { done: false, entry: entries.get(key) };
    }
    const entry = { value, version: this.#table.nextVersion() };
    entries.set(key, entry);
    this.#table.spread();
    return { done: true, entry };
  }

  async remove(key: string, version: number): Promise<PutOutcome> {
    this.#requireTable();
    const { entries } = this.#table;
    const entry = entries.get(key);
    if (entry?.version !== version) return { done: entry === undefined, entry };
    entries.delete(key);
    this.#table.spread();
    return { done: true, entry: undefined };
  }

  async hold(
    key: string,
    value: string,
    isOwn: (value: string) => boolean,
  ): Promise<PutOutcome> {
    const before = this.#table.entries.get(key);
    if (before !== undefined && !this.#held.has(key) && !isOwn(before.value)) {
      return { done: false, entry: before };
    }
    const outcome = await this.put(key, value, before?.version ?? 'absent');
    if (outcome.done) this.#held.add(key);
    return outcome;
  }

  async close(): Promise<void> {
    this.#table.coordinators.delete(this);
    for (const key of this.#held) this.#table.entries.delete(key);
    this.#table.spread();
  }

  #requireTable(): void {
    if (!this.#isCut) return;
    throw new ChukchaError(
      'coordination_unavailable',
      'What the nodes agree on cannot be changed: the table is cut off; try again later.',
    );
  }
}

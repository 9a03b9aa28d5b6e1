import { ChangeSignal } from '../common/wait.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import type {
  Coordinator,
  CoordinatorEntry,
  CoordinatorStatus,
  ExpectedVersion,
  PutOutcome,
} from './coordinator.js';
import type { MemoryEntry, MemoryTable, MemoryTableUser } from './memory-table.js';
import { checkKey, checkValue } from './table-limits.js';

interface HeldEntry {
  readonly value: string;
  readonly isOwn: (value: string) => boolean;
}

/**
 * The table in this process alone, for a node that stands alone, and for tests of several in one process. It is
 * empty at each start. The copy of one that is cut off stays as it was.
 */
export class MemoryCoordinator implements Coordinator, MemoryTableUser {
  readonly changed = new ChangeSignal();
  readonly #table: MemoryTable;
  readonly #held = new Map<string, HeldEntry>();
  #copy: ReadonlyMap<string, MemoryEntry>;
  #isClosed = false;

  constructor(table: MemoryTable) {
    this.#table = table;
    this.#copy = table.entries;
    table.add(this);
  }

  get status(): CoordinatorStatus {
    const isAvailable = !this.#table.isCutOff(this);
    const problem = isAvailable ? undefined : 'this node is cut off from the table in memory';
    return { isAvailable, problem, isCurrent: true, answeredMsAgo: isAvailable ? 0 : undefined };
  }

  get(key: string): CoordinatorEntry | undefined {
    const found = this.#copy.get(key);
    return found && { value: found.value, version: found.version };
  }

  list(prefix: string): readonly (readonly [key: string, entry: CoordinatorEntry])[] {
    return [...this.#copy]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([key, { value, version }]) => [key, { value, version }] as const);
  }

  async put(key: string, value: string, expected: ExpectedVersion): Promise<PutOutcome> {
    checkKey(key);
    checkValue(key, value);
    this.#checkLink(`put ${key}`);
    const outcome = this.#table.change(key, value, expected);
    const held = this.#held.get(key);
    if (outcome.done && held !== undefined) this.#held.set(key, { ...held, value });
    return outcome;
  }

  async remove(key: string, version: number): Promise<PutOutcome> {
    checkKey(key);
    this.#checkLink(`remove ${key}`);
    const held = this.#held.get(key);
    // Not to be made anew in the moment in which it has gone.
    this.#held.delete(key);
    const outcome = this.#table.change(key, undefined, version);
    if (!outcome.done && held !== undefined) this.#held.set(key, held);
    return outcome;
  }

  async hold(key: string, value: string, isOwn: (value: string) => boolean): Promise<PutOutcome> {
    checkKey(key);
    checkValue(key, value);
    this.#checkLink(`hold ${key}`);
    const outcome = this.#claim(key, { value, isOwn });
    if (outcome.done) this.#held.set(key, { value, isOwn });
    return outcome;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#held.clear();
    this.#table.delete(this);
    this.changed.notify();
  }

  noteChange(): void {
    if (this.#table.isCutOff(this)) {
      this.changed.notify();
      return;
    }
    for (const [key, held] of this.#held) {
      if (this.#table.entries.has(key)) continue;
      // The table tells of this change too, and that has the others made anew.
      this.#claim(key, held);
      return;
    }
    this.#copy = this.#table.entries;
    this.changed.notify();
  }

  #claim(key: string, { value, isOwn }: HeldEntry): PutOutcome {
    const found = this.#table.entries.get(key);
    const isForeign = found !== undefined && found.holder !== this && !isOwn(found.value);
    if (isForeign) return { done: false, entry: { value: found.value, version: found.version } };
    if (found?.holder === this && found.value === value) {
      return { done: true, entry: { value, version: found.version } };
    }
    return this.#table.change(key, value, found?.version ?? 'absent', this);
  }

  #checkLink(what: string): void {
    if (!this.#isClosed && !this.#table.isCutOff(this)) return;
    const reason = this.#isClosed ? 'the coordinator was closed' : this.status.problem;
    throw new ChukchaError(
      'coordination_unavailable',
      `Could not ${what} in the table in memory (${reason}). Nothing was changed: try again later.`,
    );
  }
}

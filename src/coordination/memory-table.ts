import type { Clock, Timer } from '../common/clock.js';
import type { ExpectedVersion, PutOutcome } from './coordinator.js';

/** What the table knows of those who use it: they hear of every change, and hold entries. */
export interface MemoryTableUser {
  /** Called after every change, and after a link was cut or healed. */
  noteChange(): void;
}

/** An entry of the table, and who holds it. */
export interface MemoryEntry {
  readonly value: string;
  readonly version: number;
  readonly holder: MemoryTableUser | undefined;
}

/** How long what is held stays after its holder was cut off, as with etcd. */
const holdMsMax = 10_000;

/** The table in the memory of one process, for one coordinator, or for several that play several nodes. */
export class MemoryTable {
  readonly #clock: Clock;
  readonly #users = new Set<MemoryTableUser>();
  /** Those that were cut off, and when what they hold goes. */
  readonly #cutOff = new Map<MemoryTableUser, Timer>();
  #entries: ReadonlyMap<string, MemoryEntry> = new Map();
  #revision = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** All entries now; the map is replaced, not changed, by the next change. */
  get entries(): ReadonlyMap<string, MemoryEntry> {
    return this.#entries;
  }

  /** Changes an entry if it is as expected; `undefined` removes it. What has a holder keeps it without a new one. */
  change(
    key: string,
    value: string | undefined,
    expected: ExpectedVersion,
    holder = this.#entries.get(key)?.holder,
  ): PutOutcome {
    const found = this.#entries.get(key);
    if ((found?.version ?? 'absent') !== expected) return { done: false, entry: toEntry(found) };
    this.#revision += 1;
    const entry = value === undefined ? undefined : { value, version: this.#revision, holder };
    const entries = new Map(this.#entries);
    if (entry === undefined) entries.delete(key);
    else entries.set(key, entry);
    this.#replace(entries);
    return { done: true, entry: toEntry(entry) };
  }

  add(user: MemoryTableUser): void {
    this.#users.add(user);
  }

  /** Forgets a user and what it holds; one that is cut off cannot let go, so its entries go in their time. */
  delete(user: MemoryTableUser): void {
    this.#users.delete(user);
    if (!this.#cutOff.has(user)) this.#removeHeld(user);
  }

  isCutOff(user: MemoryTableUser): boolean {
    return this.#cutOff.has(user);
  }

  /** For tests: keeps the table from a user, whose entries go after 10 s, as if its link to etcd were cut. */
  cutOff(user: MemoryTableUser): void {
    if (this.#cutOff.has(user)) return;
    this.#cutOff.set(
      user,
      this.#clock.after(holdMsMax, () => this.#removeHeld(user)),
    );
    user.noteChange();
  }

  /** For tests: heals what {@link cutOff} has done. */
  heal(user: MemoryTableUser): void {
    this.#cutOff.get(user)?.cancel();
    this.#cutOff.delete(user);
    user.noteChange();
  }

  #removeHeld(user: MemoryTableUser): void {
    const kept = [...this.#entries].filter(([, { holder }]) => holder !== user);
    if (kept.length < this.#entries.size) this.#replace(new Map(kept));
  }

  #replace(entries: ReadonlyMap<string, MemoryEntry>): void {
    this.#entries = entries;
    for (const user of this.#users) user.noteChange();
  }
}

function toEntry(entry: MemoryEntry | undefined): PutOutcome['entry'] {
  return entry && { value: entry.value, version: entry.version };
}

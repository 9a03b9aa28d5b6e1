import type { CoordinatorEntry } from './coordinator.js';
import { noLease, type StoredEntry, type TableEvent, type TableList } from './etcd-port.js';

interface SnapshotFile {
  readonly version: 1;
  readonly cluster: string;
  readonly revision: number;
  readonly entries: Readonly<Record<string, CoordinatorEntry>>;
}

/**
 * A node's copy of the table. It hears of changes three ways, in any order: lists, the watch, and the answers to the
 * node's own changes. What it holds of an entry never goes back to an earlier state of it, unless the table itself
 * has: then the next list is believed in everything that the copy knew when the list was asked for.
 */
export class TableCopy {
  readonly #entries = new Map<string, StoredEntry>();
  /** At which revision entries were removed, of which the watch may have to tell older changes. */
  readonly #removed = new Map<string, number>();
  /** The revision of the last list: the watch can tell nothing new of what was up to it. */
  #listedRevision = 0;
  #seenRevision = 0;
  #lastingChangeCount = 0;

  /** The highest revision of the table that is known of. */
  get seenRevision(): number {
    return this.#seenRevision;
  }

  /** The revision of the last list; a watch begins behind it. */
  get listedRevision(): number {
    return this.#listedRevision;
  }

  /** How often an entry without a lease has changed. */
  get lastingChangeCount(): number {
    return this.#lastingChangeCount;
  }

  get(key: string): StoredEntry | undefined {
    return this.#entries.get(key);
  }

  list(prefix: string): (readonly [key: string, entry: CoordinatorEntry])[] {
    return [...this.#entries]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([key, entry]) => [key, withoutLease(entry)] as const);
  }

  /** Takes over a change, unless the copy is as new already. Returns whether the copy has changed. */
  apply({ key, entry, revision }: TableEvent): boolean {
    this.#seenRevision = Math.max(this.#seenRevision, revision);
    const changedAt = entry?.version ?? revision;
    if (revision <= this.#listedRevision || changedAt <= this.#changedAt(key)) return false;
    if (entry === undefined) this.#removed.set(key, revision);
    return this.#set(key, entry);
  }

  /**
   * Takes over a list. Returns whether the table has gone back to an earlier revision, as it does when its data was
   * wiped or restored, and whether the copy has changed.
   *
   * @param seenRevision what the copy had seen of the table when the list was asked for
   */
  applyList(
    list: TableList,
    seenRevision: number,
  ): { readonly wentBack: boolean; readonly changed: boolean } {
    const wentBack = list.revision < seenRevision;
    let changed = false;
    for (const key of new Set([...this.#entries.keys(), ...list.entries.keys()])) {
      const entry = list.entries.get(key);
      const changedAt = this.#changedAt(key);
      const isNewer = changedAt > seenRevision && changedAt > (entry?.version ?? list.revision);
      if (!isNewer && this.#set(key, entry)) changed = true;
    }
    for (const [key, revision] of this.#removed) {
      if (wentBack || revision <= list.revision) this.#removed.delete(key);
    }
    this.#listedRevision = list.revision;
    this.#seenRevision = wentBack ? list.revision : Math.max(this.#seenRevision, list.revision);
    return { wentBack, changed };
  }

  /** Fills an empty copy with what {@link toSnapshot} has made for the same cluster; throws when it is not that. */
  load(text: string, cluster: string): void {
    const { revision, entries } = checkSnapshot(JSON.parse(text), cluster);
    for (const [key, { value, version }] of Object.entries(entries)) {
      this.#entries.set(key, { value, version, leaseId: noLease });
    }
    this.#seenRevision = revision;
  }

  /** The entries without those that go with their holder: whether that one runs, an old copy does not know. */
  toSnapshot(cluster: string): string {
    const lasting = [...this.#entries].filter(([, { leaseId }]) => leaseId === noLease);
    const entries = lasting.map(([key, entry]) => [key, withoutLease(entry)] as const);
    const file: SnapshotFile = {
      version: 1,
      cluster,
      revision: this.#seenRevision,
      entries: Object.fromEntries(entries),
    };
    return `${JSON.stringify(file)}\n`;
  }

  /** The revision of the last change of the key that is known; 0 when none is. */
  #changedAt(key: string): number {
    return Math.max(this.#entries.get(key)?.version ?? 0, this.#removed.get(key) ?? 0);
  }

  #set(key: string, entry: StoredEntry | undefined): boolean {
    const old = this.#entries.get(key);
    if (entry?.version === old?.version && entry?.value === old?.value) return false;
    if (entry === undefined) this.#entries.delete(key);
    else {
      this.#entries.set(key, entry);
      this.#removed.delete(key);
    }
    if (isLasting(old) || isLasting(entry)) this.#lastingChangeCount += 1;
    return true;
  }
}

/** An entry as the users of a coordinator see it. */
export function withoutLease({ value, version }: StoredEntry): CoordinatorEntry {
  return { value, version };
}

function isLasting(entry: StoredEntry | undefined): boolean {
  return entry?.leaseId === noLease;
}

function checkSnapshot(value: unknown, cluster: string): SnapshotFile {
  const file = asRecord(value, 'it');
  if (file['version'] !== 1) throw new Error(`its version is ${JSON.stringify(file['version'])}`);
  if (file['cluster'] !== cluster) {
    throw new Error(`it is of the cluster ${JSON.stringify(file['cluster'])}`);
  }
  if (!Number.isSafeInteger(file['revision'])) throw new Error('its revision is not a number');
  for (const [key, entry] of Object.entries(asRecord(file['entries'], 'its entries'))) {
    const { value: text, version } = asRecord(entry, `its entry ${key}`);
    if (typeof text === 'string' && Number.isSafeInteger(version)) continue;
    throw new Error(`its entry ${key} is ${JSON.stringify(entry)}`);
  }
  return value as SnapshotFile;
}

function asRecord(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new Error(`${what} is ${JSON.stringify(value)}`);
}

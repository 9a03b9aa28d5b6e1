import { AckSet, type AckSetRecord } from './ack-set.js';

type OwnerRecords = Readonly<Record<string, AckSetRecord>>;

/** A group on disk and on the wire. */
interface GroupRecord {
  /** Rises when a group that was removed is registered again: what it had acknowledged before counts no more. */
  readonly generation: number;
  /** The group is not registered any more; that is kept, so that an older word of it does not bring it back. */
  readonly removed?: boolean;
  readonly acked: OwnerRecords;
}

/** What the groups of a category have acknowledged, on disk and on the wire. */
export interface AckRecords {
  readonly groups: Readonly<Record<string, GroupRecord>>;
  /** What was given up for all groups, because it was too old or the category too large. */
  readonly expired: OwnerRecords;
}

type Owners = Map<string, AckSet>;

interface Group {
  generation: number;
  removed: boolean;
  owners: Owners;
}

/** Acknowledged chunks of one owner. */
export interface AckedChunks {
  readonly owner: string;
  readonly chunks: readonly { readonly index: number; readonly size: number }[];
  /** No chunk of the owner below it waits for an acknowledgement any more, as {@link AckSet.raiseTo} takes it. */
  readonly floor: number;
}

/**
 * What the groups of a category have acknowledged. Two of these that have seen the same facts are equal: facts
 * merge by union, so neither their order nor their repetition matters, and the later generation of a group
 * replaces the earlier one.
 */
export class AckStates {
  readonly #groups: Map<string, Group>;
  readonly #expired: Owners;

  /** By way of entries, because any name is a name here, also one that objects have a meaning for. */
  constructor({ groups, expired }: AckRecords = { groups: {}, expired: {} }) {
    this.#groups = new Map(
      Object.entries(groups).map(([name, { generation, removed = false, acked }]) => [
        name,
        { generation, removed, owners: fromRecords(acked) },
      ]),
    );
    this.#expired = fromRecords(expired);
  }

  copy(): AckStates {
    return new AckStates(this.toRecords());
  }

  /** In one form for each state: two that are equal have the same JSON. */
  toRecords(): AckRecords {
    const groups = sorted(this.#groups).map(([name, { generation, removed, owners }]) => {
      const record = { generation, ...(removed && { removed }), acked: toRecords(owners) };
      return [name, record] as const;
    });
    return { groups: Object.fromEntries(groups), expired: toRecords(this.#expired) };
  }

  /** The names of the registered groups, sorted. */
  get names(): string[] {
    return [...this.#groups].flatMap(([name, { removed }]) => (removed ? [] : name)).sort();
  }

  /** Of how many groups something is known, also of those that were removed. */
  get nameCount(): number {
    return this.#groups.size;
  }

  isRegistered(group: string): boolean {
    return this.#groups.get(group)?.removed === false;
  }

  /** The generation of a group, whether it is registered or was; 0 for one that never was. */
  generationOf(group: string): number {
    return this.#groups.get(group)?.generation ?? 0;
  }

  /** Tells whether the group has acknowledged the chunk, or it has expired. */
  has(group: string, owner: string, index: number): boolean {
    if (this.#expired.get(owner)?.has(index)) return true;
    return this.#ownersOf(group)?.get(owner)?.has(index) ?? false;
  }

  /** Tells whether every group that is registered has acknowledged the chunk, and there is one, or it has expired. */
  isAckedByAll(owner: string, index: number): boolean {
    if (this.#expired.get(owner)?.has(index)) return true;
    let isAcked = false;
    for (const { removed, owners } of this.#groups.values()) {
      if (removed) continue;
      if (!owners.get(owner)?.has(index)) return false;
      isAcked = true;
    }
    return isAcked;
  }

  /** The highest index that any group has acknowledged of the owner's chunks; -1 when there is none. */
  highestAcked(owner: string): number {
    const all = [this.#expired, ...[...this.#groups.values()].map(({ owners }) => owners)];
    return Math.max(...all.map((owners) => owners.get(owner)?.highest ?? -1));
  }

  /** Adds a group, or makes one that was removed a new one. */
  register(group: string, generation: number): void {
    this.#groups.set(group, { generation, removed: false, owners: new Map() });
  }

  remove(group: string, generation: number): void {
    this.#groups.set(group, { generation, removed: true, owners: new Map() });
  }

  /** Forgets a group as if it had never been; not to be used where another node may have a word of it. */
  forget(group: string): void {
    this.#groups.delete(group);
  }

  /** Records acknowledgements; a group that is not registered is. */
  ack(group: string, acked: AckedChunks): void {
    if (!this.isRegistered(group)) this.register(group, this.generationOf(group) + 1);
    addTo(this.#ownersOf(group) ?? new Map(), acked);
  }

  expire(acked: AckedChunks): void {
    addTo(this.#expired, acked);
  }

  /** Takes in what another node knows. */
  merge({ groups, expired }: AckRecords): void {
    for (const [name, other] of Object.entries(groups)) {
      const own = this.#groups.get(name);
      const { generation, removed = false, acked } = other;
      if (own === undefined || own.generation < generation) {
        this.#groups.set(name, { generation, removed, owners: fromRecords(acked) });
      } else if (own.generation === generation) {
        own.removed ||= removed;
        if (own.removed) own.owners = new Map();
        else mergeInto(own.owners, acked);
      }
    }
    mergeInto(this.#expired, expired);
  }

  /**
   * Closes the gaps between an owner's indexes, for every group.
   *
   * @param floorOf the lowest index of the owner's chunks that waits for what the predicate has not acknowledged
   */
  raise(owner: string, floorOf: (isAcked: (index: number) => boolean) => number): void {
    for (const [name, { removed, owners }] of this.#groups) {
      const set = owners.get(owner);
      if (removed || set === undefined) continue;
      set.raiseTo(floorOf((index) => this.has(name, owner, index)));
    }
  }

  #ownersOf(group: string): Owners | undefined {
    const found = this.#groups.get(group);
    return found?.removed === false ? found.owners : undefined;
  }
}

/** Checks every value: a wrong one would be taken for an acknowledgement, which deletes chunks. Throws an `Error`. */
export function checkAckRecords(value: unknown): AckRecords {
  const { groups, expired } = asRecord(value, 'the state');
  for (const [group, record] of Object.entries(asRecord(groups, 'groups'))) {
    const { generation, removed = false, acked } = asRecord(record, `group ${group}`);
    if (!isInteger(generation, 1) || typeof removed !== 'boolean') {
      throw new Error(`group ${group} has generation ${JSON.stringify(generation)}`);
    }
    checkOwners(acked, `group ${group}`);
  }
  checkOwners(expired, 'expired');
  return value as AckRecords;
}

/** As `checkAckRecords`, of what each owner's chunks have. */
export function checkOwners(owners: unknown, what: string): void {
  for (const [owner, set] of Object.entries(asRecord(owners, what))) {
    const { upTo, extra } = asRecord(set, `owner ${owner} of ${what}`);
    const isSet =
      isInteger(upTo, -1) && Array.isArray(extra) && extra.every((index) => isInteger(index, 0));
    if (!isSet) throw new Error(`owner ${owner} of ${what} has ${JSON.stringify(set)}`);
  }
}

export function asRecord(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new Error(`${what} is ${JSON.stringify(value)}`);
}

export function isInteger(value: unknown, min: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min;
}

function addTo(owners: Owners, { owner, chunks, floor }: AckedChunks): void {
  const set = owners.get(owner) ?? new AckSet();
  owners.set(owner, set);
  for (const { index } of chunks) set.add(index);
  set.raiseTo(floor);
}

function mergeInto(owners: Owners, records: OwnerRecords): void {
  for (const [owner, record] of Object.entries(records)) {
    const set = owners.get(owner) ?? new AckSet();
    owners.set(owner, set);
    set.raiseTo(record.upTo + 1);
    for (const index of record.extra) set.add(index);
  }
}

function sorted<T>(byName: ReadonlyMap<string, T>): (readonly [string, T])[] {
  return [...byName].sort(([left], [right]) => (left < right ? -1 : 1));
}

function fromRecords(owners: OwnerRecords): Owners {
  return new Map(Object.entries(owners).map(([owner, record]) => [owner, new AckSet(record)]));
}

function toRecords(owners: Owners): OwnerRecords {
  return Object.fromEntries(sorted(owners).map(([owner, set]) => [owner, set.toRecord()] as const));
}

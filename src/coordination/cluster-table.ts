import { ChukchaError } from '../protocol/chukcha-error.js';
import { isCategoryName, parseChunkName } from '../protocol/names.js';
import type { Coordinator } from './coordinator.js';

/**
 * What a member is:
 *
 *     active <--drain, undrain--> draining
 *     active, draining --nobody heard of it for long--> lost --it comes back--> active
 *     any --an operator's word--> removed (its chunks are finished without it), or
 *         replaceable --a node starts under the name, with whatever directory--> active
 */
type MemberState = 'active' | 'draining' | 'lost' | 'removed' | 'replaceable';

/** A node that belongs to the cluster, or did. */
export interface Member {
  readonly name: string;
  /** The id of its data directory. */
  readonly directory: string;
  /** Where other nodes reach it. */
  readonly url: string;
  readonly state: MemberState;
  /** Rises when the node is given up, and when it comes back: who speaks with a lower one is not heard. */
  readonly epoch: number;
}

/** A group, as the nodes have agreed on it. */
export interface GroupEntry {
  readonly category: string;
  readonly group: string;
  readonly generation: number;
  readonly removed: boolean;
}

type GroupState = Pick<GroupEntry, 'generation' | 'removed'>;

/** What a chunk of a node that was given up is for good. */
export interface FinalChunk {
  readonly category: string;
  readonly chunk: string;
  readonly size: number;
  readonly crc: number;
  readonly sealedAtMs: number;
}

/** How often a change is tried when others change the same entry. */
const tryCountMax = 20;

/** What the nodes of a cluster agree on, by its meaning: entries of the table and how they may change. */
export class ClusterTable {
  readonly coordinator: Coordinator;

  constructor(coordinator: Coordinator) {
    this.coordinator = coordinator;
  }

  /** The id of the cluster; `undefined` when there is none yet. */
  get clusterId(): string | undefined {
    return this.#read<{ readonly id: string }>('cluster')?.id;
  }

  /** Founds the cluster unless there is one; returns the id that it has. */
  async found(id: string): Promise<string> {
    await this.coordinator.put('cluster', JSON.stringify({ id }), 'absent');
    return this.clusterId ?? id;
  }

  /** By name. */
  get members(): Member[] {
    return this.coordinator.list('members/').flatMap(([key]) => this.member(key.slice(8)) ?? []);
  }

  member(name: string): Member | undefined {
    return this.#read<Member>(`members/${name}`);
  }

  /**
   * Changes a member, or adds it.
   *
   * @param change returns what it is to be; throws when it must not be changed
   */
  changeMember(name: string, change: (before: Member | undefined) => Member): Promise<Member> {
    return this.#change(`members/${name}`, change);
  }

  /** Keeps the sign that the node runs; tells whether another process does under the same name. */
  async holdAlive(name: string, boot: string, place: string): Promise<boolean> {
    const value = JSON.stringify({ boot, place });
    const isOwn = (found: string): boolean => {
      return (JSON.parse(found) as { readonly place?: string }).place === place;
    };
    const { done } = await this.coordinator.hold(`alive/${name}`, value, isOwn);
    return done;
  }

  isAlive(name: string): boolean {
    return this.coordinator.get(`alive/${name}`) !== undefined;
  }

  /** Whether the node has nothing any more that no other node has. */
  isDrained(name: string): boolean {
    return this.coordinator.get(`drained/${name}`) !== undefined;
  }

  async setDrained(name: string, isDrained: boolean): Promise<void> {
    const key = `drained/${name}`;
    const entry = this.coordinator.get(key);
    if (isDrained && entry === undefined) await this.coordinator.put(key, '{}', 'absent');
    else if (!isDrained && entry !== undefined) await this.coordinator.remove(key, entry.version);
  }

  get groups(): GroupEntry[] {
    return this.coordinator.list('groups/').flatMap(([key]) => {
      const [, category = '', group = ''] = key.split('/');
      const entry = this.#read<GroupState>(key);
      return entry === undefined || !isCategoryName(category) ? [] : { category, group, ...entry };
    });
  }

  /**
   * Registers a group, unless it is.
   *
   * @param generationMin the least generation that it gets: what this node knows of it may be newer
   */
  addGroup(category: string, group: string, generationMin: number): Promise<GroupEntry> {
    return this.#changeGroup(category, group, (before) => {
      if (before === undefined) return { generation: generationMin, removed: false };
      const least = before.removed ? before.generation + 1 : before.generation;
      return { generation: Math.max(least, generationMin), removed: false };
    });
  }

  /** Removes a group, and remembers that it is. */
  dropGroup(category: string, group: string, generationMin: number): Promise<GroupEntry> {
    return this.#changeGroup(category, group, (before) => {
      return { generation: Math.max(before?.generation ?? 0, generationMin), removed: true };
    });
  }

  get finals(): FinalChunk[] {
    return this.coordinator.list('finals/').flatMap(([key]) => {
      const [, category = '', chunk = ''] = key.split('/');
      const final = this.#read<Omit<FinalChunk, 'category' | 'chunk'>>(key);
      const isKnown = isCategoryName(category) && parseChunkName(chunk) !== undefined;
      return final === undefined || !isKnown ? [] : { category, chunk, ...final };
    });
  }

  /** Decides what a chunk is for good, unless that is decided; returns what it is. */
  async finish({ category, chunk, ...final }: FinalChunk): Promise<FinalChunk> {
    const key = `finals/${category}/${chunk}`;
    await this.coordinator.put(key, JSON.stringify(final), 'absent');
    return { category, chunk, ...(this.#read<typeof final>(key) ?? final) };
  }

  /** Below it, indexes of the node's chunks may be used. */
  reservedBefore(node: string, category: string): number {
    return this.#read<{ readonly before: number }>(`indexes/${node}/${category}`)?.before ?? 0;
  }

  async reserve(node: string, category: string, before: number): Promise<void> {
    await this.#change<{ readonly before: number }>(`indexes/${node}/${category}`, (now) => ({
      before: Math.max(now?.before ?? 0, before),
    }));
  }

  /** The members that have not heard of a node for long, sorted. */
  suspectedBy(node: string): string[] {
    const prefix = `suspects/${node}/`;
    return this.coordinator.list(prefix).map(([key]) => key.slice(prefix.length));
  }

  async suspect(node: string, by: string): Promise<void> {
    await this.coordinator.put(`suspects/${node}/${by}`, '{}', 'absent');
  }

  /** Takes back that a node was not heard of. */
  async unsuspect(node: string, by: string): Promise<void> {
    const key = `suspects/${node}/${by}`;
    const entry = this.coordinator.get(key);
    if (entry !== undefined) await this.coordinator.remove(key, entry.version);
  }

  #read<T>(key: string): T | undefined {
    const entry = this.coordinator.get(key);
    if (entry === undefined) return undefined;
    try {
      return JSON.parse(entry.value) as T;
    } catch (cause) {
      throw new ChukchaError(
        'membership_refused',
        `Entry ${key} of the cluster is not JSON (${entry.value.slice(0, 40)}): somebody else writes there; remove it with etcdctl.`,
        { cause },
      );
    }
  }

  async #changeGroup(
    category: string,
    group: string,
    change: (before: GroupState | undefined) => GroupState,
  ): Promise<GroupEntry> {
    return { category, group, ...(await this.#change(`groups/${category}/${group}`, change)) };
  }

  async #change<T>(key: string, change: (before: T | undefined) => T): Promise<T> {
    for (let count = 0; count < tryCountMax; count += 1) {
      const entry = this.coordinator.get(key);
      const before = entry === undefined ? undefined : (JSON.parse(entry.value) as T);
      const after = change(before);
      const value = JSON.stringify(after);
      if (value === entry?.value) return after;
      const { done } = await this.coordinator.put(key, value, entry?.version ?? 'absent');
      if (done) return after;
    }
    throw new ChukchaError(
      'coordination_unavailable',
      `Entry ${key} of the cluster was changed by others ${tryCountMax} times while it was to be changed here: try again.`,
    );
  }
}

import { createDeferred, type Deferred } from '../common/deferred.js';
import { Mutex } from '../common/mutex.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import type { HeldChunks } from '../protocol/http-api.js';
import { groupCountMax, groupNameCountMax } from '../protocol/limits.js';
import { checkChunkName, formatChunkName } from '../protocol/names.js';
import type { AckedChunks } from './ack-states.js';
import type { Chunk } from './chunk.js';
import type { ChunkList } from './chunk-list.js';
import type { ForeignAcks, GroupBook } from './group-book.js';

export interface GroupAcksPorts {
  readonly category: string;
  /** The name of this node, which alone knows which of its own indexes were never used. */
  readonly nodeName: string;
  readonly groups: GroupBook;
  readonly chunks: ChunkList;
  /** Every chunk of this node with a lower index is in the list, hidden, or gone. */
  readonly listedBefore: () => number;
  /** Whether everything that this node ever wrote is in the list, hidden, or gone: not so after its disk was lost. */
  readonly knowsOwnIndexes: () => boolean;
  /** The indexes of this node's chunks that are not in the list and wait to be saved. */
  readonly hiddenIndexes: () => readonly number[];
  /** Seals the open chunk. */
  readonly seal: () => Promise<unknown>;
  /** Makes earlier removals of chunks durable. */
  readonly syncRemovals: () => Promise<void>;
  /** Deletes a chunk that nobody waits for any more. */
  readonly remove: (chunk: Chunk) => Promise<void>;
  /** Called when a group sees other chunks than before. */
  readonly onChanged: () => void;
}

interface WaitingAck {
  readonly chunkName: string;
  readonly size: number;
  readonly group: string;
  readonly answer: Deferred<void>;
}

/**
 * What the groups of a category have acknowledged, and what follows from it: a chunk is removed when every
 * group has acknowledged it. All changes go one after another; acknowledgements that wait for their turn are
 * recorded together.
 */
export class GroupAcks {
  readonly #ports: GroupAcksPorts;
  readonly #lane = new Mutex();
  readonly #waiting: WaitingAck[] = [];

  constructor(ports: GroupAcksPorts) {
    this.#ports = ports;
  }

  /** Runs something while no acknowledgement changes. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    return this.#lane.run(task);
  }

  /** As `Category.registerGroup`. */
  register(
    group: string,
    from: 'earliest' | 'latest',
    generation?: number,
  ): Promise<HeldChunks | undefined> {
    const { groups, seal, syncRemovals, onChanged } = this.#ports;
    return this.#lane.run(async () => {
      const { states } = groups;
      const isNewer = generation !== undefined && generation > states.generationOf(group);
      if (states.isRegistered(group) && !isNewer) return undefined;
      if (generation === undefined) this.checkRoomFor(group);
      if (from === 'latest') await seal();
      await syncRemovals();
      await groups.register(group, from === 'latest' ? this.#sealedChunks() : [], generation);
      onChanged();
      return this.#removeAcked();
    });
  }

  /**
   * Throws `too_many_groups` when the group is one more than a client may register, by its first acknowledgement too.
   *
   * @param coming other groups that are about to be registered
   */
  checkRoomFor(group: string, coming: ReadonlySet<string> = new Set()): void {
    const { groups, category } = this.#ports;
    const { states } = groups;
    if (states.isRegistered(group) || coming.has(group)) return;
    const isFull = states.names.length + coming.size >= groupCountMax;
    const isNameTooMany =
      states.generationOf(group) === 0 && states.nameCount + coming.size >= groupNameCountMax;
    if (isFull || isNameTooMany) throw tooManyGroups(category, group, isFull);
  }

  /** As `Category.removeGroup`. */
  removeGroup(group: string, generation?: number): Promise<HeldChunks | undefined> {
    const { groups, syncRemovals, onChanged } = this.#ports;
    return this.#lane.run(async () => {
      if (!groups.states.isRegistered(group)) return undefined;
      await syncRemovals();
      await groups.remove(group, generation);
      onChanged();
      return this.#removeAcked();
    });
  }

  /** As `Category.ack`. */
  ack(chunkName: string, size: number, group: string): Promise<void> {
    const answer = createDeferred<void>();
    this.#waiting.push({ chunkName, size, group, answer });
    void this.#lane.run(() => this.#ackWaiting());
    return answer.promise;
  }

  /** Removes what every group has acknowledged; never rejects. */
  sweep(): Promise<void> {
    return this.#lane.run(async () => void (await this.#removeAcked()));
  }

  /** Gives the chunks up for all groups, and removes them. */
  async expire(owner: string, expired: readonly Chunk[]): Promise<void> {
    const floor = this.#floor(owner, (chunk) => !expired.includes(chunk));
    await this.#ports.groups.expire({ owner, chunks: expired, floor });
    this.#ports.onChanged();
  }

  /**
   * Takes in what another node knows, and removes what every group has acknowledged then; durable when it
   * resolves.
   */
  merge(foreign: ForeignAcks): Promise<void> {
    const { groups, nodeName, onChanged, syncRemovals } = this.#ports;
    return this.#lane.run(async () => {
      const { names } = groups.states;
      const isNew = ([name, record]: [string, { readonly removed?: boolean }]): boolean =>
        record.removed !== true && !names.includes(name);
      if (Object.entries(foreign.records.groups).some(isNew)) await syncRemovals();
      const hasChanged = await groups.merge(
        foreign,
        (owner, index) => this.needsSize(owner, index),
        (states) => {
          states.raise(nodeName, (isAcked) =>
            this.#floor(nodeName, (chunk) => chunk.state === 'open' || !isAcked(chunk.index)),
          );
        },
      );
      if (!hasChanged) return;
      onChanged();
      await this.#removeAcked();
    });
  }

  /**
   * Whether what a copy of the chunk may have beyond its acknowledged size could still come up here: as long as some
   * group has not acknowledged it, or it is not removed yet.
   */
  needsSize(owner: string, index: number): boolean {
    const { groups, chunks } = this.#ports;
    const isHere = chunks.get(formatChunkName({ owner, index })) !== undefined;
    return isHere || !groups.states.isAckedByAll(owner, index);
  }

  /** What waited for its turn while another one was recorded is recorded at once. */
  async #ackWaiting(): Promise<void> {
    const { groups, onChanged, remove } = this.#ports;
    const acks = new Map<WaitingAck, Chunk>();
    const newGroups = new Set<string>();
    for (const ack of this.#waiting.splice(0)) {
      try {
        const chunk = this.#unackedChunk(ack);
        if (chunk === undefined) {
          ack.answer.resolve();
          continue;
        }
        this.checkRoomFor(ack.group, newGroups);
        if (!groups.states.isRegistered(ack.group)) newGroups.add(ack.group);
        acks.set(ack, chunk);
      } catch (error) {
        ack.answer.reject(error);
      }
    }
    if (acks.size === 0) return;
    try {
      await this.#record(acks);
      onChanged();
      for (const chunk of new Set(acks.values())) {
        if (groups.states.isAckedByAll(chunk.owner, chunk.index)) await remove(chunk);
      }
      for (const { answer } of acks.keys()) answer.resolve();
    } catch (error) {
      for (const { answer } of acks.keys()) answer.reject(error);
    }
  }

  async #record(acks: ReadonlyMap<WaitingAck, Chunk>): Promise<void> {
    const { groups, syncRemovals } = this.#ports;
    const byGroup = new Map<string, Chunk[]>();
    for (const [{ group }, chunk] of acks) {
      const chunks = byGroup.get(group) ?? [];
      byGroup.set(group, chunks);
      chunks.push(chunk);
    }
    if ([...byGroup.keys()].some((group) => !groups.states.isRegistered(group)))
      await syncRemovals();
    await groups.ack(
      [...byGroup].flatMap(([group, acked]) => {
        const owners = new Set(acked.map((chunk) => chunk.owner));
        return [...owners].map((owner) => {
          const owned = acked.filter((chunk) => chunk.owner === owner);
          const isWaiting = (chunk: Chunk): boolean =>
            !acked.includes(chunk) && !groups.states.has(group, owner, chunk.index);
          return { group, owner, chunks: owned, floor: this.#floor(owner, isWaiting) };
        });
      }),
    );
  }

  /** The chunk to be acknowledged; `undefined` when it is already. */
  #unackedChunk({ chunkName, size, group }: WaitingAck): Chunk | undefined {
    const { groups, chunks, category } = this.#ports;
    const name = checkChunkName(chunkName);
    if (groups.states.has(group, name.owner, name.index)) return undefined;
    const chunk = chunks.get(chunkName);
    const fields = { category, chunk: chunkName };
    if (chunk === undefined) {
      throw new ChukchaError(
        'chunk_not_found',
        `Chunk ${chunkName} of category ${category} is not on this node: acknowledge a chunk that /listChunks shows.`,
        { fields },
      );
    }
    if (chunk.state === 'open') {
      throw new ChukchaError(
        'chunk_open',
        `Chunk ${chunkName} may still grow beyond its ${chunk.size} bytes: acknowledge it when /listChunks shows it as complete.`,
        { fields: { ...fields, size: chunk.size } },
      );
    }
    if (size < chunk.size) {
      throw new ChukchaError(
        'ack_size_too_small',
        `Chunk ${chunkName} has ${chunk.size} bytes, but ${size} were acknowledged: read it to its end before acknowledging it.`,
        { fields: { ...fields, size: chunk.size } },
      );
    }
    return chunk;
  }

  async #removeAcked(): Promise<HeldChunks> {
    const { groups, chunks, remove } = this.#ports;
    const acked = chunks
      .sorted()
      .filter((chunk) => groups.states.isAckedByAll(chunk.owner, chunk.index));
    for (const chunk of acked) await remove(chunk);
    return sumOf(acked);
  }

  /** What is sealed now, by owner, as acknowledgements. */
  #sealedChunks(): AckedChunks[] {
    const { chunks } = this.#ports;
    return chunks.owners().map((owner) => {
      const sealed = chunks.ownedBy(owner).filter((chunk) => chunk.state === 'sealed');
      const floor = this.#floor(owner, (chunk) => chunk.state !== 'sealed');
      return { owner, chunks: sealed, floor };
    });
  }

  /** The lowest index of the owner's chunks that still waits for an acknowledgement. */
  #floor(owner: string, isWaiting: (chunk: Chunk) => boolean): number {
    const { nodeName, chunks, listedBefore, hiddenIndexes, knowsOwnIndexes } = this.#ports;
    // Only this node knows which of its own indexes were never used; of another's, nothing is assumed.
    if (owner !== nodeName || !knowsOwnIndexes()) return 0;
    const waiting = chunks.ownedBy(owner).find(isWaiting);
    return Math.min(waiting?.index ?? listedBefore(), ...hiddenIndexes());
  }
}

function tooManyGroups(category: string, group: string, isFull: boolean): ChukchaError {
  const reason = isFull
    ? `Category ${category} has ${groupCountMax} groups: remove those that nobody reads with any more`
    : `Category ${category} has had ${groupNameCountMax} groups, and a cluster remembers their names: take one of them again`;
  return new ChukchaError(
    'too_many_groups',
    `${reason} (chukcha groups shows what there are); group ${group} was not registered, and nothing was acknowledged.`,
    { fields: { category, group } },
  );
}

/** How many chunks, and how large together. */
export function sumOf(chunks: readonly { readonly size: number }[]): HeldChunks {
  return { chunks: chunks.length, bytes: chunks.reduce((sum, chunk) => sum + chunk.size, 0) };
}

import { formatPlace } from '../protocol/replication.js';
import type { Category } from '../storage/category.js';
import type { Chunk } from '../storage/chunk.js';
import { type ReplicationParts, recoveryMsMax, repairPauseMs, wantedCountMax } from './limits.js';
import type { Membership } from './membership.js';
import { firstMissingIndex, planRepair, type RepairStep } from './repair-plan.js';
import type { ReplicaIntake } from './replica-intake.js';

export interface RepairsPorts extends ReplicationParts {
  readonly membership: Membership;
  /** The streams from peers, by peer. */
  readonly intakes: ReadonlyMap<string, ReplicaIntake>;
}

/** For how long a chunk does not grow before another peer than its owner is asked for it. */
const stillMs = 1_000;

/**
 * Gets what nobody sends by itself: asks peers for chunks whose owner is away or has lost them, and completes this
 * node's own chunks of which a power failure took the end.
 */
export class Repairs {
  readonly #ports: RepairsPorts;
  readonly #startMs: number;
  /** The categories that may lack something; all of them when it is `undefined`. */
  #changed: Set<string> | undefined;
  /** Since when a chunk lacks something at the same place. */
  readonly #still = new Map<string, { readonly offset: number; readonly sinceMs: number }>();
  /** Until when a chunk is left alone. */
  readonly #pausedUntilMs = new Map<string, number>();

  constructor(ports: RepairsPorts) {
    this.#ports = ports;
    this.#startMs = ports.clock.monotonicMs();
  }

  /** What peers hold of a category, or of all, has changed. */
  note(category: string | undefined): void {
    if (category === undefined) this.#changed = undefined;
    else this.#changed?.add(category);
  }

  /** A peer has sent what it has of a chunk: what is missing still has to come from another one, or later. */
  served(place: string): void {
    this.#pausedUntilMs.set(place, this.#ports.clock.monotonicMs() + repairPauseMs);
    this.note(undefined);
  }

  /** As `StoreListener.firstMissing`. */
  firstMissing(category: Category, owner: string): number | undefined {
    return firstMissingIndex(category, owner, [...this.#ports.intakes.values()]);
  }

  /** As `StoreListener.isHeldElsewhere`. */
  isHeldElsewhere(categoryName: string, chunk: Chunk): boolean {
    const { sealRecord } = chunk;
    if (sealRecord === undefined) return false;
    for (const intake of this.#ports.intakes.values()) {
      const held = intake.inventory.find(categoryName, chunk.name);
      const isSame = held?.size === sealRecord.size && held.crc === sealRecord.crc;
      // An owner that is there holds what it wrote, unless it is the one that asks.
      if ((held?.sealed && isSame) || (intake.peer === chunk.owner && intake.isCaughtUp))
        return true;
    }
    return false;
  }

  /** To be called from time to time. */
  tick(nowMs: number): void {
    const changed = this.#changed;
    this.#changed = new Set();
    for (const category of this.#ports.store.openCategories) {
      if (changed !== undefined && !changed.has(category.name)) continue;
      if (this.#ask(category, nowMs)) this.#changed.add(category.name);
      this.#complete(category, nowMs);
    }
  }

  /** Asks for what is missing in a category; tells whether anything is. */
  #ask(category: Category, nowMs: number): boolean {
    const { nodeName, intakes, log } = this.#ports;
    const steps = planRepair(category, nodeName, [...intakes.values()]);
    for (const step of steps) {
      const intake = intakes.get(step.source.peer);
      const place = formatPlace({ category: category.name, chunk: step.entry.chunk });
      if (intake === undefined || this.#isUnderWay(place)) continue;
      if (intake.wanted.size >= wantedCountMax || !this.#isDue(place, step, nowMs)) continue;
      log.debug('Asking a peer for what is missing of a chunk.', {
        peer: step.source.peer,
        category: category.name,
        chunk: step.entry.chunkName,
        offset: step.offset,
      });
      intake.want(place, step.offset);
    }
    return steps.length > 0;
  }

  #isUnderWay(place: string): boolean {
    for (const { wanted } of this.#ports.intakes.values()) if (wanted.has(place)) return true;
    return false;
  }

  #isDue(place: string, { entry, offset }: RepairStep, nowMs: number): boolean {
    if ((this.#pausedUntilMs.get(place) ?? 0) > nowMs) return false;
    this.#pausedUntilMs.delete(place);
    if (!this.#ports.intakes.has(entry.chunk.owner)) return true;
    const still = this.#still.get(place);
    if (still?.offset !== offset) {
      this.#still.set(place, { offset, sinceMs: nowMs });
      return false;
    }
    if (nowMs - still.sinceMs < stillMs) return false;
    this.#still.delete(place);
    return true;
  }

  /**
   * An own chunk of an earlier start is made what it is now when every peer was heard and none has more of it, or was
   * waited for long enough.
   */
  #complete(category: Category, nowMs: number): void {
    const { nodeName, intakes, membership } = this.#ports;
    const isHeard = membership.peers.every(({ name }) => intakes.get(name)?.inventory.isWhole);
    const own = [...category.copies].filter(({ owner }) => owner === nodeName);
    if (own.length > 0) {
      const isOverdue = nowMs - this.#startMs > recoveryMsMax;
      const wanted = planRepair(category, nodeName, [...intakes.values()]);
      for (const { name } of own) {
        const isWanted = wanted.some(({ entry }) => entry.chunkName === name);
        if ((isHeard || isOverdue) && !isWanted) void category.endRecovery(name);
        else this.#changed?.add(category.name);
      }
    }
    if (category.firstOwnIndex === 0) return;
    if (isHeard && this.firstMissing(category, nodeName) === undefined) {
      void category.markWhole().catch(() => this.#changed?.add(category.name));
    } else this.#changed?.add(category.name);
  }
}

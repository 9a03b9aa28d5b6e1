import type { Clock } from '../common/clock.js';
import { compareOwnerPositions, type OwnerPosition } from '../protocol/position.js';

/** How far a peer has come with this node's chunks of a category. */
export interface PeerPosition {
  /** Everything before it is in the peer's files. */
  readonly written: OwnerPosition;
  /** Everything before it is durable there. */
  readonly durable: OwnerPosition;
}

/** A batch that waits for peers. */
export interface AwaitedBatch {
  readonly category: string;
  /** Where the batch ends. */
  readonly end: OwnerPosition;
  readonly replicaCount: number;
  readonly isDurable: boolean;
  /** Called once: enough peers have it, or the time is over and only so many have. */
  confirmed(): void;
  overdue(replicaCount: number): void;
}

interface WaitingBatch extends AwaitedBatch {
  deadlineMs: number;
}

/** How long batches still wait when too few peers are left: a node that is started again is back by then. */
const returnMsMax = 1_000;

const nowhere: OwnerPosition = { index: -1, offset: 0 };

/**
 * Knows how far each connected peer has come with this node's own chunks, and tells the batches that wait for
 * some of them. A peer that comes back begins with what it says that it has then, which may be less than before.
 */
export class PositionBoard {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  /** By peer, and by category. */
  readonly #peers = new Map<string, Map<string, PeerPosition>>();
  /** By what they wait for, in the order of their ends: who is in front is confirmed first. */
  readonly #waiting = new Map<string, WaitingBatch[]>();
  /** How many batches want to be durable at peers, by category. */
  readonly #durableWanted = new Map<string, number>();

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** The peers that are connected. */
  get peers(): readonly string[] {
    return [...this.#peers.keys()];
  }

  /** @param positions what the peer has, durably, by category */
  connect(peer: string, positions: ReadonlyMap<string, OwnerPosition>): void {
    const taken = [...positions].map(([category, position]) => {
      return [category, { written: position, durable: position }] as const;
    });
    this.#peers.set(peer, new Map(taken));
    for (const [category] of taken) this.#confirm(category);
  }

  /** Batches that now wait for more peers than are left need not wait for their whole time. */
  disconnect(peer: string): void {
    this.#peers.delete(peer);
    const soonMs = this.#clock.monotonicMs() + returnMsMax;
    for (const waiting of this.#waiting.values()) {
      if ((waiting[0]?.replicaCount ?? 0) <= this.#peers.size) continue;
      for (const batch of waiting) batch.deadlineMs = Math.min(batch.deadlineMs, soonMs);
    }
  }

  /** Takes note of what a connected peer has now. */
  update(peer: string, category: string, position: Partial<PeerPosition>): void {
    const positions = this.#peers.get(peer);
    if (positions === undefined) return;
    const before = positions.get(category) ?? { written: nowhere, durable: nowhere };
    positions.set(category, {
      written: later(before.written, position.written),
      durable: later(before.durable, position.durable),
    });
    this.#confirm(category);
  }

  /** Where the peer is; `undefined` when it is not connected, or has nothing. */
  position(peer: string, category: string): PeerPosition | undefined {
    return this.#peers.get(peer)?.get(category);
  }

  /** To be called before a batch is stored that has to be durable at peers; the return ends that. */
  wantDurable(category: string): () => void {
    const change = (by: number): void => {
      const count = (this.#durableWanted.get(category) ?? 0) + by;
      if (count > 0) this.#durableWanted.set(category, count);
      else this.#durableWanted.delete(category);
    };
    change(1);
    return () => change(-1);
  }

  /** Whether peers should say as soon as possible what is durable there. */
  wantsDurable(category: string): boolean {
    return this.#durableWanted.has(category);
  }

  /** Waits for peers; batches of a category must come in the order of their ends. */
  wait(batch: AwaitedBatch): void {
    const { category, replicaCount, isDurable } = batch;
    const best = this.#nthBest(category, replicaCount, isDurable);
    if (compareOwnerPositions(best, batch.end) >= 0) {
      batch.confirmed();
      return;
    }
    const key = `${category} ${replicaCount} ${isDurable}`;
    const waiting = this.#waiting.get(key) ?? [];
    this.#waiting.set(key, waiting);
    const { end } = batch;
    const deadlineMs = this.#clock.monotonicMs() + this.#timeoutMs;
    const confirmed = (): void => batch.confirmed();
    const overdue = (count: number): void => batch.overdue(count);
    waiting.push({ category, end, replicaCount, isDurable, deadlineMs, confirmed, overdue });
  }

  /** Gives up those that have waited for too long. To be called from time to time. */
  expire(nowMs: number): void {
    for (const [key, waiting] of this.#waiting) {
      while (waiting[0] !== undefined && waiting[0].deadlineMs <= nowMs) {
        this.#giveUp(waiting.shift() as WaitingBatch);
      }
      if (waiting.length === 0) this.#waiting.delete(key);
    }
  }

  /** Gives up all that wait: nothing will be heard any more. */
  close(): void {
    for (const waiting of this.#waiting.values()) for (const batch of waiting) this.#giveUp(batch);
    this.#waiting.clear();
    this.#peers.clear();
  }

  #giveUp(batch: WaitingBatch): void {
    const { category, isDurable, end } = batch;
    const positions = this.#positions(category, isDurable);
    batch.overdue(positions.filter((place) => compareOwnerPositions(place, end) >= 0).length);
  }

  #confirm(category: string): void {
    if (this.#waiting.size === 0) return;
    for (const [key, waiting] of this.#waiting) {
      const first = waiting[0];
      if (first?.category !== category) continue;
      const best = this.#nthBest(category, first.replicaCount, first.isDurable);
      let count = 0;
      while (count < waiting.length) {
        const batch = waiting[count] as WaitingBatch;
        if (compareOwnerPositions(best, batch.end) < 0) break;
        count += 1;
      }
      if (count === waiting.length) this.#waiting.delete(key);
      for (const batch of waiting.splice(0, count)) batch.confirmed();
    }
  }

  /** The place that `count` peers have reached. */
  #nthBest(category: string, count: number, isDurable: boolean): OwnerPosition {
    const positions = this.#positions(category, isDurable);
    return positions[count - 1] ?? nowhere;
  }

  /** The furthest first. */
  #positions(category: string, isDurable: boolean): OwnerPosition[] {
    const positions: OwnerPosition[] = [];
    for (const ofPeer of this.#peers.values()) {
      const position = ofPeer.get(category);
      if (position !== undefined) positions.push(isDurable ? position.durable : position.written);
    }
    return positions.sort((left, right) => compareOwnerPositions(right, left));
  }
}

function later(before: OwnerPosition, now: OwnerPosition | undefined): OwnerPosition {
  return now !== undefined && compareOwnerPositions(now, before) > 0 ? now : before;
}

import type { Clock } from '../common/clock.js';
import { detachedText } from '../common/detached-text.js';

/** Who drains a category for a group, and for how long that holds without another word. */
export interface GroupLease {
  readonly holder: string;
  readonly expiresInMs: number;
}

interface HeldLease {
  readonly holder: string;
  readonly untilMs: number;
}

/** How many leases are remembered: whoever makes up names must not fill the memory. */
const leaseCountMax = 10_000;

/**
 * Which reader drains a category for a group at the moment, as far as they have asked this node. It is a courtesy between
 * readers of one group, so that two of them do not do the same work: nothing is refused to one that has no lease, and a
 * node that starts remembers none.
 */
export class GroupLeases {
  readonly #clock: Clock;
  readonly #leases = new Map<string, HeldLease>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Who holds the lease; `undefined` when nobody does. */
  find(category: string, group: string): GroupLease | undefined {
    const lease = this.#current(keyOf(category, group));
    if (lease === undefined) return undefined;
    return { holder: lease.holder, expiresInMs: lease.untilMs - this.#clock.monotonicMs() };
  }

  /** Gives the lease to the holder, or renews it, unless another one holds it; tells who holds it then. */
  take(category: string, group: string, holder: string, ttlMs: number): GroupLease {
    const key = keyOf(category, group);
    const current = this.#current(key);
    if (current !== undefined && current.holder !== holder) {
      return this.find(category, group) ?? { holder: current.holder, expiresInMs: 0 };
    }
    this.#makeRoom();
    this.#leases.delete(key);
    const untilMs = this.#clock.monotonicMs() + ttlMs;
    this.#leases.set(key, { holder: detachedText(holder), untilMs });
    return { holder, expiresInMs: ttlMs };
  }

  /** Takes the lease from the holder, when that is who holds it. */
  release(category: string, group: string, holder: string): void {
    const key = keyOf(category, group);
    if (this.#leases.get(key)?.holder === holder) this.#leases.delete(key);
  }

  #current(key: string): HeldLease | undefined {
    const lease = this.#leases.get(key);
    return lease !== undefined && lease.untilMs > this.#clock.monotonicMs() ? lease : undefined;
  }

  /** Forgets what has expired, and of more than there is room for the one that was renewed the longest ago. */
  #makeRoom(): void {
    if (this.#leases.size < leaseCountMax) return;
    for (const key of this.#leases.keys())
      if (this.#current(key) === undefined) this.#leases.delete(key);
    const [oldest] = this.#leases.keys();
    if (this.#leases.size >= leaseCountMax && oldest !== undefined) this.#leases.delete(oldest);
  }
}

function keyOf(category: string, group: string): string {
  return detachedText(`${category}/${group}`);
}

/** Something with time limits of its own. */
export interface Swept {
  /** Ends it when one of its limits is over. */
  sweep(nowMs: number): void;
}

/** Each tick looks at the connections of one slot, so that many of them do not hold up the loop at once. */
const slotCount = 8;

/**
 * Looks at every connection once in eight ticks, instead of a timer for each: limits of half a minute and
 * more need no better.
 */
export class ConnectionSweep {
  readonly #slots: readonly Set<Swept>[] = Array.from({ length: slotCount }, () => new Set());
  readonly #timer: NodeJS.Timeout;
  #turn = 0;
  #nowMs = performance.now();

  /** @param onTick called at each tick, before its connections are looked at */
  constructor(tickMs: number, onTick: () => void) {
    this.#timer = setInterval(() => {
      this.#nowMs = performance.now();
      onTick();
      this.#turn = (this.#turn + 1) % slotCount;
      for (const swept of this.#slots[this.#turn] ?? []) swept.sweep(this.#nowMs);
    }, tickMs);
    this.#timer.unref();
  }

  /** The time of the last tick; good enough for limits, and it costs nothing. */
  get nowMs(): number {
    return this.#nowMs;
  }

  add(swept: Swept): void {
    const slot = Math.floor(Math.random() * slotCount);
    this.#slots[slot]?.add(swept);
  }

  remove(swept: Swept): void {
    for (const slot of this.#slots) slot.delete(swept);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

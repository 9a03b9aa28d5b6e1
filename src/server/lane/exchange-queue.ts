import type { Exchange } from './exchange.js';

/** The exchanges of a connection that are not answered yet, in the order of their requests. */
export class ExchangeQueue {
  first: Exchange | undefined;
  /** How many there are. */
  count = 0;
  /** The bytes of their batches. */
  byteCount = 0;
  #last: Exchange | undefined;

  add(exchange: Exchange): void {
    if (this.#last === undefined) this.first = exchange;
    else this.#last.next = exchange;
    this.#last = exchange;
    this.count += 1;
    this.byteCount += exchange.byteCount;
  }

  /** Takes the first one out, and returns the next. */
  shift(): Exchange | undefined {
    const { first } = this;
    if (first === undefined) return undefined;
    this.count -= 1;
    this.byteCount -= first.byteCount;
    this.first = first.next;
    if (this.first === undefined) this.#last = undefined;
    return this.first;
  }
}

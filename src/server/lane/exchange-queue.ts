/** Something whose answer is owed; one of a queue knows the next. */
interface Queued<T> {
  next: T | undefined;
  /** The bytes of its batch. */
  readonly byteCount: number;
}

/** The exchanges of a connection that are not answered yet, in the order of their requests. */
export class ExchangeQueue<T extends Queued<T>> {
  first: T | undefined;
  /** How many there are. */
  count = 0;
  /** The bytes of their batches. */
  byteCount = 0;
  #last: T | undefined;

  add(exchange: T): void {
    if (this.#last === undefined) this.first = exchange;
    else this.#last.next = exchange;
    this.#last = exchange;
    this.count += 1;
    this.byteCount += exchange.byteCount;
  }

  /** Takes the first one out, and returns the next. */
  shift(): T | undefined {
    const { first } = this;
    if (first === undefined) return undefined;
    this.count -= 1;
    this.byteCount -= first.byteCount;
    this.first = first.next;
    if (this.first === undefined) this.#last = undefined;
    return this.first;
  }
}

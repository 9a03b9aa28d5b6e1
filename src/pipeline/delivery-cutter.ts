import { countNewlines } from '@chukcha/plugin-api';
import type { ConsumerBatch } from '../client/consumer-options.js';
import { parseChunkName } from '../protocol/names.js';

/** How deliveries are cut. */
export interface CutLimits {
  /** The most bytes of a delivery; a larger message comes by itself. */
  readonly bytesMax: number;
  readonly messagesMax: number;
  /** How long messages wait for company, in milliseconds. */
  readonly lingerMs: number;
}

/** Some messages of one chunk that are delivered together. */
export interface Delivery {
  readonly chunk: string;
  /** The first byte in the chunk, and the one behind the last. */
  readonly from: number;
  readonly to: number;
  readonly bytes: Uint8Array;
  readonly messageCount: number;
  /** To be called once, when it is delivered: what it was cut from is processed when all of that is. */
  release(): void;
}

/** A batch of the consumer, of which some may be cut already. */
interface HeldBatch {
  readonly batch: ConsumerBatch;
  readonly arrivedMs: number;
  /** How much of it is cut, in bytes. */
  cutTo: number;
  /** The messages behind that; `undefined` until they are counted, because that takes time. */
  restCount: number | undefined;
  /** Cuts of it that are not released. */
  unreleased: number;
}

const NEWLINE = 0x0a;

/**
 * Gathers what a consumer gives, and cuts deliveries from it when somebody asks for one: so what comes while a
 * target is busy goes together. A delivery never reaches over the end of a chunk, and those of one owner are in order.
 */
export class DeliveryCutter {
  /** Everything that came and is not released, in bytes. */
  heldBytes = 0;
  readonly #limitsNow: () => CutLimits;
  readonly #queues = new Map<string, HeldBatch[]>();

  /** @param limitsNow tells how deliveries are cut from now on */
  constructor(limitsNow: () => CutLimits) {
    this.#limitsNow = limitsNow;
  }

  get #limits(): CutLimits {
    return this.#limitsNow();
  }

  /** Whether everything that came is cut. */
  get isEmpty(): boolean {
    return this.#queues.size === 0;
  }

  add(batch: ConsumerBatch, nowMs: number): void {
    const owner = parseChunkName(batch.chunk)?.owner ?? '';
    const queue = this.#queues.get(owner) ?? [];
    this.#queues.set(owner, queue);
    queue.push({ batch, arrivedMs: nowMs, cutTo: 0, restCount: undefined, unreleased: 0 });
    this.heldBytes += batch.bytes.length;
  }

  /** When the next delivery is due that waits for company; `undefined` when none does. */
  get dueMs(): number | undefined {
    const arrivals = [...this.#queues.values()].flatMap(([first]) => first?.arrivedMs ?? []);
    return arrivals.length === 0 ? undefined : Math.min(...arrivals) + this.#limits.lingerMs;
  }

  /**
   * Cuts a delivery, of the owner that has waited longest: one that is full, or has waited long enough.
   *
   * @param nowMs what has waited long enough by then need not be full; infinite for all that is there
   */
  take(nowMs: number): Delivery | undefined {
    const queues = [...this.#queues].sort(
      ([, left], [, right]) => arrivalOf(left) - arrivalOf(right),
    );
    for (const [owner, queue] of queues) {
      if (arrivalOf(queue) + this.#limits.lingerMs > nowMs && !this.#isFull(queue)) continue;
      const delivery = this.#cut(queue);
      if (queue.length === 0) this.#queues.delete(owner);
      return delivery;
    }
    return undefined;
  }

  #isFull(queue: readonly HeldBatch[]): boolean {
    const { bytesMax, messagesMax } = this.#limits;
    let byteCount = 0;
    let messageCount = 0;
    for (const held of queue) {
      const { batch, cutTo } = held;
      // What lies in another chunk cannot go with it.
      if (batch.chunk !== queue[0]?.batch.chunk) return true;
      byteCount += batch.bytes.length - cutTo;
      if (byteCount >= bytesMax) return true;
      if (messagesMax < Number.POSITIVE_INFINITY) {
        messageCount += countRest(held);
        if (messageCount >= messagesMax) return true;
      }
    }
    return false;
  }

  #cut(queue: HeldBatch[]): Delivery {
    const first = queue[0] as HeldBatch;
    const { chunk } = first.batch;
    const from = first.batch.offset + first.cutTo;
    const pieces: Buffer[] = [];
    const sources: HeldBatch[] = [];
    let byteCount = 0;
    let messageCount = 0;
    for (let held = queue[0]; held?.batch.chunk === chunk; held = queue[0]) {
      const { batch } = held;
      if (batch.offset + held.cutTo !== from + byteCount) break;
      const rest = batch.bytes.subarray(held.cutTo);
      const cut = this.#cutOf(held, rest, byteCount, messageCount);
      if (cut.byteCount === 0) break;
      // Pieces are copied together, so that is only for small deliveries and for batches that go with them as a whole.
      const isPart = cut.byteCount < rest.length;
      if (isPart && this.#isHalfFull(byteCount, messageCount)) break;
      pieces.push(rest.subarray(0, cut.byteCount));
      sources.push(held);
      held.unreleased += 1;
      held.cutTo += cut.byteCount;
      if (held.restCount !== undefined) held.restCount -= cut.messageCount;
      byteCount += cut.byteCount;
      messageCount += cut.messageCount;
      if (held.cutTo < batch.bytes.length) break;
      queue.shift();
    }
    const [only, ...others] = pieces;
    const bytes = others.length === 0 ? (only as Buffer) : Buffer.concat(pieces);
    return {
      chunk,
      from,
      to: from + byteCount,
      bytes,
      messageCount,
      release: () => this.#release(sources),
    };
  }

  #isHalfFull(byteCount: number, messageCount: number): boolean {
    const { bytesMax, messagesMax } = this.#limits;
    return 2 * byteCount >= bytesMax || 2 * messageCount >= messagesMax;
  }

  /** How much of the bytes goes with a delivery that has so much already. */
  #cutOf(
    held: HeldBatch,
    bytes: Buffer,
    byteCount: number,
    messageCount: number,
  ): { readonly byteCount: number; readonly messageCount: number } {
    const { bytesMax, messagesMax } = this.#limits;
    let end = bytes.length;
    if (byteCount + end > bytesMax) {
      const room = bytesMax - byteCount;
      end = room > 0 ? bytes.lastIndexOf(NEWLINE, room - 1) + 1 : 0;
      // A message that is larger than a delivery may be goes by itself.
      if (end === 0 && byteCount === 0) end = bytes.indexOf(NEWLINE) + 1;
    }
    const isWhole = end === bytes.length;
    const count = isWhole ? countRest(held) : countNewlines(bytes.subarray(0, end));
    const countMax = messagesMax - messageCount;
    if (count <= countMax) return { byteCount: end, messageCount: count };
    // In equal parts, because a small rest would be copied together with what follows, again and again.
    const countCut = messageCount === 0 ? Math.ceil(count / Math.ceil(count / countMax)) : countMax;
    return { byteCount: endOfMessages(bytes, countCut), messageCount: countCut };
  }

  #release(sources: readonly HeldBatch[]): void {
    for (const held of sources) {
      held.unreleased -= 1;
      const { batch } = held;
      if (held.unreleased > 0 || held.cutTo < batch.bytes.length) continue;
      this.heldBytes -= batch.bytes.length;
      batch.ack();
    }
  }
}

/** How many messages of a batch are not cut yet. */
function countRest(held: HeldBatch): number {
  held.restCount ??= countNewlines(held.batch.bytes.subarray(held.cutTo));
  return held.restCount;
}

function arrivalOf([first]: readonly HeldBatch[]): number {
  return first?.arrivedMs ?? Number.POSITIVE_INFINITY;
}

/** Where the first so many messages end. */
export function endOfMessages(bytes: Buffer, messageCount: number): number {
  let end = 0;
  for (let count = 0; count < messageCount; count += 1) end = bytes.indexOf(NEWLINE, end) + 1;
  return end;
}

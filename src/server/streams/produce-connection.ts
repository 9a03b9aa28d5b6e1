import type { Socket } from 'node:net';
import {
  encodeFrame,
  type FrameHead,
  frameFlags,
  frameKinds,
  invalidFrame,
} from '../../protocol/frames.js';
import { paths } from '../../protocol/http-api.js';
import { streamBatchCountMax } from '../../protocol/limits.js';
import type { Appended } from '../../storage/batch.js';
import { drainingError } from '../../storage/category-writer.js';
import type { BodyBuffer } from '../body-buffer.js';
import type { IncomingBody } from '../incoming-body.js';
import { WriteExchange } from '../lane/exchange.js';
import { ExchangeQueue } from '../lane/exchange-queue.js';
import type { LaneContext } from '../lane/lane-context.js';
import type { ProduceCall } from '../operations/streams.js';
import { submitBatch, type WriteCall } from '../operations/write.js';
import { microsecondsBetween, microsecondsNow } from '../request-time.js';
import { StreamConnection } from './stream-connection.js';

/** A stream of batches: each is stored as a write is, and answered in order; a refused one ends nothing. */
export class ProduceConnection extends StreamConnection {
  readonly #call: ProduceCall;
  readonly #owed = new ExchangeQueue<BatchExchange>();
  #draining = false;

  constructor(socket: Socket, call: ProduceCall, context: LaneContext) {
    super(socket, context, paths.produce);
    this.#call = call;
    // The client sends no more: it gets its answers.
    socket.once('end', () => this.drain());
  }

  flush(): void {
    if (this.isEnding) return;
    const answeredAt = microsecondsNow(this.context.ports.clock);
    const frames: Buffer[] = [];
    let next = this.#owed.first;
    while (next?.outcome !== undefined) {
      frames.push(this.#answer(next, answeredAt));
      next = this.#owed.shift();
    }
    if (frames.length > 0)
      this.send(frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames));
    if (next === undefined && this.#draining) this.refuseAll(drainingError());
    this.readWhenAble();
  }

  drain(): void {
    this.#draining = true;
    this.context.flushSoon(this);
  }

  settled(exchange: WriteExchange): void {
    if (exchange === this.#owed.first) this.context.flushSoon(this);
  }

  protected onFrame(head: FrameHead, body: IncomingBody): void {
    if (head.kind !== frameKinds.batch || head.nameBytes > 0) {
      body.release();
      throw invalidFrame(`kind ${head.kind} is not one that a producer sends`);
    }
    const { categoryName, producer, replicaCount } = this.#call;
    const sync = (head.flags & frameFlags.sync) !== 0;
    const stamp = producer === undefined ? undefined : { producer, sequence: head.number };
    const call = { categoryName, sync, replicaCount, stamp };
    const exchange = new BatchExchange(this, call, body.buffer, this.receivedAt, head.number);
    this.#owed.add(exchange);
    if (body.error !== undefined) exchange.failed(body.error);
    else submitBatch(this.context.ports, categoryName, exchange, replicaCount);
  }

  protected override isFull(): boolean {
    const { count, byteCount } = this.#owed;
    const { batchBytesMax } = this.context.ports;
    return count >= streamBatchCountMax || byteCount >= batchBytesMax || super.isFull();
  }

  protected onClosed(): void {
    // What was handed to the store is stored, and lets go of its memory then.
  }

  #answer({ outcome, number, begunAt }: BatchExchange, answeredAt: number): Buffer {
    if (outcome === undefined || 'error' in outcome) return this.refusal(outcome?.error, number);
    const { counts } = this.context.ports;
    if (outcome.appended.duplicate) counts.duplicateCount += 1;
    counts.answered(paths.produce, 200, microsecondsBetween(begunAt, answeredAt));
    return storedFrame(number, outcome.appended);
  }
}

/** A batch of a stream on its way. */
class BatchExchange extends WriteExchange<BatchExchange> {
  readonly number: number;

  constructor(
    owner: ProduceConnection,
    call: WriteCall,
    body: BodyBuffer,
    begunAt: number,
    number: number,
  ) {
    super(owner, call, body, begunAt);
    this.number = number;
  }
}

function storedFrame(number: number, { chunk, offset, duplicate }: Appended): Buffer {
  const flags = (duplicate ? frameFlags.duplicate : 0) | (chunk === null ? frameFlags.noPlace : 0);
  return encodeFrame(frameKinds.stored, {
    flags,
    number,
    name: chunk ?? '',
    offset: offset ?? 0,
  });
}

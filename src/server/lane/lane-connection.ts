import type { Socket } from 'node:net';
import { paths } from '../../protocol/http-api.js';
import type { CountedConnection } from '../connection-counts.js';
import { IncomingBody } from '../incoming-body.js';
import {
  errorAnswer,
  logFailure,
  requestTimeoutError,
  toChukchaError,
} from '../operations/error-answer.js';
import type { ConsumeCall, ProduceCall } from '../operations/streams.js';
import { receiptBody, submitBatch, type WriteCall } from '../operations/write.js';
import { microsecondsBetween, microsecondsNow } from '../request-time.js';
import { ConsumeConnection } from '../streams/consume-connection.js';
import { ProduceConnection } from '../streams/produce-connection.js';
import type { StreamConnection } from '../streams/stream-connection.js';
import type { ByteSink } from './byte-source.js';
import type { Swept } from './connection-sweep.js';
import { type Exchange, ReadExchange, WriteExchange } from './exchange.js';
import { ExchangeQueue } from './exchange-queue.js';
import type { LaneContext, ReplicaRequest } from './lane-context.js';
import { LanePass } from './lane-pass.js';
import { headBytesMax, type RequestHead, readHead } from './request-head.js';
import { sendRead } from './send-read.js';

/** So many requests may be unanswered before no more are read; a read of 64 KiB may bring some more. */
const owedCountMax = 256;

/**
 * A connection in the fast lane. It reads one request after another, hands batches to the store without
 * waiting for their answers, and answers in order.
 *
 *     open --bytes that are not the lane's--> leaving --all answered--> left (the HTTP server has it)
 *     open --the client sends no more, or the node stops--> ending --all answered--> closed
 *     any --broken, or a time limit is over--> closed
 */
export class LaneConnection implements ByteSink, Swept {
  readonly socket: Socket;
  readonly #context: LaneContext;
  readonly #counted: CountedConnection;
  #state: 'open' | 'leaving' | 'ending' | 'left' | 'closed' = 'open';
  /** The last head, which most clients repeat byte for byte. */
  #lastHead: RequestHead | undefined;
  /** Which tokens were accepted when the last head was read. */
  #lastGeneration: number | undefined;
  readonly #pass = new LanePass();
  /** The beginning of a head. */
  #headStart: Buffer | undefined;
  #call: WriteCall | undefined;
  /** The body under way. */
  #body: IncomingBody | undefined;
  #readsIntoBody = false;
  readonly #owed = new ExchangeQueue<Exchange>();
  #sendingRead = false;
  #paused = false;
  #requestStartMs: number;
  #lastMs: number;
  /** When the last bytes came: the clock is read once for all requests that come together, as for their answers. */
  #receivedAt = 0;
  #hadRequest = false;
  #foreignBytes: Buffer | undefined;
  /** The peer that has opened a stream with the connection. */
  #replica: ReplicaRequest | undefined;
  /** What has taken the connection over, after an upgrade. */
  #stream: StreamConnection | undefined;

  constructor(socket: Socket, context: LaneContext, counted: CountedConnection) {
    this.socket = socket;
    this.#counted = counted;
    this.#context = context;
    this.#requestStartMs = context.nowMs;
    this.#lastMs = context.nowMs;
    socket.on('error', () => undefined);
    socket.on('drain', this.#onDrain);
    socket.once('end', this.#onEnd);
    socket.once('close', this.#onClose);
  }

  /** Closes the connection when no request is under way; a stream ends when what is under way is answered. */
  closeWhenIdle(): void {
    if (this.#stream !== undefined) this.#stream.drain();
    else if (this.#isIdle()) this.destroy();
  }

  #isIdle(): boolean {
    return this.#owed.first === undefined && this.#body === undefined && this.#state !== 'leaving';
  }

  target(): Buffer {
    if (this.#stream !== undefined) return this.#stream.target();
    const room = this.#body?.room();
    this.#readsIntoBody = room !== undefined;
    return room ?? this.#context.readTarget;
  }

  received(byteCount: number): Buffer | undefined {
    if (this.#stream !== undefined) return this.#stream.received(byteCount);
    this.#lastMs = this.#context.nowMs;
    if (this.#state !== 'open') return undefined;
    this.#receivedAt = this.#nowAt();
    if (!this.#readsIntoBody) return this.#takeRequests(byteCount);
    this.#body?.advance(byteCount);
    this.#endBody();
    this.#pauseWhenFull();
    return undefined;
  }

  left(bytes: Buffer): void {
    this.#state = 'leaving';
    this.#foreignBytes = bytes;
    this.socket.pause();
    this.#context.flushSoon(this);
  }

  settled(exchange: WriteExchange): void {
    if (exchange === this.#owed.first) this.#context.flushSoon(this);
  }

  /** Sends the answers that are ready, in order, and goes on with what waited for them. */
  flush(): void {
    if (this.#state === 'closed' || this.#state === 'left' || this.#sendingRead) return;
    const answeredAt = this.#nowAt();
    let text = '';
    let exchange = this.#owed.first;
    while (exchange?.kind === 'write' && exchange.outcome !== undefined) {
      text += this.#writeAnswer(exchange, exchange.outcome, answeredAt);
      exchange = this.#owed.shift();
    }
    if (text !== '') this.socket.write(text, 'latin1');
    if (exchange?.kind === 'read') this.#startRead(exchange);
    else if (exchange === undefined) this.#onAllAnswered();
    this.#readWhenAble();
  }

  /** Ends the connection without another answer. */
  destroy(): void {
    this.socket.destroy();
  }

  sweep(nowMs: number): void {
    if (this.#stream !== undefined) {
      if (this.#hasLostItsRight()) this.destroy();
      else this.#stream.sweep(nowMs);
      return;
    }
    const { limits } = this.#context;
    if (this.#owed.first !== undefined || this.#state !== 'open') {
      if (nowMs - this.#lastMs > limits.stillMs) this.destroy();
    } else if (this.#body !== undefined) {
      const isLate = nowMs - this.#requestStartMs > limits.requestMs;
      if (isLate || nowMs - this.#lastMs > limits.stillMs) this.#refuseLate();
    } else if (this.#headStart !== undefined || !this.#hadRequest) {
      if (nowMs - this.#requestStartMs > limits.headMs) this.#refuseLate();
    } else if (nowMs - this.#lastMs > limits.keepAliveMs) this.destroy();
  }

  /** Whether the tokens were replaced, and what opened the stream may not open one now. */
  #hasLostItsRight(): boolean {
    const { access } = this.#context.ports;
    if (access === undefined || access.generation === this.#lastGeneration) return false;
    this.#lastGeneration = access.generation;
    return this.#lastHead !== undefined && !this.#pass.allows(access, this.#lastHead);
  }

  /** Takes the requests of the read buffer; what is not the lane's is returned, copied. */
  #takeRequests(byteCount: number): Buffer | undefined {
    const { readBuffer } = this.#context;
    const end = headBytesMax + byteCount;
    const continuesHead = this.#headStart !== undefined;
    const start = this.#prependHeadStart();
    let at = start;
    while (at < end) {
      if (this.#body !== undefined) {
        at += this.#body.take(readBuffer, at, end);
        this.#endBody();
        continue;
      }
      const head = this.#readHead(at, end);
      if (head === 'foreign') return Buffer.from(readBuffer.subarray(at, end));
      if (head === 'incomplete') {
        this.#headStart = Buffer.from(readBuffer.subarray(at, end));
        if (at > start || !continuesHead) this.#requestStartMs = this.#context.nowMs;
        break;
      }
      at += head.bytes.length;
      if (head.kind === 'replica') {
        this.#replica = { hello: head.hello, authorization: head.authorization };
        return Buffer.from(readBuffer.subarray(at, end));
      }
      if (head.kind === 'stream') return this.#openStream(head.call, at, end);
      this.#begin(head);
    }
    this.#pauseWhenFull();
    return undefined;
  }

  /** Puts the beginning of a head in front of what follows it in the read buffer; returns where it starts. */
  #prependHeadStart(): number {
    const start = this.#headStart;
    if (start === undefined) return headBytesMax;
    this.#headStart = undefined;
    start.copy(this.#context.readBuffer, headBytesMax - start.length);
    return headBytesMax - start.length;
  }

  #readHead(at: number, end: number): RequestHead | 'incomplete' | 'foreign' {
    const { readBuffer, ports } = this.#context;
    const last = this.#lastHead;
    const generation = ports.access?.generation;
    if (
      last !== undefined &&
      generation === this.#lastGeneration &&
      end - at >= last.bytes.length
    ) {
      const { bytes } = last;
      if (readBuffer.compare(bytes, 0, bytes.length, at, at + bytes.length) === 0) return last;
    }
    const head = readHead(readBuffer, at, end, ports.batchBytesMax);
    // What takes the connection over has to be its only request.
    const takesOver =
      typeof head !== 'string' && (head.kind === 'stream' || head.kind === 'replica');
    if (takesOver && this.#hadRequest) return 'foreign';
    if (typeof head === 'string') return head;
    // The application finds that it lacks the right too, and says so.
    if (!this.#pass.allows(ports.access, head)) return 'foreign';
    this.#lastHead = head;
    this.#lastGeneration = generation;
    return head;
  }

  /** Leaves the connection to a stream, with what the read buffer has behind the head. */
  #openStream(call: ProduceCall | ConsumeCall, at: number, end: number): undefined {
    const { readBuffer } = this.#context;
    this.socket.off('drain', this.#onDrain);
    this.socket.off('end', this.#onEnd);
    this.#counted.become(call.kind);
    this.#stream =
      call.kind === 'produce'
        ? new ProduceConnection(this.socket, call, this.#context)
        : new ConsumeConnection(this.socket, call, this.#context);
    if (at === end) return;
    readBuffer.copyWithin(headBytesMax, at, end);
    this.#stream.target();
    this.#stream.received(end - at);
  }

  #begin(head: Extract<RequestHead, { kind: 'write' | 'read' }>): void {
    this.#hadRequest = true;
    if (head.kind === 'read') {
      this.#owed.add(new ReadExchange(head.call));
      this.#context.flushSoon(this);
      return;
    }
    this.#requestStartMs = this.#context.nowMs;
    this.#call = head.call;
    this.#body = new IncomingBody(this.#context.ports, head.bodyBytes);
  }

  /** Hands the batch to the store when all of it is here. */
  #endBody(): void {
    const body = this.#body;
    if (body === undefined || body.leftBytes > 0) return;
    this.#body = undefined;
    const call = this.#call as WriteCall;
    const exchange = new WriteExchange(this, call, body.buffer, this.#receivedAt);
    this.#owed.add(exchange);
    if (body.error !== undefined) exchange.failed(body.error);
    else submitBatch(this.#context.ports, call.categoryName, exchange, call.replicaCount);
  }

  #writeAnswer(
    exchange: WriteExchange,
    outcome: NonNullable<WriteExchange['outcome']>,
    answeredAt: number,
  ): string {
    const { answers, ports } = this.#context;
    const closing = this.#closesAfter(exchange);
    const microseconds = microsecondsBetween(exchange.begunAt, answeredAt);
    if ('appended' in outcome) {
      if (outcome.appended.duplicate) ports.counts.duplicateCount += 1;
      ports.counts.answered(paths.write, 200, microseconds);
      return answers.json(200, receiptBody(outcome.appended), undefined, closing);
    }
    const error = toChukchaError(outcome.error);
    logFailure(ports.log, paths.write, error);
    const { status, body, headers } = errorAnswer(error);
    ports.counts.answered(paths.write, status, microseconds);
    ports.counts.refused(error.code);
    return answers.json(status, body, headers, closing);
  }

  /** Tells whether the connection ends with the answer to this exchange, and sees to it that it does. */
  #closesAfter(exchange: Exchange): boolean {
    const isLast = exchange.next === undefined && this.#body === undefined;
    if (!isLast || this.#state === 'leaving') return false;
    if (this.#context.ports.stopping.aborted) this.#state = 'ending';
    return this.#state === 'ending';
  }

  #startRead(exchange: ReadExchange): void {
    this.#sendingRead = true;
    exchange.begunAt = this.#nowAt();
    const closing = (): boolean => this.#closesAfter(exchange);
    void sendRead(exchange, this.socket, this.#context, closing).then(() => {
      this.#lastMs = this.#context.nowMs;
      this.#sendingRead = false;
      this.#owed.shift();
      this.#beginTheRest();
      this.flush();
    });
  }

  /** What has stood behind a read, which the node may have held or the client read slowly, has its turn now. */
  #beginTheRest(): void {
    const begunAt = this.#nowAt();
    for (let rest = this.#owed.first; rest !== undefined; rest = rest.next) rest.begunAt = begunAt;
  }

  #nowAt(): number {
    return microsecondsNow(this.#context.ports.clock);
  }

  #onAllAnswered(): void {
    if (this.#state === 'ending') this.socket.destroySoon();
    if (this.#state !== 'leaving') return;
    this.#state = 'left';
    this.socket.off('drain', this.#onDrain);
    this.socket.off('end', this.#onEnd);
    this.#counted.become(this.#replica === undefined ? 'http' : 'replication');
    const bytes = this.#foreignBytes ?? Buffer.alloc(0);
    // This object stays until the connection is closed, and must not keep what nobody asks it for any more.
    this.#foreignBytes = undefined;
    this.#lastHead = undefined;
    this.#context.handOver(this.socket, bytes, this.#replica);
  }

  #isFull(): boolean {
    return (
      this.#owed.count >= owedCountMax ||
      this.#owed.byteCount >= this.#context.ports.batchBytesMax ||
      this.socket.writableNeedDrain
    );
  }

  #pauseWhenFull(): void {
    if (this.#paused || !this.#isFull()) return;
    this.#paused = true;
    this.socket.pause();
  }

  #readWhenAble(): void {
    if (!this.#paused || this.#state !== 'open' || this.#isFull()) return;
    this.#paused = false;
    this.socket.resume();
  }

  #refuseLate(): void {
    const hasBegun = this.#headStart !== undefined || this.#body !== undefined;
    if (hasBegun && this.#state === 'open') {
      const { status, body } = errorAnswer(requestTimeoutError());
      this.socket.write(this.#context.answers.json(status, body, undefined, true), 'latin1');
    }
    this.#state = 'ending';
    this.socket.destroySoon();
  }

  readonly #onDrain = (): void => {
    this.#lastMs = this.#context.nowMs;
    this.#readWhenAble();
  };

  /** The client sends no more, but may still read what it is owed. */
  readonly #onEnd = (): void => {
    if (this.#body !== undefined) this.destroy();
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    this.#context.flushSoon(this);
  };

  readonly #onClose = (): void => {
    if (this.#state !== 'left') this.#state = 'closed';
    this.#body?.release();
    this.#body = undefined;
  };
}

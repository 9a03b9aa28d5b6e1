import type { Socket } from 'node:net';
import { paths } from '../../protocol/http-api.js';
import type { AnswerText } from '../answer-text.js';
import { BodyBuffer, smallBodyBytesMax } from '../body-buffer.js';
import {
  errorAnswer,
  logFailure,
  requestTimeoutError,
  toChukchaError,
} from '../operations/error-answer.js';
import { receiptBody, submitBatch, type WriteCall } from '../operations/write.js';
import type { ServerPorts } from '../server-ports.js';
import type { ByteSink } from './byte-source.js';
import type { Swept } from './connection-sweep.js';
import { type Exchange, ReadExchange, WriteExchange } from './exchange.js';
import { ExchangeQueue } from './exchange-queue.js';
import { headBytesMax, type RequestHead, readHead } from './request-head.js';
import { sendRead } from './send-read.js';

/** So many requests may be unanswered before no more are read; a read of 64 KiB may bring some more. */
const owedCountMax = 256;

/** How long a connection may take for what; milliseconds. */
export interface LaneLimits {
  readonly headMs: number;
  readonly requestMs: number;
  readonly keepAliveMs: number;
  readonly stillMs: number;
}

/** What the connections of a lane share. */
export interface LaneContext {
  readonly ports: ServerPorts;
  readonly limits: LaneLimits;
  readonly answers: AnswerText;
  /**
   * Where heads and small bodies are read, by all connections: what is read is handled before another one
   * reads. In front there is room for a part of a head that came before.
   */
  readonly readBuffer: Buffer;
  /** The read buffer without that room. */
  readonly readTarget: Buffer;
  readonly nowMs: number;
  /** Has the connection send its answers when what settles now is settled. */
  flushSoon(connection: LaneConnection): void;
  /** Gives the socket to the HTTP server, which finds these bytes first. */
  handOver(connection: LaneConnection, bytes: Buffer): void;
}

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
  #state: 'open' | 'leaving' | 'ending' | 'left' | 'closed' = 'open';
  /** The last head, which most clients repeat byte for byte. */
  #lastHead: RequestHead | undefined;
  /** The beginning of a head. */
  #headStart: Buffer | undefined;
  #call: WriteCall | undefined;
  /** The body under way; `undefined` while the rest of a refused one is thrown away. */
  #body: BodyBuffer | undefined;
  #bodyLeftBytes = 0;
  #readsIntoBody = false;
  readonly #owed = new ExchangeQueue();
  #sendingRead = false;
  #paused = false;
  #requestStartMs: number;
  #lastMs: number;
  #hadRequest = false;
  #foreignBytes: Buffer | undefined;

  constructor(socket: Socket, context: LaneContext) {
    this.socket = socket;
    this.#context = context;
    this.#requestStartMs = context.nowMs;
    this.#lastMs = context.nowMs;
    socket.on('error', () => undefined);
    socket.on('drain', this.#onDrain);
    socket.once('end', this.#onEnd);
    socket.once('close', this.#onClose);
  }

  /** Tells whether no request is under way, so that the connection can be closed without a loss. */
  get isIdle(): boolean {
    return this.#owed.first === undefined && this.#bodyLeftBytes === 0 && this.#state !== 'leaving';
  }

  target(): Buffer {
    const body = this.#body;
    this.#readsIntoBody =
      body !== undefined && this.#bodyLeftBytes > 0 && body.byteCount > smallBodyBytesMax / 2;
    if (body === undefined || !this.#readsIntoBody) return this.#context.readTarget;
    try {
      const room = body.room(1);
      return room.length <= this.#bodyLeftBytes ? room : room.subarray(0, this.#bodyLeftBytes);
    } catch (error) {
      this.#refuseBody(error);
      this.#readsIntoBody = false;
      return this.#context.readTarget;
    }
  }

  received(byteCount: number): Buffer | undefined {
    this.#lastMs = this.#context.nowMs;
    if (this.#state !== 'open') return undefined;
    if (!this.#readsIntoBody) return this.#takeRequests(byteCount);
    this.#body?.advance(byteCount);
    this.#countBody(byteCount);
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
    let text = '';
    let exchange = this.#owed.first;
    while (exchange?.kind === 'write' && exchange.outcome !== undefined) {
      text += this.#writeAnswer(exchange, exchange.outcome);
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
    const { limits } = this.#context;
    if (this.#owed.first !== undefined || this.#state !== 'open') {
      if (nowMs - this.#lastMs > limits.stillMs) this.destroy();
    } else if (this.#bodyLeftBytes > 0) {
      const isLate = nowMs - this.#requestStartMs > limits.requestMs;
      if (isLate || nowMs - this.#lastMs > limits.stillMs) this.#refuseLate();
    } else if (this.#headStart !== undefined || !this.#hadRequest) {
      if (nowMs - this.#requestStartMs > limits.headMs) this.#refuseLate();
    } else if (nowMs - this.#lastMs > limits.keepAliveMs) this.destroy();
  }

  /** Takes the requests of the read buffer; what is not the lane's is returned, copied. */
  #takeRequests(byteCount: number): Buffer | undefined {
    const { readBuffer } = this.#context;
    const end = headBytesMax + byteCount;
    const continuesHead = this.#headStart !== undefined;
    const start = this.#prependHeadStart();
    let at = start;
    while (at < end) {
      if (this.#bodyLeftBytes > 0) {
        at += this.#takeBody(readBuffer, at, end);
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
    if (last !== undefined && end - at >= last.bytes.length) {
      const { bytes } = last;
      if (readBuffer.compare(bytes, 0, bytes.length, at, at + bytes.length) === 0) return last;
    }
    const head = readHead(readBuffer, at, end, ports.batchBytesMax);
    if (typeof head !== 'string') this.#lastHead = head;
    return head;
  }

  #begin(head: RequestHead): void {
    this.#hadRequest = true;
    if (head.kind === 'read') {
      this.#owed.add(new ReadExchange(head.call));
      this.#context.flushSoon(this);
      return;
    }
    const { ports } = this.#context;
    this.#requestStartMs = this.#context.nowMs;
    this.#call = head.call;
    this.#bodyLeftBytes = head.bodyBytes;
    this.#body = new BodyBuffer(ports, ports.batchBytesMax, head.bodyBytes);
  }

  /** Copies what the read buffer has of a body; returns how much that was. */
  #takeBody(from: Buffer, at: number, end: number): number {
    const byteCount = Math.min(end - at, this.#bodyLeftBytes);
    try {
      this.#body?.add(from.subarray(at, at + byteCount));
    } catch (error) {
      this.#refuseBody(error);
    }
    this.#countBody(byteCount);
    return byteCount;
  }

  #countBody(byteCount: number): void {
    this.#bodyLeftBytes -= byteCount;
    const body = this.#body;
    if (this.#bodyLeftBytes > 0 || body === undefined) return;
    this.#body = undefined;
    const call = this.#call as WriteCall;
    const exchange = new WriteExchange(this, call, body);
    this.#owed.add(exchange);
    submitBatch(this.#context.ports.store, call.categoryName, exchange);
  }

  /** Answers a write whose body is not all there yet; the rest of it is thrown away. */
  #refuseBody(error: unknown): void {
    const body = this.#body as BodyBuffer;
    this.#body = undefined;
    const exchange = new WriteExchange(this, this.#call as WriteCall, body);
    this.#owed.add(exchange);
    exchange.failed(error);
  }

  #writeAnswer(exchange: WriteExchange, outcome: NonNullable<WriteExchange['outcome']>): string {
    const { answers, ports } = this.#context;
    const closing = this.#closesAfter(exchange);
    if ('appended' in outcome) {
      return answers.json(200, receiptBody(outcome.appended), undefined, closing);
    }
    const error = toChukchaError(outcome.error);
    logFailure(ports.log, paths.write, error);
    const { status, body, headers } = errorAnswer(error);
    return answers.json(status, body, headers, closing);
  }

  /** Tells whether the connection ends with the answer to this exchange, and sees to it that it does. */
  #closesAfter(exchange: Exchange): boolean {
    const isLast = exchange.next === undefined && this.#bodyLeftBytes === 0;
    if (!isLast || this.#state === 'leaving') return false;
    if (this.#context.ports.stopping.aborted) this.#state = 'ending';
    return this.#state === 'ending';
  }

  #startRead(exchange: ReadExchange): void {
    this.#sendingRead = true;
    const closing = (): boolean => this.#closesAfter(exchange);
    void sendRead(exchange.call, this.socket, this.#context, closing).then(() => {
      this.#lastMs = this.#context.nowMs;
      this.#sendingRead = false;
      this.#owed.shift();
      this.flush();
    });
  }

  #onAllAnswered(): void {
    if (this.#state === 'ending') this.socket.destroySoon();
    if (this.#state !== 'leaving') return;
    this.#state = 'left';
    this.socket.off('drain', this.#onDrain);
    this.socket.off('end', this.#onEnd);
    this.#context.handOver(this, this.#foreignBytes ?? Buffer.alloc(0));
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
    const hasBegun = this.#headStart !== undefined || this.#bodyLeftBytes > 0;
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
    if (this.#bodyLeftBytes > 0) this.destroy();
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

import type { ProducerStamp } from '../../protocol/http-api.js';
import type { Appended, Submission } from '../../storage/batch.js';
import type { BodyBuffer } from '../body-buffer.js';
import type { ReadCall } from '../operations/read.js';
import type { WriteCall } from '../operations/write.js';
import type { TimedRequest } from '../request-time.js';

/** A request whose answer a connection owes; they are answered in their order. */
export type Exchange = WriteExchange | ReadExchange;

/** Told when an exchange can be answered. */
interface ExchangeOwner<T> {
  settled(exchange: WriteExchange<T>): void;
}

/** A write on its way; it is the store's submission itself, so that a request costs no promise. */
export class WriteExchange<T = Exchange> implements Submission, TimedRequest {
  readonly kind = 'write';
  next: T | undefined;
  begunAt: number;
  outcome: { readonly appended: Appended } | { readonly error: unknown } | undefined;
  readonly sync: boolean;
  readonly stamp: ProducerStamp | undefined;
  readonly byteCount: number;
  readonly #owner: ExchangeOwner<T>;
  readonly #body: BodyBuffer;

  /** @param begunAt when the body was here */
  constructor(owner: ExchangeOwner<T>, call: WriteCall, body: BodyBuffer, begunAt: number) {
    this.#owner = owner;
    this.#body = body;
    this.begunAt = begunAt;
    this.sync = call.sync;
    this.stamp = call.stamp;
    this.byteCount = body.byteCount;
  }

  get pieces(): readonly Uint8Array[] {
    return this.#body.pieces;
  }

  stored(appended: Appended): void {
    this.#settle({ appended });
  }

  failed(error: unknown): void {
    this.#settle({ error });
  }

  #settle(outcome: NonNullable<WriteExchange['outcome']>): void {
    this.outcome = outcome;
    this.#body.release();
    this.#owner.settled(this);
  }
}

/** A read; it begins when everything before it is answered, so that it sees the writes before it. */
export class ReadExchange implements TimedRequest {
  readonly kind = 'read';
  next: Exchange | undefined;
  readonly byteCount = 0;
  readonly call: ReadCall;
  /** Set when it is its turn. */
  begunAt = 0;

  constructor(call: ReadCall) {
    this.call = call;
  }
}

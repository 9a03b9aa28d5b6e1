import type { Context } from 'koa';
import type { ByteBudget, ByteShare } from './byte-budget.js';
import { readIdempotencyKey, toHostKey, toPartKey } from './idempotency-key.js';
import type { LineBatch, LineBatchLimits } from './line-batches.js';
import { readBody, tooManyInFlight } from './read-body.js';
import { RequestError } from './request-error.js';
import type { RequestQueue, Verdict } from './request-queue.js';

/** What all requests of a door share. */
export interface DoorParts {
  readonly limits: LineBatchLimits;
  readonly bodyBytesMax: number;
  /** How long a request waits for the bus, in milliseconds. */
  readonly answerMsMax: number;
  readonly budget: ByteBudget;
  readonly queue: RequestQueue;
}

/** Thrown when nobody is left who could be answered. */
export class ClientGone extends Error {}

/** A request as the protocols of the inputs see it. */
export class DoorRequest {
  readonly method: string;
  /** As it came, still percent-encoded. */
  readonly path: string;
  readonly limits: LineBatchLimits;
  readonly #context: Context;
  readonly #parts: DoorParts;
  readonly #share: ByteShare;
  readonly #withdrawn = new AbortController();
  readonly #unsettled = new Set<Promise<Verdict>>();
  /** The client has the answer, or is gone. */
  readonly #answered: Promise<void>;

  constructor(context: Context, parts: DoorParts) {
    this.method = context.method;
    this.path = context.path;
    this.limits = parts.limits;
    this.#context = context;
    this.#parts = parts;
    this.#share = parts.budget.openShare();
    this.#answered = new Promise((resolve) => {
      context.res.once('close', () => {
        this.#withdrawn.abort();
        resolve();
      });
    });
  }

  /** Empty when there is none. */
  header(name: string): string {
    return this.#context.get(name);
  }

  /** A parameter behind the question mark; `undefined` when there is none. */
  parameter(name: string): string | undefined {
    return new URLSearchParams(this.#context.querystring).get(name) ?? undefined;
  }

  /** The names of the parameters. */
  parameterNames(): readonly string[] {
    return [...new URLSearchParams(this.#context.querystring).keys()];
  }

  /** The type of the body, in lower case and without parameters. */
  get mediaType(): string {
    return (this.header('Content-Type').split(';')[0] ?? '').trim().toLowerCase();
  }

  /**
   * The body, unpacked and with a newline at its end.
   *
   * @param byteCountMax a limit below that of all requests
   */
  async readBody(byteCountMax: number = Number.POSITIVE_INFINITY): Promise<Buffer> {
    const { bodyBytesMax, budget } = this.#parts;
    // A body that could never be in flight is too large, not too early.
    const limit = Math.min(byteCountMax, bodyBytesMax, budget.byteCountMax);
    const { req, res } = this.#context;
    const bytes = await readBody(req, res, { byteCountMax: limit, budget }, this.#share);
    if (bytes === undefined) throw new ClientGone('The client went away.');
    return bytes;
  }

  /**
   * Takes more of the budget for what is made of the body. Throws `too_many_bytes_in_flight`, or
   * `batch_too_large` when the request would not fit even by itself.
   */
  reserve(byteCount: number): void {
    if (this.#share.grow(byteCount)) return;
    const { byteCountMax } = this.#parts.budget;
    if (this.#share.byteCount + byteCount <= byteCountMax) throw tooManyInFlight(this.#parts);
    throw new RequestError(
      'batch_too_large',
      `The request with what is made of it has more than ${byteCountMax} bytes, all that may wait for the bus: send it in smaller parts; nothing was accepted.`,
    );
  }

  /** Gives one batch to the bus; throws unless it was accepted. */
  async write(bytes: Uint8Array, category: string | undefined): Promise<void> {
    const key = readIdempotencyKey(this.header('Idempotency-Key'));
    const idempotencyKey = key === undefined ? undefined : toHostKey(key);
    const [verdict] = await this.#settle([{ bytes, category, idempotencyKey }]);
    if (verdict !== undefined && verdict !== 'accepted') throw this.refusal(verdict);
  }

  /** Gives batches to the bus and tells what became of each. */
  async writeAll(batches: readonly LineBatch[]): Promise<readonly Verdict[]> {
    const key = readIdempotencyKey(this.header('Idempotency-Key'));
    return await this.#settle(
      batches.map(({ bytes, category }) => ({
        bytes,
        category,
        idempotencyKey: key === undefined ? undefined : toPartKey(key, category, bytes),
      })),
    );
  }

  /** The error for a verdict about everything that the request has. */
  refusal(verdict: Exclude<Verdict, 'accepted'>): RequestError {
    const { answerMsMax } = this.#parts;
    switch (verdict) {
      case 'stopping':
        return stoppingError();
      case 'withdrawn':
        return new RequestError(
          'bus_away',
          `The bus did not take the lines within ${answerMsMax} ms: send the same again after the time in Retry-After; nothing was accepted.`,
        );
      case 'unknown':
        return new RequestError(
          'outcome_unknown',
          `The bus did not answer within ${answerMsMax} ms, and may still store the lines: send the same again; with the header Idempotency-Key they are stored once.`,
        );
      case 'key_reused':
        return new RequestError(
          'idempotency_key_reused',
          'Other lines were sent with this Idempotency-Key before: give every request a key of its own, such as a UUID, and only its repetitions the same; nothing was accepted.',
        );
      case 'not_accepted':
        return new RequestError(
          'not_accepted',
          'The bus did not accept the lines: send the same again after the time in Retry-After.',
        );
    }
  }

  /**
   * Gives the share of the budget back when the host needs the bytes no more and the answer is sent; does not
   * wait for it.
   */
  finish(): void {
    void Promise.all([...this.#unsettled, this.#answered]).then(() => this.#share.giveBack());
  }

  async #settle(batches: readonly Parameters<RequestQueue['add']>[0][]): Promise<Verdict[]> {
    const verdicts = batches.map((batch) => this.#parts.queue.add(batch, this.#withdrawn.signal));
    for (const verdict of verdicts) this.#unsettled.add(verdict);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'unknown'>((resolve) => {
      timer = setTimeout(() => {
        // What the host does not have yet is taken back, and so is known not to be stored.
        this.#withdrawn.abort();
        setImmediate(resolve, 'unknown');
      }, this.#parts.answerMsMax);
    });
    try {
      return await Promise.all(verdicts.map((verdict) => Promise.race([verdict, late])));
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The refusal of everything that comes while the input stops. */
export function stoppingError(): RequestError {
  return new RequestError(
    'stopping',
    'The input is stopping and takes no more lines: send the same again after the time in Retry-After; ' +
      'nothing was accepted.',
  );
}

import assert from 'node:assert/strict';
import { findLongMessage } from '../find-long-message.js';
import type { BatchOrigin, Input, InputBatch, InputContext, SourceReport } from '../input.js';
import type { JsonValue } from '../plugin-state.js';
import type { InputSource } from './input-suite.js';
import { soon } from './time-limit.js';

const NEWLINE = 0x0a;

/** As the contract has them. */
const rangeLengthMax = 4 * 1024;
const idempotencyKeyPattern = /^[A-Za-z0-9_.-]{1,64}$/;
const originIdPattern = /^[A-Za-z0-9_-]{1,64}$/;

/** One life of an input, from `open` to `close`, driven as a host drives it and checked on the way. */
export class InputRun {
  readonly #input: Input;
  readonly #context: InputContext;
  readonly #source: InputSource;
  readonly #abort = new AbortController();
  #iterator: AsyncIterator<InputBatch> | undefined;

  private constructor(input: Input, context: InputContext, source: InputSource) {
    this.#input = input;
    this.#context = context;
    this.#source = source;
  }

  static async open(source: InputSource, context: InputContext): Promise<InputRun> {
    return new InputRun(await soon(source.open(context), 'open to resolve'), context, source);
  }

  /** The next batch, checked against the contract; `undefined` when the input has ended. */
  async next(): Promise<InputBatch | undefined> {
    const result = await soon(this.nextOrPending(), 'a batch or the end');
    if (result.done === true) return undefined;
    checkBatch(result.value, this.#context);
    return result.value;
  }

  /** As {@link InputRun.next} without a check and without a time limit. */
  nextOrPending(): Promise<IteratorResult<InputBatch>> {
    if (this.#iterator === undefined) {
      this.#iterator = this.#input.batches(this.#abort.signal)[Symbol.asyncIterator]();
      this.#source.feed?.();
    }
    return this.#iterator.next();
  }

  /** What `replay` yields for the ranges of an earlier run, each checked; before the first batch. */
  async replay(ranges: readonly JsonValue[]): Promise<(InputBatch | undefined)[]> {
    assert.ok(this.#input.replay !== undefined, 'Expected an input that has replay.');
    const batches: (InputBatch | undefined)[] = [];
    const replayed = this.#input.replay(ranges, this.#abort.signal)[Symbol.asyncIterator]();
    for (;;) {
      const result = await soon(replayed.next(), 'a replayed batch or the end of them');
      if (result.done === true) return batches;
      if (result.value !== undefined) checkBatch(result.value, this.#context);
      batches.push(result.value);
    }
  }

  async explain(): Promise<readonly SourceReport[]> {
    assert.ok(this.#input.explain !== undefined, 'Expected an input that has explain.');
    return soon(this.#input.explain(), 'explain to resolve');
  }

  /** Takes batches and acknowledges each until `byteCount` bytes came or the input ended. */
  async ackAll(byteCount: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let count = 0; count < byteCount; ) {
      const batch = await this.next();
      if (batch === undefined) break;
      // A copy: the bytes belong to the input again as soon as the batch is settled.
      pieces.push(Buffer.from(batch.bytes));
      count += batch.bytes.length;
      await soon(batch.ack(), 'ack to resolve');
    }
    return Buffer.concat(pieces);
  }

  /** Aborts, takes what still comes until the input has ended, and closes it. */
  async stop(): Promise<void> {
    this.abort();
    if (this.#iterator !== undefined) await this.drain();
    await this.close();
  }

  abort(): void {
    this.#abort.abort();
  }

  /** Hands back every batch that still comes, until the input has ended. */
  async drain(): Promise<void> {
    for (;;) {
      const result = await soon(this.nextOrPending(), 'batches to end after the abort');
      if (result.done === true) return;
      await result.value.nack(new Error('The run is over.'));
    }
  }

  close(): Promise<void> {
    return soon(this.#input.close(), 'close to resolve');
  }
}

function checkBatch(batch: InputBatch, context: InputContext): void {
  const { bytes, origin, range, idempotencyKey } = batch;
  assert.ok(bytes.length > 0, 'Expected a batch of one message or more, got an empty one.');
  assert.ok(
    bytes.length <= context.batchBytesMax,
    `Expected a batch of at most ${context.batchBytesMax} bytes, got ${bytes.length}.`,
  );
  assert.equal(bytes.at(-1), NEWLINE, 'Expected a batch that ends with a newline.');
  const long = findLongMessage(bytes, context.messageBytesMax);
  assert.equal(
    long,
    undefined,
    `Expected messages of at most ${context.messageBytesMax} bytes; the one at ${long} is longer.`,
  );
  if (origin !== undefined) checkOrigin(origin);
  const rangeLength = range === undefined ? 0 : JSON.stringify(range).length;
  assert.ok(
    rangeLength <= rangeLengthMax,
    `Expected a range of at most ${rangeLengthMax} bytes as JSON, got ${rangeLength}.`,
  );
  assert.ok(
    idempotencyKey === undefined || idempotencyKeyPattern.test(idempotencyKey),
    `Expected an idempotencyKey as ${idempotencyKeyPattern} says, got ${JSON.stringify(idempotencyKey)}.`,
  );
}

function checkOrigin({ source, id, offset }: BatchOrigin): void {
  assert.ok(source.length > 0, 'Expected an origin with the name of its source.');
  assert.match(id, originIdPattern, `Expected an origin with an id as ${originIdPattern} says.`);
  assert.ok(
    Number.isSafeInteger(offset) && offset >= 0,
    `Expected an origin with an offset in bytes, got ${offset}.`,
  );
}

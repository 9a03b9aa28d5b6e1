import { type Output, type OutputBatch, pluginErrorKind } from '@chukcha/plugin-api';
import { Backoff } from '../common/backoff.js';
import type { Clock } from '../common/clock.js';
import type { Random } from '../common/random.js';
import { sleep } from '../common/wait.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { endOfMessages } from './delivery-cutter.js';

/** What comes of a batch: the target has all of it that it will ever take, or the run ends. */
export type DeliveryEnd = 'delivered' | 'stopped' | 'closed';

/** A message that a target will never take. */
export interface RefusedMessage {
  readonly reason: string;
  /** Where it stands in the chunk, in bytes. */
  readonly offset: number;
  readonly bytes: Buffer;
}

export interface BatchDeliveryPorts {
  readonly output: Output;
  readonly clock: Clock;
  readonly random: Random;
  /** What only a person can mend ends the delivery. */
  readonly once: boolean;
  readonly giveUpAfterMs: number | undefined;
  /** Ends the waiting between two tries. */
  readonly signal: AbortSignal;
  /** Ends a try that is under way. */
  readonly writeSignal: AbortSignal;
  /** Called when the batch will be sent again. */
  readonly onRetry: ((error: unknown, delayMs: number) => void) | undefined;
  /** Takes what the target will never take. What it throws ends the delivery. */
  readonly onRefused: (batch: OutputBatch, messages: readonly RefusedMessage[]) => Promise<void>;
  /** Remembers that the batch is sent as two from now on. */
  readonly onSplit: (batch: OutputBatch, at: number) => Promise<void>;
  /** Remembers that the target has one of these two. */
  readonly onHalfDelivered: (half: OutputBatch) => Promise<void>;
  /** Names a range of the batch, from one offset in the chunk to another. */
  readonly tokenOf: (batch: OutputBatch, from: number, to: number) => string;
}

/** What only a person can mend is tried again soon at first, and every 30 s in the end. */
const operatorBackoff = { firstDelayMs: 1_000, delayMsMax: 30_000 };

/**
 * Delivers one batch, however long it takes: sends the same bytes again after a failure that may pass, gives those
 * messages again that the target could not take yet, hands over those that it will never take, and halves the batch when
 * the target cannot say which they are.
 */
export class BatchDelivery {
  readonly #ports: BatchDeliveryPorts;

  constructor(ports: BatchDeliveryPorts) {
    this.#ports = ports;
  }

  /** Throws `output_failed` when the output gave up, and what `onRefused` throws. */
  async deliver(whole: OutputBatch): Promise<DeliveryEnd> {
    const { clock, random, signal, giveUpAfterMs = Number.POSITIVE_INFINITY } = this.#ports;
    const backoff = new Backoff(random);
    const operator = new Backoff(random, operatorBackoff);
    let giveUpAtMs = clock.monotonicMs() + giveUpAfterMs;
    let batch = whole;
    for (;;) {
      const outcome = await this.#try(batch);
      if (outcome.kind === 'closed') return 'closed';
      if (outcome.kind === 'done' && outcome.again === undefined) return 'delivered';
      if (outcome.kind === 'data') return this.#divide(batch, outcome.error);
      if (outcome.kind === 'done' && outcome.again !== undefined) {
        // Some more were taken, so the target is not away.
        if (outcome.again.length < countOf(batch)) giveUpAtMs = clock.monotonicMs() + giveUpAfterMs;
        batch = { ...whole, only: outcome.again };
      }
      if (signal.aborted) return 'stopped';
      const isOperator = outcome.kind === 'operator';
      if (isOperator && this.#ports.once) throw outputFailed(outcome.error, batch);
      const delayMs = (isOperator ? operator : backoff).nextDelayMs();
      if (clock.monotonicMs() + delayMs > giveUpAtMs) throw outputFailed(outcome.error, batch);
      this.#ports.onRetry?.(outcome.error, delayMs);
      await sleep(clock, delayMs, signal).catch(() => undefined);
      if (signal.aborted) return 'stopped';
    }
  }

  async #try(batch: OutputBatch): Promise<TryOutcome> {
    const { output, writeSignal, onRefused } = this.#ports;
    let failures: readonly { index: number; reason: string; kind?: string }[];
    try {
      failures = (await output.write(batch, writeSignal))?.failures ?? [];
    } catch (error) {
      return { kind: pluginErrorKind(error), error };
    }
    const refused = failures.filter(({ kind = 'data' }) => kind === 'data');
    if (refused.length > 0) await onRefused(batch, messagesOf(batch, refused));
    const transient = failures.filter(({ kind }) => kind === 'transient');
    if (transient.length === 0) return { kind: 'done', again: undefined, error: undefined };
    const error = new Error(
      `${transient.length} of ${countOf(batch)} messages were not taken yet: ${transient[0]?.reason}`,
    );
    const again = transient.map(({ index }) => index).sort((left, right) => left - right);
    return { kind: 'done', again, error };
  }

  /** The batch has messages that the target will never take, and nobody knows which. */
  async #divide(batch: OutputBatch, error: unknown): Promise<DeliveryEnd> {
    const count = countOf(batch);
    if (count === 1) {
      const index = batch.only?.[0] ?? 0;
      const refused = [{ index, reason: errorMessage(error) }];
      await this.#ports.onRefused(batch, messagesOf(batch, refused));
      return 'delivered';
    }
    for (const half of await this.#halvesOf(batch, count)) {
      if (this.#ports.signal.aborted) return 'stopped';
      const end = await this.deliver(half);
      if (end !== 'delivered') return end;
      if (half.only === undefined) await this.#ports.onHalfDelivered(half);
    }
    return 'delivered';
  }

  async #halvesOf(batch: OutputBatch, count: number): Promise<OutputBatch[]> {
    const middle = Math.floor(count / 2);
    const { only, bytes, offset } = batch;
    if (only !== undefined) {
      return [
        { ...batch, only: only.slice(0, middle) },
        { ...batch, only: only.slice(middle) },
      ];
    }
    const { tokenOf, onSplit } = this.#ports;
    const at = endOfMessages(asBuffer(bytes), middle);
    await onSplit(batch, offset + at);
    const half = (from: number, to: number, messageCount: number): OutputBatch => ({
      ...batch,
      offset: offset + from,
      bytes: bytes.subarray(from, to),
      messageCount,
      token: tokenOf(batch, offset + from, offset + to),
    });
    return [half(0, at, middle), half(at, bytes.length, count - middle)];
  }
}

type TryOutcome =
  | {
      readonly kind: 'done';
      readonly again: readonly number[] | undefined;
      readonly error: unknown;
    }
  | { readonly kind: 'transient' | 'operator' | 'data' | 'closed'; readonly error: unknown };

function countOf({ only, messageCount }: OutputBatch): number {
  return only?.length ?? messageCount;
}

function messagesOf(
  { bytes, offset }: OutputBatch,
  failures: readonly { readonly index: number; readonly reason: string }[],
): RefusedMessage[] {
  const buffer = asBuffer(bytes);
  const messages: RefusedMessage[] = [];
  let start = 0;
  let at = 0;
  for (const { index, reason } of [...failures].sort((left, right) => left.index - right.index)) {
    start += endOfMessages(buffer.subarray(start), index - at);
    const end = start + endOfMessages(buffer.subarray(start), 1);
    messages.push({
      reason,
      offset: offset + start,
      bytes: Buffer.from(buffer.subarray(start, end)),
    });
    start = end;
    at = index + 1;
  }
  return messages;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function outputFailed(cause: unknown, batch: OutputBatch): ChukchaError {
  return new ChukchaError(
    'output_failed',
    `Messages at ${batch.token} were not delivered: ${errorMessage(cause)}`,
    { cause },
  );
}

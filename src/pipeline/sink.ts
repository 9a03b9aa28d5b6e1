import {
  type BatchingAdvice,
  countNewlines,
  type Output,
  type OutputBatch,
} from '@chukcha/plugin-api';
import type { Client } from '../client/client.js';
import { Consumer } from '../client/consumer.js';
import { type Clock, systemClock } from '../common/clock.js';
import { DrainLimit } from '../common/drain-limit.js';
import { type Random, systemRandom } from '../common/random.js';
import { ChukchaError, errorCode } from '../protocol/chukcha-error.js';
import { batchBytesMaxDefault, readBytesMax } from '../protocol/limits.js';
import {
  BatchDelivery,
  type BatchDeliveryPorts,
  type DeliveryEnd,
  type RefusedMessage,
} from './batch-delivery.js';
import { deadLetterId, isDeadLetterCategory } from './dead-letter.js';
import { DeadLetterBox } from './dead-letter-box.js';
import type { Delivery } from './delivery-cutter.js';
import { readRange } from './range-reader.js';
import type { SinkEnd, SinkOptions, SinkTotals, SinkUntil } from './sink-options.js';
import { type CutRange, SinkRecord } from './sink-record.js';
import { SinkWork } from './sink-work.js';
import type { StateJournal } from './state-journal.js';

/** How much is delivered at a time: 4 MiB go about 1.4 times as fast as 1 MiB through a node on the same machine. */
const deliveryBytesMax = batchBytesMaxDefault;

/** How long a batch that is being delivered may take after a stop. */
const drainMs = 10_000;

/**
 * Drains a category into an output: cuts a range, remembers it, delivers it, acknowledges it, remembers the position. A
 * range whose delivery failed or was cut off by a kill is sent again as the same bytes with the same token, so that a
 * target that knows tokens, or the places of messages, has everything once. For others, what was under way at a kill
 * comes again; nothing is left out. It may be run several times, one after another.
 */
export class Sink {
  readonly totals: SinkTotals = { deliveredBytes: 0, deliveredMessages: 0, deadLetters: 0 };
  readonly #output: Output;
  readonly #client: Client;
  readonly #state: StateJournal;
  readonly #options: SinkOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  #consumer: Consumer | undefined;

  constructor(output: Output, client: Client, state: StateJournal, options: SinkOptions) {
    this.#output = output;
    this.#client = client;
    this.#state = state;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
  }

  /** What was delivered already of the chunks that the group has still to acknowledge, in bytes; 0 between two runs. */
  get deliveredUnacknowledgedBytes(): number {
    return this.#consumer?.processedBytes ?? 0;
  }

  /**
   * Resolves when the sink has reached its end, was stopped by the signal, or the target wants no more. Batches
   * that are being delivered when the signal comes are finished first, for ten seconds at most. Throws
   * `output_failed` when the output gave up, or when messages that the target will never take are to stop the sink, with
   * the position in front of them.
   */
  async run(signal: AbortSignal, until: SinkUntil): Promise<SinkEnd> {
    const drain = new DrainLimit(signal, drainMs, this.#clock);
    const record = new SinkRecord(this.#state, this.#output.isIdempotent === true);
    const delivery = new BatchDelivery(this.#deliveryPorts(record, signal, drain.signal));
    try {
      const end = await this.#repeatUnknown(record, delivery, signal);
      if (end !== 'delivered') return end;
      return await this.#deliverNew(record, delivery, signal, until);
    } catch (error) {
      if (signal.aborted && errorCode(error) === 'aborted') return 'stopped';
      throw error;
    } finally {
      drain.release();
      this.#consumer = undefined;
    }
  }

  /** How batches are cut from now on: an output may change its mind when its target asks for that. */
  #batching(): Required<BatchingAdvice> {
    return {
      bytesMax: deliveryBytesMax,
      messagesMax: Number.POSITIVE_INFINITY,
      lingerMs: 0,
      inFlightMax: 1,
      ...this.#output.batching,
      ...this.#options.batching,
    };
  }

  /** Sends again, in order, what an earlier run may have delivered. */
  async #repeatUnknown(
    record: SinkRecord,
    delivery: BatchDelivery,
    signal: AbortSignal,
  ): Promise<DeliveryEnd> {
    if (record.unknown.length === 0) return 'delivered';
    const { category, giveUpAfterMs, consumer } = this.#options;
    const cluster = await this.#checkCluster(record, signal);
    const reading = {
      category,
      clock: this.#clock,
      random: this.#random,
      onRetry: consumer?.onRetry,
      giveUpAfterMs,
    };
    for (const range of record.unknown) {
      if (signal.aborted) return 'stopped';
      const bytes = await readRange(this.#client, range, reading, signal);
      if (bytes !== undefined) {
        const messageCount = countNewlines(bytes);
        const end = await delivery.deliver(
          this.#batchOf({ ...range, bytes, messageCount }, cluster),
        );
        if (end !== 'delivered') return end;
        this.#count(bytes.length, messageCount);
      }
      record.markDone(range);
      await record.moveTo(undefined);
    }
    return 'delivered';
  }

  /** The names of chunks mean other messages in another cluster. */
  async #checkCluster(record: SinkRecord, signal: AbortSignal): Promise<string> {
    const { cluster = '' } = record;
    const found = await this.#client.live({ signal });
    if (found.cluster === cluster) return cluster;
    throw new ChukchaError(
      'cluster_changed',
      `The node has the messages of ${found.cluster}, but the state directory belongs to ${cluster}: ` +
        'connect to the cluster that was used before, or give another directory with --state.',
    );
  }

  async #deliverNew(
    record: SinkRecord,
    delivery: BatchDelivery,
    signal: AbortSignal,
    until: SinkUntil,
  ): Promise<SinkEnd> {
    const consumer = this.#createConsumer(record, until);
    this.#consumer = consumer;
    const work = new SinkWork(consumer, () => this.#batching(), this.#clock, signal);
    const deliver = async (cut: Delivery): Promise<DeliveryEnd> => {
      const cluster = consumer.position()?.cluster ?? '';
      await record.note(cut, cluster);
      const end = await delivery.deliver(this.#batchOf(cut, cluster));
      if (end !== 'delivered') return end;
      this.#count(cut.bytes.length, cut.messageCount);
      record.markDone(cut);
      cut.release();
      await record.moveTo(consumer.position());
      return end;
    };
    return work.run(deliver);
  }

  #batchOf(
    { chunk, from, to, bytes, messageCount }: Omit<Delivery, 'release'>,
    cluster: string,
  ): OutputBatch {
    const { category } = this.#options;
    const token = tokenOf({ cluster, category, chunk, from, to });
    return { category, cluster, chunk, offset: from, bytes, messageCount, token };
  }

  #count(byteCount: number, messageCount: number): void {
    this.totals.deliveredBytes += byteCount;
    this.totals.deliveredMessages += messageCount;
    this.#options.onDelivered?.();
  }

  #createConsumer(record: SinkRecord, until: SinkUntil): Consumer {
    const { category, group, consumer, giveUpAfterMs } = this.#options;
    const position = record.nextPosition;
    return new Consumer(this.#client, {
      batchBytesMax: Math.min(this.#batching().bytesMax, readBytesMax),
      ...consumer,
      category,
      group,
      untilEnd: until === 'end',
      closeAtEnd: false,
      clock: this.#clock,
      random: this.#random,
      ...(giveUpAfterMs === undefined ? {} : { giveUpAfterMs }),
      ...(position === undefined ? {} : { position }),
    });
  }

  #deliveryPorts(
    record: SinkRecord,
    signal: AbortSignal,
    writeSignal: AbortSignal,
  ): BatchDeliveryPorts {
    const { once, giveUpAfterMs, onOutputRetry, consumer } = this.#options;
    const box = new DeadLetterBox(this.#client, {
      onRetry: consumer?.onRetry,
      giveUpAfterMs,
      clock: this.#clock,
      random: this.#random,
    });
    const rangeOf = ({ chunk, offset, bytes }: OutputBatch): CutRange => ({
      chunk,
      from: offset,
      to: offset + bytes.length,
    });
    return {
      output: this.#output,
      clock: this.#clock,
      random: this.#random,
      once,
      giveUpAfterMs,
      signal,
      writeSignal,
      onRetry: onOutputRetry,
      onRefused: (batch, messages) => this.#refuse(box, batch, messages, writeSignal),
      tokenOf: (batch, from, to) => tokenOf({ ...batch, from, to }),
      onSplit: (batch, at) => record.split(rangeOf(batch), at),
      onHalfDelivered: (half) => {
        record.markDone(rangeOf(half));
        return record.moveTo(undefined);
      },
    };
  }

  async #refuse(
    box: DeadLetterBox,
    batch: OutputBatch,
    messages: readonly RefusedMessage[],
    signal: AbortSignal,
  ): Promise<void> {
    const { category, group, target } = this.#options;
    const isStopped = isDeadLetterCategory(category) ? 'stop' : 'dead_letter';
    if ((this.#options.badMessages ?? isStopped) === 'stop') {
      throw new ChukchaError(
        'output_failed',
        `The target refused ${messages.length} messages of ${batch.token}, the first of them at ${messages[0]?.offset}: ${messages[0]?.reason}`,
      );
    }
    const time = new Date(this.#clock.wallMs()).toISOString();
    const { cluster, chunk } = batch;
    const letters = messages.map(({ reason, offset, bytes }) => {
      const place = { cluster, category, chunk, offset, group };
      return { id: deadLetterId(place), time, reason, target, ...place, message: bytes };
    });
    await box.write(letters, signal);
    this.totals.deadLetters += letters.length;
    this.#options.onDeadLetters?.(messages[0]?.reason ?? '');
  }
}

/** Names a range for ever, in whatever cluster. */
function tokenOf(range: {
  readonly cluster: string;
  readonly category: string;
  readonly chunk: string;
  readonly from: number;
  readonly to: number;
}): string {
  return `${range.cluster}/${range.category}/${range.chunk}/${range.from}-${range.to}`;
}

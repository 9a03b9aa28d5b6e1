import type { Input, InputBatch } from '@chukcha/plugin-api';
import type { Client } from '../client/client.js';
import { Producer, type ProducerOptions } from '../client/producer.js';
import { type Clock, systemClock } from '../common/clock.js';
import { DrainLimit } from '../common/drain-limit.js';
import { ChukchaError } from '../protocol/chukcha-error.js';

export interface ShipperOptions {
  /** Where batches go that name no category of their own. */
  readonly category: string;
  /** How every category's producer works, but for the category. */
  readonly producer?: Omit<ProducerOptions, 'category'>;
  /**
   * How long what was read may wait to be accepted after the shipper was told to stop, in milliseconds.
   * @default 10000
   */
  readonly drainMs?: number;
  /** @default the system's */
  readonly clock?: Clock;
}

/** What a shipper has done so far. */
export interface ShipTotals {
  /** Bytes that the input gave. */
  readBytes: number;
  /** Bytes that the bus has accepted. */
  acceptedBytes: number;
}

const drainMsDefault = 10_000;

/**
 * Runs an input into the bus. A batch is acknowledged to its input, which moves the input's checkpoint,
 * only after the bus has accepted it; there is no way to turn that off. A batch that the bus refuses for
 * good stops the shipper: later batches may be in the bus by then, but the checkpoint stays in front of it.
 */
export class Shipper {
  readonly totals: ShipTotals = { readBytes: 0, acceptedBytes: 0 };
  readonly #input: Input;
  readonly #client: Client;
  readonly #options: ShipperOptions;
  readonly #clock: Clock;
  readonly #producers = new Map<string, Producer>();
  readonly #unsettled = new Set<Promise<void>>();
  readonly #stopReading = new AbortController();
  #failure: unknown;

  constructor(input: Input, client: Client, options: ShipperOptions) {
    this.#input = input;
    this.#client = client;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Resolves when the input has ended, or the signal has stopped it, and everything that was read is
   * accepted. Throws what the input or the bus failed with; the input is not closed.
   */
  async run(signal: AbortSignal): Promise<void> {
    const stop = (): void => this.#stopReading.abort();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const { drainMs = drainMsDefault } = this.#options;
    const drain = new DrainLimit(signal, drainMs, this.#clock);
    drain.signal.addEventListener('abort', () => this.#giveUp(drainMs), { once: true });
    try {
      await this.#readAll();
    } catch (error) {
      this.#failure ??= error;
    }
    await Promise.all([...this.#producers.values()].map((producer) => producer.close()));
    await Promise.all(this.#unsettled);
    drain.release();
    signal.removeEventListener('abort', stop);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #readAll(): Promise<void> {
    for await (const batch of this.#input.batches(this.#stopReading.signal)) {
      const producer = this.#producerFor(batch.category ?? this.#options.category);
      await producer.ready();
      this.totals.readBytes += batch.bytes.length;
      const settled = this.#send(producer, batch).finally(() => this.#unsettled.delete(settled));
      this.#unsettled.add(settled);
    }
  }

  /** Never rejects. */
  async #send(producer: Producer, batch: InputBatch): Promise<void> {
    try {
      await producer.send(batch.bytes);
    } catch (error) {
      this.#fail(error);
      await batch.nack(error as Error).catch((nackError: unknown) => this.#fail(nackError));
      return;
    }
    this.totals.acceptedBytes += batch.bytes.length;
    await batch.ack().catch((error: unknown) => this.#fail(error));
  }

  #producerFor(category: string): Producer {
    const known = this.#producers.get(category);
    if (known !== undefined) return known;
    const producer = new Producer(this.#client, {
      ...this.#options.producer,
      category,
      failFast: true,
    });
    this.#producers.set(category, producer);
    return producer;
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#stopReading.abort();
  }

  /** Gives up what is not accepted yet, so that a stop ends although the bus is away. */
  #giveUp(drainMs: number): void {
    const waitingBytes = this.totals.readBytes - this.totals.acceptedBytes;
    this.#fail(
      new ChukchaError(
        'not_accepted',
        `${waitingBytes} bytes were read but not accepted within ${drainMs} ms after the stop: an input with checkpoints sends them again at the next start.`,
      ),
    );
    for (const producer of this.#producers.values()) producer.abort();
  }
}

import type { Input, InputBatch, JsonValue } from '@chukcha/plugin-api';
import type { Client } from '../client/client.js';
import type { RetryListener } from '../client/decide-retry.js';
import { type Clock, systemClock } from '../common/clock.js';
import { detachedText } from '../common/detached-text.js';
import { DrainLimit } from '../common/drain-limit.js';
import type { Logger } from '../common/logger.js';
import { type Random, systemRandom } from '../common/random.js';
import { ChangeSignal } from '../common/wait.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { batchBytesMaxDefault } from '../protocol/limits.js';
import type { LineFormatName } from './formats/line-format.js';
import type { LineFormatter } from './line-formatter.js';
import { type ShipIntent, ShipIntents } from './ship-intent.js';
import { type AcceptedWrite, ShipLane, type ShipLaneOptions } from './ship-lane.js';
import type { StateJournal } from './state-journal.js';
import { StateSection } from './state-section.js';

export interface ShipperOptions {
  /** Where batches go that name no category of their own. */
  readonly category: string;
  /** @default "raw" */
  readonly format?: LineFormatName;
  /** Answer only when a write is durable on the node's disk. @default false */
  readonly sync?: boolean;
  /** Accept a write only when so many other nodes have it too. @default 0 */
  readonly minSyncReplicas?: number;
  /** The most bytes in one write; the node's limit unless it was started with another. @default 4194304 */
  readonly batchBytesMax?: number;
  /** How long a small write waits for company, in milliseconds. @default 5 */
  readonly lingerMs?: number;
  /**
   * How long a write is tried again while no node can be reached or all are busy, in milliseconds, before the shipper
   * fails; each node is tried once in any case.
   * @default for ever
   */
  readonly giveUpAfterMs?: number;
  /** Called before each new try. */
  readonly onRetry?: RetryListener;
  /** Called when the bus has accepted a write. */
  readonly onAccepted?: () => void;
  /**
   * How long what was read may wait to be accepted after the shipper was told to stop, in milliseconds.
   * @default 10000
   */
  readonly drainMs?: number;
}

export interface ShipperPorts {
  readonly client: Client;
  readonly state: StateJournal;
  readonly formatter: LineFormatter;
  readonly log: Logger;
  /** @default the system's */
  readonly clock?: Clock;
  readonly random?: Random;
}

/** What a shipper has done so far. */
export interface ShipTotals {
  /** Bytes that the input gave. */
  readBytes: number;
  /** Bytes that the bus has accepted, as the input gave them. */
  acceptedBytes: number;
  acceptedMessages: number;
  /** Writes that were sent again and that the bus had already. */
  duplicateWrites: number;
}

const drainMsDefault = 10_000;

/** A write of this size does not wait for company. */
const batchBytesMin = 64 * 1024;

/** How much may wait or be under way before the input is not asked for more: four full writes. */
const inFlightBatchCount = 4;

/** How many categories have a lane of their own while nothing waits for them. */
const idleLaneCountMax = 256;

/** How often what is remembered of the input is made durable. */
const syncIntervalMs = 1_000;

/**
 * Runs an input into the bus. A batch is acknowledged to its input, which moves the input's checkpoint,
 * only after the bus has accepted it; there is no way to turn that off. A write that was under way when the process was
 * killed is sent again as the same bytes under the same stamp by the next run, so that it is stored once. A batch that
 * the bus refuses for good stops the shipper with the checkpoint in front of it.
 */
export class Shipper {
  readonly totals: ShipTotals = {
    readBytes: 0,
    acceptedBytes: 0,
    acceptedMessages: 0,
    duplicateWrites: 0,
  };
  readonly #input: Input;
  readonly #options: ShipperOptions;
  readonly #ports: ShipperPorts;
  readonly #clock: Clock;
  readonly #intents: ShipIntents;
  readonly #lanes = new Map<string, ShipLane>();
  readonly #settled = new ChangeSignal();
  readonly #stopReading = new AbortController();
  readonly #giveUp = new AbortController();
  #inFlightBytes = 0;
  #failure: unknown;

  constructor(input: Input, options: ShipperOptions, ports: ShipperPorts) {
    this.#input = input;
    this.#options = options;
    this.#ports = ports;
    this.#clock = ports.clock ?? systemClock;
    this.#intents = new ShipIntents(new StateSection(ports.state, 'ship'));
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
    drain.signal.addEventListener('abort', () => this.#stopWaiting(drainMs), { once: true });
    const syncing = this.#syncRegularly();
    try {
      await this.#repeat(this.#intents.list());
      await this.#readAll();
    } catch (error) {
      this.#failure ??= error;
    }
    await Promise.all([...this.#lanes.values()].map((lane) => lane.close()));
    drain.release();
    syncing.stop();
    signal.removeEventListener('abort', stop);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Sends again what an earlier run may have sent. */
  async #repeat(intents: readonly ShipIntent[]): Promise<void> {
    if (intents.length === 0) return;
    const found = await this.#replay(intents);
    /** How far the bytes of each range are spoken for. */
    const reached = new Map<string, number>();
    for (const intent of intents) {
      const lane = this.#laneFor(intent.category);
      const batches = intent.parts.map(({ range }) => found.get(JSON.stringify(range)));
      const isWhole = intent.parts.every(({ range, from }, at) => {
        const goesOn = (reached.get(JSON.stringify(range)) ?? from) === from;
        return batches[at] !== undefined && goesOn;
      });
      if (isWhole) {
        for (const { range, from, to } of intent.parts) {
          this.#note(to - from);
          reached.set(JSON.stringify(range), to);
        }
        lane.repeat(intent, batches as InputBatch[]);
      } else {
        this.#ports.log.warn(
          'Part of what may have been sent before cannot be read again; what can be is sent as new and may come twice.',
          { category: intent.category },
        );
        await this.#intents.remove(intent);
      }
    }
    for (const [key, batch] of found) {
      const from = reached.get(key) ?? 0;
      if (batch === undefined || from === batch.bytes.length) continue;
      this.#note(batch.bytes.length - from);
      this.#laneFor(batch.category ?? this.#options.category).add(batch, from);
    }
  }

  /** The batches of the ranges, by these as JSON. */
  async #replay(intents: readonly ShipIntent[]): Promise<Map<string, InputBatch | undefined>> {
    const found = new Map<string, InputBatch | undefined>();
    for (const { parts } of intents) {
      for (const { range } of parts) found.set(JSON.stringify(range), undefined);
    }
    const keys = [...found.keys()];
    const ranges = keys.map((key) => JSON.parse(key) as JsonValue);
    const batches = this.#input.replay?.(ranges, this.#stopReading.signal) ?? [];
    let at = 0;
    for await (const batch of batches) {
      const key = keys[at];
      at += 1;
      if (key === undefined) throw new TypeError('The input replays more than it was asked for.');
      found.set(key, batch);
      if (batch !== undefined) this.#ports.formatter.register(batch);
    }
    return found;
  }

  async #readAll(): Promise<void> {
    const batchBytesMax = this.#options.batchBytesMax ?? batchBytesMaxDefault;
    const inFlightBytesMax = inFlightBatchCount * batchBytesMax;
    for await (const batch of this.#input.batches(this.#stopReading.signal)) {
      this.#ports.formatter.register(batch);
      this.#note(batch.bytes.length);
      this.#laneFor(batch.category ?? this.#options.category).add(batch);
      while (this.#inFlightBytes >= inFlightBytesMax) {
        await this.#settled.wait({ clock: this.#clock });
      }
    }
  }

  #note(byteCount: number): void {
    this.totals.readBytes += byteCount;
    this.#inFlightBytes += byteCount;
  }

  #laneFor(named: string): ShipLane {
    const known = this.#lanes.get(named);
    if (known !== undefined) return known;
    const category = detachedText(named);
    if (this.#lanes.size >= idleLaneCountMax) {
      for (const [name, lane] of this.#lanes) if (lane.isIdle) this.#lanes.delete(name);
    }
    const { client, formatter, log, random = systemRandom } = this.#ports;
    const lane = new ShipLane(this.#laneOptions(category), {
      client,
      formatter,
      intents: this.#intents,
      clock: this.#clock,
      random,
      signal: this.#giveUp.signal,
      onSettled: (byteCount) => {
        this.#inFlightBytes -= byteCount;
        this.#settled.notify();
      },
      onAccepted: (accepted) => {
        log.trace('A write was accepted.', { category, bytes: accepted.byteCount });
        this.#noteAccepted(accepted);
      },
      onFailed: (error) => this.#fail(error),
    });
    this.#lanes.set(category, lane);
    return lane;
  }

  #noteAccepted({ byteCount, messageCount, isDuplicate }: AcceptedWrite): void {
    this.totals.acceptedBytes += byteCount;
    this.totals.acceptedMessages += messageCount;
    if (isDuplicate) this.totals.duplicateWrites += 1;
    this.#options.onAccepted?.();
  }

  #laneOptions(category: string): ShipLaneOptions {
    const { format = 'raw', sync = false, minSyncReplicas, giveUpAfterMs } = this.#options;
    const { batchBytesMax = batchBytesMaxDefault, lingerMs = 5, onRetry } = this.#options;
    return {
      category,
      format,
      sync,
      minSyncReplicas,
      batchBytesMin,
      batchBytesMax,
      lingerMs,
      giveUpAfterMs,
      onRetry,
    };
  }

  /** So that a crash of the machine costs no more than a second of checkpoints, which comes twice then. */
  #syncRegularly(): { stop(): void } {
    const { state, log } = this.#ports;
    let isStopped = false;
    const next = (): void => {
      if (isStopped) return;
      timer = this.#clock.after(syncIntervalMs, () => {
        state
          .sync()
          .catch((error: unknown) => {
            log.warn('The state cannot be made durable.', { error: (error as Error).message });
          })
          .finally(next);
      });
    };
    let timer = { cancel: (): void => undefined };
    next();
    return {
      stop: () => {
        isStopped = true;
        timer.cancel();
      },
    };
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#stopReading.abort();
  }

  /** Gives up what is not accepted yet, so that a stop ends although the bus is away. */
  #stopWaiting(drainMs: number): void {
    const waitingBytes = this.totals.readBytes - this.totals.acceptedBytes;
    const error = new ChukchaError(
      'not_accepted',
      `${waitingBytes} bytes were read but not accepted within ${drainMs} ms after the stop: an input with checkpoints sends them again at the next start.`,
    );
    this.#fail(error);
    this.#giveUp.abort(error);
  }
}

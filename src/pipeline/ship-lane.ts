import { createHash } from 'node:crypto';
import type { InputBatch } from '@chukcha/plugin-api';
import type { Client } from '../client/client.js';
import { decideRetry, type RetryListener } from '../client/decide-retry.js';
import { retryOnNodes } from '../client/retry-on-nodes.js';
import type { Clock } from '../common/clock.js';
import type { Random } from '../common/random.js';
import { ChangeSignal } from '../common/wait.js';
import { checkBatch } from '../protocol/batch-check.js';
import { errorCode } from '../protocol/chukcha-error.js';
import type { LineFormatName } from './formats/line-format.js';
import type { LineFormatter } from './line-formatter.js';
import type { IntentPart, ShipIntent, ShipIntents } from './ship-intent.js';
import { messageCountOf, type ShipWrite, sourceBytesOf, type WritePart } from './ship-write.js';

export interface ShipLaneOptions {
  readonly category: string;
  readonly format: LineFormatName;
  readonly sync: boolean;
  readonly minSyncReplicas: number | undefined;
  /** A write of this size is sent at once, in bytes. */
  readonly batchBytesMin: number;
  /** The most bytes of one write. */
  readonly batchBytesMax: number;
  /** How long less than `batchBytesMin` waits for company, in milliseconds. */
  readonly lingerMs: number;
  readonly giveUpAfterMs: number | undefined;
  readonly onRetry: RetryListener | undefined;
}

/** What the bus has accepted, as the input gave it. */
export interface AcceptedWrite {
  readonly byteCount: number;
  readonly messageCount: number;
  /** Whether the bus had it already. */
  readonly isDuplicate: boolean;
}

export interface ShipLanePorts {
  readonly client: Client;
  readonly intents: ShipIntents;
  readonly formatter: LineFormatter;
  readonly clock: Clock;
  readonly random: Random;
  /** Gives up what is under way. */
  readonly signal: AbortSignal;
  /** Called when so many bytes that the input gave are accepted, or never will be. */
  readonly onSettled: (byteCount: number) => void;
  /** Called when a write is accepted. */
  readonly onAccepted: (accepted: AcceptedWrite) => void;
  readonly onFailed: (error: unknown) => void;
}

/**
 * How many batches go into one write: what is remembered of each must not make the memory of the write larger than
 * the write.
 */
const partCountMax = 1_000;

/** Makes the ids of two producers differ. */
const producerIdBytes = 8;

interface WaitingPart {
  readonly batch: InputBatch;
  from: number;
}

/**
 * What one category of a shipper is sent, in order, one write at a time: what comes while a write is under way goes with the
 * next one. Before a write is sent that its input could give again, it is remembered as an intent; when it is accepted, its
 * batches are acknowledged and the intent is forgotten. After the first write that failed for good nothing more is
 * sent, so that nothing is stored out of order; but for a batch of a client that has used its key before, or names one category
 * too many, which is refused alone.
 */
export class ShipLane {
  readonly #options: ShipLaneOptions;
  readonly #ports: ShipLanePorts;
  readonly #arrived = new ChangeSignal();
  /** Another one in each run, so that its sequences are new whatever became of the state. */
  readonly #producer: string;
  readonly #repeated: ShipWrite[] = [];
  readonly #queue: WaitingPart[] = [];
  #queuedBytes = 0;
  #nextSequence = 0;
  #running: Promise<void> | undefined;
  /** The acknowledgements of the last write. */
  #settling: Promise<void> = Promise.resolve();
  readonly #nacked = new WeakSet<InputBatch>();
  #isClosing = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: ShipLaneOptions, ports: ShipLanePorts) {
    this.#options = options;
    this.#ports = ports;
    this.#producer = ports.random.hex(producerIdBytes);
  }

  /** Whether nothing waits and nothing is under way. */
  get isIdle(): boolean {
    return this.#running === undefined;
  }

  /** Sends a batch, from a place in it on. One that is not whole messages stops the shipper. */
  add(batch: InputBatch, from = 0): void {
    try {
      checkBatch([batch.bytes]);
    } catch (error) {
      this.#fail(error);
      this.#ports.onSettled(batch.bytes.length - from);
      void this.#nack(batch, error);
      return;
    }
    this.#queue.push({ batch, from });
    this.#queuedBytes += batch.bytes.length - from;
    this.#wake();
  }

  /** Sends what an earlier run may have sent, as the same write. To be called before `add`. */
  repeat(intent: ShipIntent, batches: readonly InputBatch[]): void {
    const { stamp, format, timeMs } = intent;
    const parts = intent.parts.map(({ from, to }, at) => {
      const batch = batches[at] as InputBatch;
      return { batch, from, to };
    });
    const pieces = parts.flatMap((part) => this.#formatAll(part, format, timeMs));
    this.#repeated.push({ parts, pieces, stamp, intent, isRepeated: true });
    this.#wake();
  }

  /** The whole part, which one write had. */
  #formatAll({ batch, from, to }: WritePart, format: LineFormatName, timeMs: number): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    const outBytesMax = Math.max(this.#options.batchBytesMax, to - from);
    for (let start = from; start < to; ) {
      const place = { start, stop: to };
      const limits = { outBytesMax, timeMs };
      const formatted = this.#ports.formatter.format(format, batch, place, limits);
      if (formatted === undefined) throw new TypeError(`The format ${format} makes no progress.`);
      pieces.push(...formatted.pieces);
      start = formatted.end;
    }
    return pieces;
  }

  /** Waits for no company any more, and resolves when everything is settled. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#arrived.notify();
    while (this.#running !== undefined) await this.#running;
  }

  #wake(): void {
    this.#arrived.notify();
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#hasWork) this.#wake();
    });
  }

  get #hasWork(): boolean {
    return this.#queue.length + this.#repeated.length > 0;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    let underWay: Promise<void> | undefined;
    while (this.#hasWork) {
      if (underWay === undefined) await this.#linger();
      // A full write is made ready while the last one is under way; a smaller one waits for what comes meanwhile.
      else if (this.#queuedBytes < this.#options.batchBytesMax) {
        await underWay;
        underWay = undefined;
      }
      const write = this.#repeated.shift() ?? this.#compose();
      await underWay;
      underWay = this.#deliver(write);
      if (!this.#hasWork) await underWay;
    }
    await underWay;
    await this.#settling;
  }

  async #linger(): Promise<void> {
    const { batchBytesMin, lingerMs } = this.#options;
    const { clock, signal } = this.#ports;
    const untilMs = clock.monotonicMs() + lingerMs;
    while (!this.#isClosing && this.#repeated.length === 0 && this.#queuedBytes < batchBytesMin) {
      const timeoutMs = untilMs - clock.monotonicMs();
      if (timeoutMs <= 0 || signal.aborted) return;
      await this.#arrived.wait({ clock, timeoutMs, signal });
    }
  }

  /** Takes from the queue what goes into one write. */
  #compose(): ShipWrite {
    const { batchBytesMax, format, category } = this.#options;
    const timeMs = this.#ports.clock.wallMs();
    const parts: WritePart[] = [];
    const pieces: Uint8Array[] = [];
    let byteCount = 0;
    const key = this.#queue[0]?.batch.idempotencyKey;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const { batch, from } = next;
      const isApart = parts.length > 0 && (key ?? batch.idempotencyKey) !== undefined;
      if (parts.length >= partCountMax || (isApart && batch !== parts[0]?.batch)) break;
      const place = { start: from, stop: batch.bytes.length };
      const limits = { outBytesMax: batchBytesMax - byteCount, timeMs };
      const formatted =
        // What alone is too large is for the bus to refuse.
        format === 'raw' && parts.length === 0
          ? { pieces: [batch.bytes], byteCount: batch.bytes.length, end: batch.bytes.length }
          : this.#ports.formatter.format(format, batch, place, limits);
      if (formatted === undefined) break;
      pieces.push(...formatted.pieces);
      byteCount += formatted.byteCount;
      parts.push({ batch, from, to: formatted.end });
      this.#queuedBytes -= formatted.end - from;
      if (formatted.end < batch.bytes.length) {
        next.from = formatted.end;
        break;
      }
      this.#queue.shift();
    }
    const stamp = this.#stampFor(key, parts);
    const intent = intentOf(parts, { category, stamp, format, timeMs });
    return { parts, pieces, stamp, intent, isRepeated: false };
  }

  #stampFor(key: string | undefined, [first]: readonly WritePart[]): ShipWrite['stamp'] {
    // The pieces of a batch that its format has made too large for one write count on.
    if (key !== undefined) return { producer: producerOf(key), sequence: first?.from ?? 0 };
    const stamp = { producer: this.#producer, sequence: this.#nextSequence };
    this.#nextSequence += 1;
    return stamp;
  }

  /** Never rejects. */
  async #deliver(write: ShipWrite): Promise<void> {
    const { intents, onSettled, onAccepted } = this.#ports;
    const { intent } = write;
    const byteCount = sourceBytesOf(write);
    try {
      if (this.#failure !== undefined) throw this.#failure.error;
      if (intent !== undefined && !write.isRepeated) await intents.save(intent);
      const isDuplicate = await this.#send(write);
      onAccepted({ byteCount, messageCount: messageCountOf(write), isDuplicate });
    } catch (error) {
      if (!isRefusedAlone(write, error)) this.#fail(error);
      onSettled(byteCount);
      for (const { batch } of write.parts) await this.#nack(batch, error);
      return;
    }
    onSettled(byteCount);
    await this.#settling;
    this.#settling = this.#settle(write);
  }

  /** Resolves with whether the bus had the write already. */
  async #send(write: ShipWrite): Promise<boolean> {
    const { pieces, stamp, isRepeated } = write;
    const { client, clock, random, signal } = this.#ports;
    const { category, sync, minSyncReplicas, giveUpAfterMs, onRetry } = this.#options;
    const options = {
      sync,
      ...(minSyncReplicas === undefined ? {} : { minSyncReplicas }),
      stamp,
      signal,
    };
    try {
      const receipt = await retryOnNodes(client, () => client.write(category, pieces, options), {
        clock,
        random,
        decide: (error) => (isRefusedAlone(write, error) ? 'fail' : decideRetry(error)),
        onRetry,
        giveUpAfterMs,
        signal,
      });
      return receipt.duplicate;
    } catch (error) {
      // The stamp is this write's own, so the bus has it; only its form has changed since.
      if (isRepeated && errorCode(error) === 'sequence_reused') return true;
      throw error;
    }
  }

  /** Acknowledges the batches that are accepted to their end, then forgets the intent; never rejects. */
  async #settle({ parts, intent }: ShipWrite): Promise<void> {
    try {
      const whole = parts.filter(
        ({ batch, to }) => to === batch.bytes.length && !this.#nacked.has(batch),
      );
      await Promise.all(whole.map(({ batch }) => batch.ack()));
      if (intent !== undefined) await this.#ports.intents.remove(intent);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #nack(batch: InputBatch, error: unknown): Promise<void> {
    // Several writes may have parts of it.
    if (this.#nacked.has(batch)) return;
    this.#nacked.add(batch);
    await batch.nack(error as Error).catch((nackError: unknown) => this.#fail(nackError));
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#ports.onFailed(error);
  }
}

function intentOf(
  parts: readonly WritePart[],
  rest: Omit<ShipIntent, 'parts'>,
): ShipIntent | undefined {
  const remembered: IntentPart[] = [];
  for (const { batch, from, to } of parts) {
    if (batch.range === undefined) return undefined;
    remembered.push({ range: batch.range, from, to });
  }
  return { ...rest, parts: remembered };
}

/**
 * Whether it is by its own doing that what one client has sent is refused: it has given two of its requests the same key, or
 * it asks for a category that there is no room for. That is between it and its input, which tells it so: the batches of
 * others must not be held up by it.
 */
function isRefusedAlone({ parts, intent }: ShipWrite, error: unknown): boolean {
  if (intent !== undefined) return false;
  if (errorCode(error) === 'sequence_reused') return parts[0]?.batch.idempotencyKey !== undefined;
  if (errorCode(error) !== 'too_many_categories') return false;
  return parts.every(({ batch }) => batch.category !== undefined);
}

/** A producer's name for whatever a client calls its batch. */
function producerOf(key: string): string {
  return `key-${createHash('sha256').update(key).digest('hex').slice(0, 32)}`;
}

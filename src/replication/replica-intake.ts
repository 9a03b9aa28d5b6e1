import { errorCode, errorMessage } from '../protocol/chukcha-error.js';
import {
  encodeFrame,
  type FrameHead,
  frameFlags,
  frameKinds,
  invalidFrame,
} from '../protocol/frames.js';
import { formatChunkName } from '../protocol/names.js';
import {
  type ChunkPlace,
  decodePart,
  formatPlace,
  type HaveMessage,
  isInventoryMessage,
  listedCountMax,
  parseMessage,
  parsePlace,
} from '../protocol/replication.js';
import { type BatchRecord, parseRecords } from '../storage/batch-index.js';
import { AckIntake } from './ack-intake.js';
import type { Channel, ChannelSink } from './channel.js';
import { DurableReports } from './durable-reports.js';
import { FrameReader } from './frame-reader.js';
import { Inventory } from './inventory.js';
import { heartbeatMs, intakeBytesMax, type ReplicationParts, silenceMsMax } from './limits.js';

export interface ReplicaIntakePorts extends ReplicationParts {
  /** What is held or wanted has changed in a category, or in all. */
  readonly onNews: (category: string | undefined) => void;
  /** The peer has sent what it has of a chunk that was asked for. */
  readonly onServed: (intake: ReplicaIntake, place: string) => void;
  readonly onClosed: (intake: ReplicaIntake, reason: string) => void;
}

/** Batches of a chunk that came and wait to be written. */
interface Part {
  readonly name: string;
  readonly offset: number;
  readonly isToBeDurable: boolean;
  readonly records: readonly BatchRecord[];
  readonly lines: string;
  readonly bytes: Buffer;
  readonly release: (() => void) | undefined;
}

/** What came and waits for its turn: batches, or what is to be done when those before it are written. */
type Waiting = Part | (() => Promise<void>);

/** How many bytes of a chunk are written at a time, when they have come: half of what may wait. */
const groupBytesMax = intakeBytesMax / 2;

/**
 * What one peer sends this node: takes its messages into copies of chunks, one part after another, and says how far
 * it has come. When the disk takes no more, it says so, and begins anew when there is room.
 *
 *     opening --says what is here--> taking <--no room, room again--> paused --silence, broken--> closed
 */
export class ReplicaIntake implements ChannelSink {
  readonly peer: string;
  readonly inventory = new Inventory();
  readonly #channel: Channel;
  readonly #ports: ReplicaIntakePorts;
  readonly #frames: FrameReader;
  readonly #acks: AckIntake;
  readonly #durable: DurableReports;
  /** Chunks that the peer was asked for, and has not sent to their ends. */
  readonly wanted = new Set<string>();
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #isRunning = false;
  #isHeld = false;
  #state: 'opening' | 'taking' | 'paused' | 'closed' = 'opening';
  #isCaughtUp = false;
  #receivedMs: number;
  #sentMs = 0;

  constructor(peer: string, channel: Channel, ports: ReplicaIntakePorts) {
    this.peer = peer;
    this.#channel = channel;
    this.#ports = ports;
    this.#frames = new FrameReader((head, payload, release) =>
      this.#onFrame(head, payload, release),
    );
    const { store, log } = ports;
    this.#acks = new AckIntake({ peer, store, log }, (category, next) =>
      this.#send(encodeFrame(frameKinds.acksTaken, { name: category, number: next })),
    );
    this.#durable = new DurableReports((place, size) => this.#sendPosition(place, size, size));
    this.#receivedMs = ports.clock.monotonicMs();
  }

  /** Whether the peer has sent all of its own chunks that it had when it began. */
  get isCaughtUp(): boolean {
    return this.#isCaughtUp;
  }

  /** Begins to receive, and says what is here. To be called once, at once. */
  start(): void {
    this.#channel.attach(this);
    this.#sayWhatIsHere().catch((error: unknown) => this.close(errorMessage(error)));
  }

  /** Asks for a chunk, whoever wrote it, from an offset on. */
  want(place: string, offset: number): void {
    this.wanted.add(place);
    this.#send(encodeFrame(frameKinds.want, { name: place, offset }));
  }

  tick(nowMs: number): void {
    if (this.#isHeld) this.#receivedMs = nowMs;
    if (nowMs - this.#receivedMs > silenceMsMax) {
      this.close(`it said nothing for ${silenceMsMax} ms`);
      return;
    }
    if (nowMs - this.#sentMs >= heartbeatMs) this.#send(encodeFrame(frameKinds.heartbeat));
    this.#acks.retry();
    if (this.#state === 'paused' && this.#ports.store.refusal() === undefined) {
      this.#state = 'opening';
      this.#sayWhatIsHere().catch((error: unknown) => this.close(errorMessage(error)));
    }
  }

  target(): Buffer {
    return this.#frames.target();
  }

  received(byteCount: number): void {
    this.#receivedMs = this.#ports.clock.monotonicMs();
    if (this.#state === 'closed') return;
    try {
      this.#frames.received(byteCount);
    } catch (error) {
      this.close(errorMessage(error));
    }
  }

  drained(): void {
    // What is sent is small, and no more than answers to what came.
  }

  closed(reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#queue = [];
    this.#ports.onClosed(this, reason);
  }

  close(reason: string): void {
    this.#channel.close();
    this.closed(reason);
  }

  /** Resolves when nothing is written any more. To be called after `close`. */
  async settle(): Promise<void> {
    await Promise.all([this.#running, this.#acks.settle()]);
  }

  #running: Promise<void> = Promise.resolve();

  /** What is here of the peer's own chunks, durably: it goes on from there. */
  async #sayWhatIsHere(): Promise<void> {
    // The sizes are those before the sync, so that all of them are durable.
    const said: HaveMessage[] = [];
    for (const category of this.#ports.store.openCategories) {
      const chunks = category.view.chunks
        .filter((chunk) => chunk.owner === this.peer)
        .map((chunk) => [chunk.index, chunk.size, chunk.state === 'sealed'] as const);
      for (let at = 0; at < chunks.length; at += listedCountMax) {
        said.push({ category: category.name, chunks: chunks.slice(at, at + listedCountMax) });
      }
    }
    for (const category of this.#ports.store.openCategories) await category.syncCopies();
    for (const message of said) {
      this.#send(encodeFrame(frameKinds.have, { text: JSON.stringify(message) }));
    }
    this.#state = 'taking';
    this.#send(encodeFrame(frameKinds.haveEnd));
  }

  #onFrame(head: FrameHead, payload: Buffer, release: (() => void) | undefined): void {
    const name = payload.toString('latin1', 0, head.nameBytes);
    const content = payload.subarray(head.nameBytes);
    switch (head.kind) {
      case frameKinds.heartbeat:
        break;
      case frameKinds.part:
        this.#queuePart(name, head, content, release);
        return;
      case frameKinds.seal: {
        const sealedAtMs = Number(content.toString('latin1'));
        this.#enqueue(() =>
          this.#takeSeal(name, { size: head.offset, crc: head.number, sealedAtMs }),
        );
        break;
      }
      case frameKinds.inventory: {
        const message = parseMessage(payload, isInventoryMessage);
        this.inventory.take(message);
        this.#ports.onNews(message.category);
        break;
      }
      case frameKinds.inventoryEnd:
        this.inventory.markWhole();
        this.#ports.onNews(undefined);
        break;
      case frameKinds.caughtUp:
        this.#enqueue(async () => {
          this.#isCaughtUp = true;
          this.#ports.onNews(undefined);
        });
        break;
      case frameKinds.served:
        this.#enqueue(async () => {
          this.wanted.delete(name);
          this.#ports.onServed(this, name);
        });
        break;
      case frameKinds.acks:
        this.#acks.take(payload);
        break;
      default:
        throw invalidFrame(`kind ${head.kind} is not one that a source sends`);
    }
    release?.();
  }

  #queuePart(
    name: string,
    { offset, flags }: FrameHead,
    content: Buffer,
    release: (() => void) | undefined,
  ): void {
    const kept = release === undefined ? Buffer.from(content) : content;
    const { lines: lineBytes, bytes } = decodePart(kept);
    const lines = lineBytes.toString('latin1');
    const isToBeDurable = (flags & frameFlags.durable) !== 0;
    const records = parseRecords(lines);
    this.#enqueue({ name, offset, isToBeDurable, records, lines, bytes, release });
  }

  /** Writes parts that follow each other in a chunk. */
  async #takeParts(parts: readonly Part[]): Promise<void> {
    const [first, ...rest] = parts;
    if (first === undefined || this.#state !== 'taking') return;
    const { name, offset } = first;
    const place = parsePlace(name);
    const byteCount = bytesOf(parts);
    const category = await this.#ports.store.category(place.category);
    const outcome = await category.take({
      chunk: place.chunk,
      offset,
      records: rest.length === 0 ? first.records : parts.flatMap(({ records }) => records),
      lines: rest.reduce((text, { lines }) => text + lines, first.lines),
      pieces: parts.map(({ bytes }) => bytes),
      byteCount,
    });
    if (place.chunk.owner !== this.peer) return;
    if (outcome.kind === 'taken') {
      this.#sendPosition(place, outcome.size, 0);
      const isToBeDurable = parts.some((part) => part.isToBeDurable);
      if (isToBeDurable) this.#durable.add(category, place, outcome.size);
    } else if (outcome.kind === 'unwanted') {
      this.#sendPosition(place, offset + byteCount, offset + byteCount);
    } else {
      this.#sendPosition(place, outcome.size, 0, frameFlags.rewind);
    }
  }

  async #takeSeal(
    name: string,
    seal: { readonly size: number; readonly crc: number; readonly sealedAtMs: number },
  ): Promise<void> {
    if (this.#state !== 'taking') return;
    const { category: categoryName, chunk } = parsePlace(name);
    const category = await this.#ports.store.category(categoryName);
    const outcome = await category.sealCopy(chunk, seal);
    if (outcome !== 'incomplete') return;
    // The rest has to be asked for: what the peer sends by itself is behind.
    const held = { size: seal.size, crc: seal.crc, sealed: true };
    this.inventory.take({ category: categoryName, chunks: [[formatChunkName(chunk), held]] });
    this.#ports.onNews(categoryName);
  }

  #enqueue(waiting: Waiting): void {
    this.#queue.push(waiting);
    if (typeof waiting !== 'function') this.#queuedBytes += waiting.bytes.length;
    if (!this.#isHeld && this.#queuedBytes > intakeBytesMax) {
      this.#isHeld = true;
      this.#channel.pause();
    }
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      if (typeof next === 'function') {
        await next().catch((error: unknown) => this.#failed(error));
        continue;
      }
      const parts = [next, ...this.#followersOf(next)];
      await this.#takeParts(parts).catch((error: unknown) => this.#failed(error));
      for (const { release } of parts) release?.();
      this.#queuedBytes -= bytesOf(parts);
      if (this.#isHeld && this.#queuedBytes <= intakeBytesMax / 2) {
        this.#isHeld = false;
        this.#channel.resume();
      }
    }
    this.#queuedBytes = 0;
    this.#isRunning = false;
  }

  /** Takes the parts out of the queue that go on where one ends, to be written with it. */
  #followersOf({ name, offset, bytes }: Part): Part[] {
    const followers: Part[] = [];
    let byteCount = bytes.length;
    for (const waiting of this.#queue) {
      const isNext =
        typeof waiting !== 'function' &&
        waiting.name === name &&
        waiting.offset === offset + byteCount &&
        byteCount + waiting.bytes.length <= groupBytesMax;
      if (!isNext) break;
      followers.push(waiting);
      byteCount += waiting.bytes.length;
    }
    this.#queue.splice(0, followers.length);
    return followers;
  }

  /** A disk that takes no more has the peer wait; whatever else is wrong ends the stream, which is opened again. */
  #failed(error: unknown): void {
    if (this.#state === 'closed') return;
    const code = errorCode(error);
    if (code === 'disk_full' || code === 'storage_failed' || code === 'draining') {
      if (this.#state === 'taking') this.#send(encodeFrame(frameKinds.pause));
      this.#state = 'paused';
      return;
    }
    this.#ports.log.error('What a peer sent could not be taken.', {
      peer: this.peer,
      error: errorMessage(error),
    });
    this.close(errorMessage(error));
  }

  #sendPosition(place: ChunkPlace, written: number, durable: number, flags = 0): void {
    const name = formatPlace(place);
    this.#send(encodeFrame(frameKinds.position, { flags, name, offset: written, number: durable }));
  }

  #send(frame: Buffer): void {
    if (this.#state === 'closed') return;
    this.#sentMs = this.#ports.clock.monotonicMs();
    this.#channel.send([frame]);
  }
}

function bytesOf(parts: readonly Part[]): number {
  return parts.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

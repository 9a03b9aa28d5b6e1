import { ChangeSignal } from '../common/wait.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import {
  encodeFrame,
  type FrameHead,
  frameFlags,
  frameKinds,
  invalidFrame,
} from '../protocol/frames.js';
import { checkChunkName } from '../protocol/names.js';
import type { OwnerPosition } from '../protocol/position.js';
import {
  encodePartHead,
  formatPlace,
  type HaveMessage,
  isHaveMessage,
  parseMessage,
  parsePlace,
} from '../protocol/replication.js';
import type { Category } from '../storage/category.js';
import type { Chunk } from '../storage/chunk.js';
import { hasSystemCode } from '../storage/disk.js';
import type { Channel, ChannelSink } from './channel.js';
import { type ChunkFeed, type ChunkFeedPorts, type FedPart, partBytesMax } from './chunk-feed.js';
import { FrameReader } from './frame-reader.js';
import { heartbeatMs, type ReplicationParts, silenceMsMax } from './limits.js';
import { NewsFeed } from './news-feed.js';
import { OwnFeed } from './own-feed.js';
import type { PositionBoard } from './position-board.js';

export interface SourceFeedPorts extends ReplicationParts {
  readonly board: PositionBoard;
  /** The peer has taken all that this node knew of a category's acknowledgements up to a number of a size. */
  readonly onAcksTaken: (category: string, next: number) => void;
  readonly onClosed: (feed: SourceFeed, reason: string) => void;
}

/** A chunk that the peer has asked for, whoever wrote it. */
interface Wanted {
  readonly category: string;
  readonly feed: ChunkFeed;
}

/** Buffers of parts that are kept for the next ones. */
const pooledCountMax = 4;

/**
 * One peer that replicates this node: sends it this node's own chunks as they grow, what it has asked for of others,
 * and what it has to know of acknowledgements and of what is held here. A slow peer costs a cursor for each category
 * and no memory: all that is sent is read from the files when the connection takes more.
 *
 *     opening --it said what it has--> feeding <--> paused (its disk is full) --silence, broken--> closed
 */
export class SourceFeed implements ChannelSink {
  readonly peer: string;
  readonly #channel: Channel;
  readonly #ports: SourceFeedPorts;
  readonly #frames = new FrameReader((head, payload) => this.#onFrame(head, payload));
  readonly #drained = new ChangeSignal();
  readonly #news: NewsFeed;
  readonly #own: OwnFeed;
  readonly #wanted: Wanted[] = [];
  readonly #pool: Buffer[] = [];
  #have = new Map<string, HaveMessage['chunks'][number][]>();
  #state: 'opening' | 'feeding' | 'paused' | 'closed' = 'opening';
  #isRunning = false;
  #isWoken = false;
  #isCaughtUp = false;
  #receivedMs: number;
  #sentMs = 0;

  constructor(peer: string, channel: Channel, ports: SourceFeedPorts) {
    this.peer = peer;
    this.#channel = channel;
    this.#ports = ports;
    const feedPorts: ChunkFeedPorts = {
      disk: ports.store.disk,
      files: ports.files,
      takeBuffer: () => this.#pool.pop() ?? Buffer.allocUnsafeSlow(partBytesMax),
    };
    this.#news = new NewsFeed(ports, (frame) => this.#send([frame]));
    this.#own = new OwnFeed(ports, feedPorts);
    this.#receivedMs = ports.clock.monotonicMs();
  }

  /** Begins to receive. To be called once, at once. */
  start(): void {
    this.#channel.attach(this);
  }

  /** Whether everything was sent that is known here. */
  get isCaughtUp(): boolean {
    return this.#isCaughtUp;
  }

  /** Whether nothing is on its way to be sent. */
  get isIdle(): boolean {
    return !this.#isRunning;
  }

  ownGrown(category: Category): void {
    this.#own.markGrown(category);
    this.#wake();
  }

  chunkChanged(category: Category, chunk: Chunk): void {
    this.#own.chunkChanged(category, chunk);
    this.#news.chunkChanged(category, chunk);
    this.#wake();
  }

  acksChanged(category: Category): void {
    this.#news.acksChanged(category);
    this.#wake();
  }

  /** Tells anew what is held of chunks that are not whole, when there is more of them than was told. */
  tick(nowMs: number): void {
    if (nowMs - this.#receivedMs > silenceMsMax) {
      this.close(`it said nothing for ${silenceMsMax} ms`);
      return;
    }
    if (nowMs - this.#sentMs >= heartbeatMs && !this.#channel.isFull) {
      this.#send([encodeFrame(frameKinds.heartbeat)]);
    }
    this.#news.tellGrowth();
    this.#wake();
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
    this.#drained.notify();
  }

  closed(reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#drained.notify();
    this.#own.close();
    for (const { feed } of this.#wanted) void feed.close();
    this.#ports.onClosed(this, reason);
  }

  close(reason: string): void {
    this.#channel.close();
    this.closed(reason);
  }

  #onFrame(head: FrameHead, payload: Buffer): void {
    const name = payload.toString('latin1', 0, head.nameBytes);
    switch (head.kind) {
      case frameKinds.heartbeat:
        return;
      case frameKinds.have: {
        const { category, chunks } = parseMessage(payload, isHaveMessage);
        this.#have.set(category, [...(this.#have.get(category) ?? []), ...chunks]);
        return;
      }
      case frameKinds.haveEnd:
        this.#begin();
        return;
      case frameKinds.position:
        this.#takePosition(name, head);
        return;
      case frameKinds.want:
        this.#want(name, head.offset);
        return;
      case frameKinds.pause:
        if (this.#state === 'feeding') this.#state = 'paused';
        return;
      case frameKinds.acksTaken:
        this.#ports.onAcksTaken(name, head.number);
        return;
      default:
        throw invalidFrame(`kind ${head.kind} is not one that a replica sends`);
    }
  }

  /** The peer has said what it has, at first or after it could not take more: sends what is missing there. */
  #begin(): void {
    const { store, board } = this.#ports;
    const have = this.#have;
    this.#have = new Map();
    const positions = new Map<string, OwnerPosition>();
    for (const [category, chunks] of have) {
      let last: OwnerPosition = { index: -1, offset: 0 };
      for (const [index, offset] of chunks) if (index > last.index) last = { index, offset };
      positions.set(category, last);
    }
    this.#own.begin(store.openCategories, have);
    if (this.#state === 'opening') this.#news.begin(store.openCategories);
    this.#state = 'feeding';
    board.connect(this.peer, positions);
    this.#wake();
  }

  #takePosition(name: string, head: FrameHead): void {
    const { category, chunk } = parsePlace(name);
    const { index } = chunk;
    if ((head.flags & frameFlags.rewind) !== 0) {
      this.#own.rewind(category, index, head.offset);
      this.#wake();
      return;
    }
    this.#ports.board.update(this.peer, category, {
      written: { index, offset: head.offset },
      ...(head.number > 0 && { durable: { index, offset: head.number } }),
    });
  }

  #want(name: string, offset: number): void {
    const { category, chunk } = parsePlace(name);
    const found = this.#ports.store
      .openCategory(category)
      ?.view.chunk(name.slice(category.length + 1));
    if (found === undefined || this.#wanted.length > 64) {
      this.#send([
        encodeFrame(frameKinds.served, {
          flags: frameFlags.absent,
          name: formatPlace({ category, chunk }),
        }),
      ]);
      return;
    }
    this.#wanted.push({ category, feed: this.#own.feedOf(found, offset) });
    this.#wake();
  }

  #wake(): void {
    this.#isWoken = true;
    if (this.#isRunning || this.#state === 'closed') return;
    this.#isRunning = true;
    this.#run().catch((error: unknown) => this.close(errorMessage(error)));
  }

  /** Sends until nothing is left; what comes up meanwhile is looked for again before it ends. */
  async #run(): Promise<void> {
    while (this.#isWoken && this.#state !== 'closed') {
      this.#isWoken = false;
      while (await this.#sendNext()) await this.#untilDrained();
    }
    this.#isRunning = false;
  }

  async #untilDrained(): Promise<void> {
    while (this.#channel.isFull && this.#state !== 'closed') {
      await this.#drained.wait({ clock: this.#ports.clock, timeoutMs: silenceMsMax });
    }
  }

  /** Tells whether anything was sent. What is small, and frees space, goes first. */
  async #sendNext(): Promise<boolean> {
    if (this.#state === 'closed' || this.#state === 'opening') return false;
    if (this.#news.sendNext()) return true;
    if (this.#state === 'paused') return false;
    if (await this.#sendOwn()) return true;
    if (await this.#sendWanted()) return true;
    if (!this.#isCaughtUp && !this.#isWoken) {
      this.#isCaughtUp = true;
      this.#send([encodeFrame(frameKinds.caughtUp)]);
    }
    return false;
  }

  async #sendOwn(): Promise<boolean> {
    const step = await this.#own.next();
    if (step === undefined) return false;
    if (step.kind === 'seal') this.#sendSeal(step.category, step.chunk);
    else this.#sendPart(step.category, step.chunk, step.part);
    return true;
  }

  async #sendWanted(): Promise<boolean> {
    const wanted = this.#wanted.shift();
    if (wanted === undefined) return false;
    const { category, feed } = wanted;
    const { chunk } = feed;
    const part = await feed
      .next()
      .catch((error: unknown) => this.#missPart(category, chunk, error));
    if (part !== undefined) {
      this.#sendPart(category, chunk, part);
      this.#wanted.push(wanted);
      return true;
    }
    await feed.close();
    if (chunk.state === 'sealed') this.#sendSeal(category, chunk);
    const flags = chunk.state === 'removed' ? frameFlags.absent : 0;
    const name = formatPlace({ category, chunk: checkChunkName(chunk.name) });
    this.#send([encodeFrame(frameKinds.served, { flags, name, offset: feed.offset })]);
    return true;
  }

  /** A chunk that cannot be read is not sent; the peer asks for it elsewhere, or again. */
  #missPart(category: string, chunk: Chunk, error: unknown): undefined {
    if (chunk.state === 'removed' || hasSystemCode(error, 'ENOENT')) return;
    this.#ports.log.error('A chunk could not be read for a peer.', {
      peer: this.peer,
      category,
      chunk: chunk.name,
      error: errorMessage(error),
    });
  }

  #sendSeal(category: string, chunk: Chunk): void {
    const { sealRecord } = chunk;
    if (sealRecord === undefined) return;
    const { size, crc, sealedAtMs } = sealRecord;
    const name = formatPlace({ category, chunk: checkChunkName(chunk.name) });
    const text = String(sealedAtMs);
    this.#send([encodeFrame(frameKinds.seal, { name, number: crc, offset: size, text })]);
  }

  #sendPart(category: string, chunk: Chunk, { offset, lines, bytes, isPooled }: FedPart): void {
    const head = encodePartHead({
      place: formatPlace({ category, chunk: checkChunkName(chunk.name) }),
      flags: this.#ports.board.wantsDurable(category) ? frameFlags.durable : 0,
      offset,
      lines,
      byteCount: bytes.length,
    });
    this.#send([head, bytes], isPooled ? () => this.#giveBack(bytes) : undefined);
  }

  #giveBack(bytes: Buffer): void {
    if (this.#pool.length < pooledCountMax) this.#pool.push(Buffer.from(bytes.buffer));
  }

  #send(parts: readonly Uint8Array[], released?: () => void): void {
    this.#sentMs = this.#ports.clock.monotonicMs();
    this.#channel.send(parts, released);
  }
}

import type { Socket } from 'node:net';
import { ChangeSignal } from '../../common/wait.js';
import {
  encodeDataHead,
  encodeFrame,
  type FrameHead,
  frameKinds,
  invalidFrame,
} from '../../protocol/frames.js';
import { paths } from '../../protocol/http-api.js';
import { streamAckCountMax, streamDataBytesMax } from '../../protocol/limits.js';
import { formatChunkName, parseChunkName } from '../../protocol/names.js';
import { isOwnerPositions, type OwnerPositions } from '../../protocol/position.js';
import type { Category } from '../../storage/category.js';
import { drainingError } from '../../storage/category-writer.js';
import type { Chunk } from '../../storage/chunk.js';
import { sendFileRange, writePiece } from '../file-range.js';
import type { IncomingBody } from '../incoming-body.js';
import type { LaneContext } from '../lane/lane-context.js';
import { acknowledge } from '../operations/ack.js';
import { headRoomBytes, type MessageRange, openRange } from '../operations/read.js';
import type { ConsumeCall } from '../operations/streams.js';
import { StreamConnection } from './stream-connection.js';

/** Where the stream is in the chunks of one owner. */
interface Cursor {
  index: number;
  offset: number;
  /** Whether the client knows of the chunk, so that it has to be told when the chunk goes. */
  isKnown: boolean;
}

/**
 * A stream of the messages that a group has not acknowledged: of each owner in order, as far as the client
 * grants bytes. A slow client costs a cursor for each owner, and one slab while it takes a frame.
 */
export class ConsumeConnection extends StreamConnection {
  readonly #call: ConsumeCall;
  readonly #cursors = new Map<string, Cursor>();
  /** Notified when the client grants bytes, and when the stream ends. */
  readonly #changed = new ChangeSignal();
  /** May be below 0, by what a message is larger than what was granted. */
  #creditBytes = 0;
  #listed: Listed | undefined;
  #started = false;
  #acking: Promise<void> = Promise.resolve();
  #ackCount = 0;

  constructor(socket: Socket, call: ConsumeCall, context: LaneContext) {
    super(socket, context, paths.consume);
    this.#call = call;
    socket.once('end', () => this.drain());
  }

  flush(): void {
    // Every frame is sent when it is made.
  }

  drain(): void {
    void this.#acking.then(() => this.refuseAll(drainingError()));
  }

  protected onFrame(head: FrameHead, body: IncomingBody): void {
    const { error } = body;
    const payload = Buffer.concat(body.buffer.pieces).toString('latin1');
    body.release();
    if (error !== undefined) throw error;
    if (head.kind === frameKinds.start) this.#start(payload);
    else if (head.kind === frameKinds.credit) this.#grant(head.number);
    else if (head.kind === frameKinds.ack) this.#ackLater(payload, head.offset, head.number);
    else throw invalidFrame(`kind ${head.kind} is not one that a consumer sends`);
  }

  protected override isFull(): boolean {
    return this.#ackCount >= streamAckCountMax || super.isFull();
  }

  protected onClosed(): void {
    this.#changed.notify();
  }

  #start(payload: string): void {
    if (this.#started) throw invalidFrame('the stream has started already');
    const owners = payload === '' ? {} : parseOwners(payload);
    for (const [owner, { index, offset }] of Object.entries(owners)) {
      this.#cursors.set(owner, { index, offset, isKnown: true });
    }
    this.#started = true;
    this.#run().catch((error: unknown) => this.refuseAll(error));
  }

  #grant(byteCount: number): void {
    this.#creditBytes += byteCount;
    this.#changed.notify();
  }

  #ackLater(chunkName: string, size: number, number: number): void {
    this.#ackCount += 1;
    this.#acking = this.#acking.then(async () => {
      const frame = await this.#ack(chunkName, size, number);
      this.#ackCount -= 1;
      if (this.isEnding) return;
      this.send(frame);
      this.readWhenAble();
    });
  }

  async #ack(chunkName: string, size: number, number: number): Promise<Buffer> {
    const { categoryName, group } = this.#call;
    try {
      await acknowledge({ categoryName, chunkName, size, group }, this.context.ports);
      return encodeFrame(frameKinds.acked, { number, name: chunkName, offset: size });
    } catch (error) {
      return this.refusal(error, number);
    }
  }

  /** Sends until nothing is left, waits for more, and so on to the end of the stream. */
  async #run(): Promise<void> {
    const { store } = this.context.ports;
    while (!this.isEnding) {
      const category = await store.knownCategory(this.#call.categoryName);
      while (await this.#sendRound(category));
      if (this.isEnding) return;
      const waits = new AbortController();
      // What changes during the last look around is heard, because the waiting began before it.
      const woken = this.#nextChange(category, waits.signal);
      if (!(await this.#sendRound(category))) await woken;
      waits.abort();
    }
  }

  #nextChange(category: Category | undefined, signal: AbortSignal): Promise<void> {
    const { clock, store } = this.context.ports;
    const changes = [this.#changed, category?.view.changed ?? store.categoriesChanged];
    for (const [owner, { index }] of this.#cursors) {
      const chunk = category?.view.chunk(formatChunkName({ owner, index }));
      if (chunk !== undefined) changes.push(chunk.changed);
    }
    return Promise.race(changes.map((change) => change.wait({ clock, signal })));
  }

  /** Goes on by one frame for each owner; tells whether there was any. */
  async #sendRound(category: Category | undefined): Promise<boolean> {
    if (category === undefined) return false;
    let hasSent = false;
    const listed = this.#unackedIndexes(category);
    for (const owner of new Set([...listed.keys(), ...this.#cursors.keys()])) {
      if (this.isEnding) return false;
      if (await this.#sendNext(category, owner, listed.get(owner) ?? [])) hasSent = true;
    }
    return hasSent;
  }

  #unackedIndexes(category: Category): Listed['indexes'] {
    if (this.#listed?.version !== category.view.version) {
      this.#listed = listUnacked(category, this.#call.group);
    }
    return this.#listed.indexes;
  }

  async #sendNext(category: Category, owner: string, indexes: readonly number[]): Promise<boolean> {
    const cursor = this.#cursors.get(owner) ?? { index: 0, offset: 0, isKnown: false };
    this.#cursors.set(owner, cursor);
    const index = indexes.find((listed) => listed >= cursor.index);
    const name = formatChunkName({ owner, index: cursor.index });
    if (index !== cursor.index) {
      const isHere = category.view.chunkState({ owner, index: cursor.index }) !== 'pending';
      // A chunk that is neither here nor acknowledged is still to come, unless a later one is here.
      if (index === undefined && !isHere) return false;
      if (cursor.isKnown) this.send(encodeFrame(frameKinds.gone, { name }));
      this.#moveTo(cursor, index ?? cursor.index + 1);
      return true;
    }
    const chunk = category.view.chunk(name);
    if (chunk === undefined) return false;
    const { size, state } = chunk;
    // A sealed chunk may be shorter than what its reader has had: a power failure took its end.
    const isAtEnd = cursor.offset === size || (state === 'sealed' && cursor.offset > size);
    if (!isAtEnd) return this.#sendData(chunk, cursor);
    if (state !== 'sealed') return false;
    this.send(encodeFrame(frameKinds.sealed, { name, offset: size }));
    this.#moveTo(cursor, cursor.index + 1);
    return true;
  }

  #moveTo(cursor: Cursor, index: number): void {
    cursor.index = index;
    cursor.offset = 0;
    cursor.isKnown = false;
  }

  async #sendData(chunk: Chunk, cursor: Cursor): Promise<boolean> {
    if (this.#creditBytes <= 0) return false;
    const range = await this.#openRange(chunk, cursor.offset).catch((error: unknown) => {
      // The chunk was acknowledged and removed meanwhile, which the next look around finds.
      if (chunk.state === 'removed') return undefined;
      throw error;
    });
    if (range === undefined) return true;
    this.#creditBytes -= range.end - range.offset;
    cursor.offset = range.end;
    cursor.isKnown = true;
    await this.sendInParts(() => this.#sendRange(range));
    return true;
  }

  #openRange(chunk: Chunk, offset: number): Promise<MessageRange> {
    const { ports } = this.context;
    return openRange(
      {
        categoryName: this.#call.categoryName,
        chunkName: chunk.name,
        offset,
        byteCountMax: Math.min(this.#creditBytes, streamDataBytesMax),
        waitMs: 0,
        byteCountMin: 1,
      },
      ports,
      ports.stopping,
    );
  }

  async #sendRange(range: MessageRange): Promise<void> {
    const { content, chunk, offset, end } = range;
    const head = encodeDataHead(chunk.name, offset, end - offset);
    let slabIsFree = true;
    try {
      if (content.kind === 'memory') {
        const from = headRoomBytes - head.length;
        content.slab.set(head, from);
        const frame = content.slab.subarray(from, headRoomBytes + end - offset);
        slabIsFree = await writePiece(this.socket, frame);
      } else if (content.kind === 'file') {
        this.socket.write(head);
        await sendFileRange(content.file, offset, end, this.socket, this.context.ports.slabs);
      }
    } catch (error) {
      // The frame has begun, so nothing else can be said on this connection.
      this.socket.destroy();
      throw error;
    } finally {
      range.release(slabIsFree);
    }
  }
}

/** What was listed for a group, until the list changes. */
interface Listed {
  readonly version: number;
  /** The indexes of the chunks that are not acknowledged, in order, by owner. */
  readonly indexes: ReadonlyMap<string, readonly number[]>;
}

function listUnacked(category: Category, group: string): Listed {
  const indexes = new Map<string, number[]>();
  for (const { name } of category.view.list(group)) {
    const chunk = parseChunkName(name);
    if (chunk === undefined) continue;
    const ofOwner = indexes.get(chunk.owner);
    if (ofOwner === undefined) indexes.set(chunk.owner, [chunk.index]);
    else ofOwner.push(chunk.index);
  }
  return { version: category.view.version, indexes };
}

function parseOwners(payload: string): OwnerPositions {
  try {
    const { owners } = JSON.parse(payload) as { readonly owners?: unknown };
    if (isOwnerPositions(owners)) return owners;
  } catch {
    // What is no JSON is refused as what is none of positions.
  }
  throw invalidFrame('the positions to start at are not {"owners":{"NODE":{"index","offset"}}}');
}

import type { Socket } from 'node:net';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import {
  encodeFrame,
  type FrameHead,
  frameFlags,
  frameHeadBytes,
  frameKinds,
  invalidFrame,
  readFrameHead,
  streamProtocol,
} from '../../protocol/frames.js';
import { streamHeartbeatMs, streamIdleMsMax } from '../../protocol/limits.js';
import { batchTooLarge } from '../body-buffer.js';
import { IncomingBody } from '../incoming-body.js';
import type { ByteSink } from '../lane/byte-source.js';
import type { Swept } from '../lane/connection-sweep.js';
import type { LaneContext } from '../lane/lane-context.js';
import { headBytesMax } from '../lane/request-head.js';
import { errorAnswer, logFailure, toChukchaError } from '../operations/error-answer.js';
import { microsecondsNow } from '../request-time.js';

/** What a frame may have that is not a batch: the positions of some thousand owners. */
const controlBytesMax = 64 * 1024;

/** How many frames may wait for the end of one that is sent in parts. */
const heldCountMax = 64;

/**
 * One side of a framed stream at the node: reads frames, keeps the times, and ends in an orderly way.
 *
 *     open --invalid frame, or the node stops--> ending --everything sent--> closed
 *     open --the client ends or is silent, the connection breaks--> closed
 */
export abstract class StreamConnection implements ByteSink, Swept {
  protected readonly socket: Socket;
  protected readonly context: LaneContext;
  protected isEnding = false;
  /** When the last bytes came, as `microsecondsNow` tells it. */
  protected receivedAt = 0;
  readonly #path: string;
  #frame: FrameHead | undefined;
  #body: IncomingBody | undefined;
  #readsIntoBody = false;
  #headStart: Buffer | undefined;
  #frameStartMs = 0;
  #receivedMs: number;
  #sentMs: number;
  #paused = false;
  /** Frames that wait for the end of one that is sent in parts. */
  #held: Buffer[] | undefined;

  constructor(socket: Socket, context: LaneContext, path: string) {
    this.socket = socket;
    this.context = context;
    this.#path = path;
    this.#receivedMs = context.nowMs;
    this.#sentMs = context.nowMs;
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${streamProtocol}\r\n\r\n`,
    );
    socket.on('drain', () => this.readWhenAble());
    socket.once('close', () => {
      this.isEnding = true;
      this.#body?.release();
      this.onClosed();
    });
  }

  /** A frame is here; its body holds memory until it is released. */
  protected abstract onFrame(head: FrameHead, body: IncomingBody): void;

  /** The connection is closed: lets go of everything. */
  protected abstract onClosed(): void;

  /** Sends what is ready. */
  abstract flush(): void;

  /** Ends the stream when what is under way is answered, because the node stops. */
  abstract drain(): void;

  target(): Buffer {
    const room = this.#body?.room();
    this.#readsIntoBody = room !== undefined;
    return room ?? this.context.readTarget;
  }

  received(byteCount: number): undefined {
    this.#receivedMs = this.context.nowMs;
    if (this.isEnding) return;
    this.receivedAt = microsecondsNow(this.context.ports.clock);
    try {
      if (this.#readsIntoBody) {
        this.#body?.advance(byteCount);
        this.#endFrame();
      } else this.#takeFrames(byteCount);
    } catch (error) {
      this.refuseAll(error);
    }
    if (this.#paused || !this.isFull()) return;
    this.#paused = true;
    this.socket.pause();
  }

  left(): void {
    // A stream keeps its connection to the end.
  }

  sweep(nowMs: number): void {
    // What is not read because the node itself is busy is no silence of the client.
    if (this.#paused && !this.socket.writableNeedDrain) this.#receivedMs = nowMs;
    const isSilent = nowMs - this.#receivedMs > streamIdleMsMax;
    const isLate =
      this.#body !== undefined && nowMs - this.#frameStartMs > this.context.limits.requestMs;
    if (isSilent || isLate) this.socket.destroy();
    else if (nowMs - this.#sentMs > streamHeartbeatMs / 2 && !this.isFull()) {
      this.send(encodeFrame(frameKinds.heartbeat));
    }
  }

  /** Whether so much is unanswered that no more is read. */
  protected isFull(): boolean {
    return this.socket.writableNeedDrain || (this.#held?.length ?? 0) >= heldCountMax;
  }

  protected readWhenAble(): void {
    if (!this.#paused || this.isFull()) return;
    this.#paused = false;
    this.socket.resume();
  }

  protected send(frame: Buffer): void {
    this.#sentMs = this.context.nowMs;
    if (this.#held === undefined) this.socket.write(frame);
    else this.#held.push(frame);
  }

  /** Runs what writes one frame in parts to the socket; other frames wait for its end. */
  protected async sendInParts(run: () => Promise<void>): Promise<void> {
    this.#held = [];
    try {
      await run();
    } finally {
      const held = this.#held;
      this.#held = undefined;
      for (const frame of held) this.send(frame);
      if (this.isEnding) this.socket.destroySoon();
      this.readWhenAble();
    }
  }

  /** The frame that tells of an error. */
  protected refusal(thrown: unknown, number: number, flags = 0): Buffer {
    const error = toChukchaError(thrown);
    const { log, counts } = this.context.ports;
    counts.refused(error.code);
    logFailure(log, this.#path, error);
    return encodeFrame(frameKinds.refused, { flags, number, text: errorAnswer(error).body });
  }

  /** Ends the stream with an error of the stream itself, or with the word that the node stops. */
  protected refuseAll(thrown: unknown): void {
    if (this.isEnding) return;
    this.isEnding = true;
    const isDraining = thrown instanceof ChukchaError && thrown.code === 'draining';
    this.send(
      isDraining ? encodeFrame(frameKinds.draining) : this.refusal(thrown, 0, frameFlags.last),
    );
    if (this.#held === undefined) this.socket.destroySoon();
  }

  #takeFrames(byteCount: number): void {
    const { readBuffer } = this.context;
    const end = headBytesMax + byteCount;
    let at = headBytesMax;
    if (this.#headStart !== undefined) {
      at -= this.#headStart.length;
      this.#headStart.copy(readBuffer, at);
      this.#headStart = undefined;
    }
    while (at < end && !this.isEnding) {
      if (this.#body !== undefined) {
        at += this.#body.take(readBuffer, at, end);
      } else if (end - at < frameHeadBytes) {
        this.#headStart = Buffer.from(readBuffer.subarray(at, end));
        return;
      } else {
        this.#beginFrame(readFrameHead(readBuffer, at));
        at += frameHeadBytes;
      }
      this.#endFrame();
    }
  }

  #beginFrame(head: FrameHead): void {
    const { ports } = this.context;
    const isBatch = head.kind === frameKinds.batch;
    if (!isBatch && head.payloadBytes > controlBytesMax) {
      throw invalidFrame(`${head.payloadBytes} bytes for kind ${head.kind}`);
    }
    this.#frame = head;
    this.#frameStartMs = this.context.nowMs;
    this.#body = new IncomingBody(ports, head.payloadBytes);
    if (isBatch && head.payloadBytes > ports.batchBytesMax) {
      this.#body.error = batchTooLarge(ports.batchBytesMax, head.payloadBytes);
    }
  }

  #endFrame(): void {
    const frame = this.#frame;
    const body = this.#body;
    if (frame === undefined || body === undefined || body.leftBytes > 0) return;
    this.#frame = undefined;
    this.#body = undefined;
    if (frame.kind === frameKinds.heartbeat) body.release();
    else this.onFrame(frame, body);
  }
}

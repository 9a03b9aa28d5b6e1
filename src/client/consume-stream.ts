import { systemClock } from '../common/clock.js';
import { ChangeSignal } from '../common/wait.js';
import { type ChukchaError, errorFromBody } from '../protocol/chukcha-error.js';
import { encodeFrame, type FrameHead, frameKinds, invalidFrame } from '../protocol/frames.js';
import { groupNameDefault, paths } from '../protocol/http-api.js';
import { checkCategoryName, checkGroupName } from '../protocol/names.js';
import type { OwnerPositions } from '../protocol/position.js';
import type { Credentials } from './credentials.js';
import { FrameSocket } from './frame-socket.js';

/** What a node may send ahead: two frames of the usual size, and two on their way. */
const windowBytesDefault = 1024 * 1024;

export interface ConsumeStreamOptions extends Credentials {
  /** The address of a node. */
  readonly server: string;
  readonly category: string;
  /** @default `default` */
  readonly group?: string;
  /** Where to start; an owner that is missing starts at its first chunk that the group has not acknowledged. */
  readonly start?: OwnerPositions;
  /** How many bytes may come before the first of them were taken; one message may be more. @default 1 MiB */
  readonly windowBytes?: number;
}

/** What comes over the stream; of each owner in order. */
export type ConsumeEvent =
  /** Whole messages of a chunk, from an offset on. */
  | {
      readonly kind: 'data';
      readonly chunk: string;
      readonly offset: number;
      readonly bytes: Buffer;
    }
  /** The chunk was read to its end, and may be acknowledged with this size. */
  | { readonly kind: 'sealed'; readonly chunk: string; readonly size: number }
  /** The chunk was acknowledged by somebody else in the middle of it. */
  | { readonly kind: 'gone'; readonly chunk: string };

interface PendingAck {
  readonly number: number;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * A connection on which a node pushes the messages that a group has not acknowledged. It holds at most a window
 * of bytes that were not taken yet, because the node sends no more than was granted. It is a connection to one node,
 * which its address names: `Consumer` is what goes on at another node.
 */
export class ConsumeStream implements AsyncIterable<ConsumeEvent> {
  #socket!: FrameSocket;
  readonly #windowBytes: number;
  readonly #events: ConsumeEvent[] = [];
  readonly #changed = new ChangeSignal();
  readonly #acks: PendingAck[] = [];
  #takenBytes = 0;
  #nextAckNumber = 1;
  #ended: ChukchaError | undefined;

  private constructor(windowBytes: number) {
    this.#windowBytes = windowBytes;
  }

  /** Rejects with the error that the node answers, or `server_unreachable`. */
  static async open(options: ConsumeStreamOptions): Promise<ConsumeStream> {
    const { server, category, group = groupNameDefault, start } = options;
    const { windowBytes = windowBytesDefault } = options;
    const stream = new ConsumeStream(windowBytes);
    stream.#socket = await FrameSocket.open({
      server,
      credentials: options,
      path: `${paths.consume}?category=${checkCategoryName(category)}&group=${checkGroupName(group)}`,
      headers: {},
      onFrame: (head, payload) => stream.#onFrame(head, payload),
      onEnd: (error) => stream.#onEnd(error),
    });
    const text = start === undefined ? '' : JSON.stringify({ owners: start });
    stream.#socket.send(
      encodeFrame(frameKinds.credit, { number: windowBytes }),
      encodeFrame(frameKinds.start, { text }),
    );
    return stream;
  }

  /**
   * The events as they come. Ends when the stream was closed here; throws what ended it otherwise. Leaving the loop
   * does not close the stream, because acknowledgements may be under way: call `close` after them.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<ConsumeEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) {
        yield event;
        if (event.kind === 'data') this.#grant(event.bytes.length);
      } else if (this.#ended === undefined) {
        await this.#changed.wait({ clock: systemClock });
      } else if (this.#ended.code === 'aborted') return;
      else throw this.#ended;
    }
  }

  /**
   * Acknowledges a sealed chunk; durable when it resolves. Rejects with the error that the node answers, or
   * with what ended the stream.
   */
  ack(chunk: string, size: number): Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const number = this.#nextAckNumber;
    this.#nextAckNumber += 1;
    return new Promise((resolve, reject) => {
      this.#acks.push({ number, resolve, reject });
      this.#socket.send(encodeFrame(frameKinds.ack, { number, name: chunk, offset: size }));
    });
  }

  /** Closes the connection; idempotent. */
  close(): void {
    this.#socket.close();
  }

  /** Grants anew what was taken, in parts that are worth a frame. */
  #grant(byteCount: number): void {
    this.#takenBytes += byteCount;
    if (this.#takenBytes < this.#windowBytes / 2) return;
    this.#socket.send(encodeFrame(frameKinds.credit, { number: this.#takenBytes }));
    this.#takenBytes = 0;
  }

  #onFrame(head: FrameHead, payload: Buffer): void {
    const chunk = payload.toString('latin1', 0, head.nameBytes);
    switch (head.kind) {
      case frameKinds.data: {
        const bytes = Buffer.from(payload.subarray(head.nameBytes));
        this.#events.push({ kind: 'data', chunk, offset: head.offset, bytes });
        break;
      }
      case frameKinds.sealed:
        this.#events.push({ kind: 'sealed', chunk, size: head.offset });
        break;
      case frameKinds.gone:
        this.#events.push({ kind: 'gone', chunk });
        break;
      case frameKinds.acked:
        this.#takeAck(head.number).resolve();
        break;
      case frameKinds.refused:
        this.#takeAck(head.number).reject(
          errorFromBody(payload.toString('latin1')) ?? invalidFrame('the refusal is no error'),
        );
        break;
      default:
        throw invalidFrame(`kind ${head.kind} is not one that a node sends here`);
    }
    this.#changed.notify();
  }

  #takeAck(number: number): PendingAck {
    const ack = this.#acks.shift();
    if (ack?.number !== number) throw invalidFrame(`number ${number} answers no acknowledgement`);
    return ack;
  }

  #onEnd(error: ChukchaError): void {
    this.#ended = error;
    for (const { reject } of this.#acks.splice(0)) reject(error);
    this.#changed.notify();
  }
}

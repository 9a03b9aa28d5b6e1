import { type Clock, systemClock } from '../common/clock.js';
import { Mutex } from '../common/mutex.js';
import { ChangeSignal } from '../common/wait.js';
import { totalBytes } from '../protocol/batch-check.js';
import { type ChukchaError, errorFromBody } from '../protocol/chukcha-error.js';
import {
  type FrameHead,
  frameFlags,
  frameHeadBytes,
  frameKinds,
  invalidFrame,
  writeFrameHead,
} from '../protocol/frames.js';
import { headers, paths, type WriteReceipt } from '../protocol/http-api.js';
import { checkCategoryName } from '../protocol/names.js';
import type { Credentials } from './credentials.js';
import { FrameSocket } from './frame-socket.js';

/** How many bytes may be unanswered before a batch waits: what a node takes of a connection, and as much on the way. */
const inFlightBytesMaxDefault = 16 * 1024 * 1024;

export interface ProduceStreamOptions extends Credentials {
  /** The address of a node. */
  readonly server: string;
  readonly category: string;
  /** Whose batches they are: with it, one that was stored before is answered as a duplicate. */
  readonly producer?: string;
  /** @default 16 MiB */
  readonly inFlightBytesMax?: number;
}

export interface StreamBatchOptions {
  /** Of the producer; rises by one with each batch. @default counted from 0 */
  readonly sequence?: number;
  /** Whether it is answered only when it is durable. @default false */
  readonly sync?: boolean;
}

interface Unanswered {
  readonly number: number;
  readonly byteCount: number;
  resolve(receipt: WriteReceipt): void;
  reject(error: unknown): void;
}

/**
 * A connection on which batches are sent one after another, without waiting for their answers, which come in
 * the same order. When it breaks, what is not answered may be stored or not. It is a connection to one node, which
 * its address names: `Producer` is what goes on at another node.
 */
export class ProduceStream {
  #socket!: FrameSocket;
  readonly #inFlightBytesMax: number;
  readonly #unanswered: Unanswered[] = [];
  readonly #sending = new Mutex();
  readonly #answered = new ChangeSignal();
  readonly #clock: Clock = systemClock;
  #inFlightBytes = 0;
  #nextSequence = 0;
  #ended: ChukchaError | undefined;

  private constructor(inFlightBytesMax: number) {
    this.#inFlightBytesMax = inFlightBytesMax;
  }

  /** Rejects with the error that the node answers, or `server_unreachable`. */
  static async open(options: ProduceStreamOptions): Promise<ProduceStream> {
    const { server, category, producer, inFlightBytesMax = inFlightBytesMaxDefault } = options;
    const stream = new ProduceStream(inFlightBytesMax);
    stream.#socket = await FrameSocket.open({
      server,
      credentials: options,
      path: `${paths.produce}?category=${checkCategoryName(category)}`,
      headers: producer === undefined ? {} : { [headers.producer]: producer },
      onFrame: (head, payload) => stream.#onFrame(head, payload),
      onEnd: (error) => stream.#onEnd(error),
    });
    return stream;
  }

  /**
   * Sends a batch when there is room for it, and resolves with where it is stored. Rejects with the error that
   * the node answers for it, or with what ended the stream. The bytes must not change until then.
   */
  async write(
    pieces: readonly Uint8Array[],
    options: StreamBatchOptions = {},
  ): Promise<WriteReceipt> {
    const { answer } = await this.#sending.run(async () => {
      while (this.#inFlightBytes >= this.#inFlightBytesMax && this.#ended === undefined) {
        await this.#answered.wait({ clock: this.#clock });
      }
      if (this.#ended !== undefined) throw this.#ended;
      return { answer: this.#send(pieces, options) };
    });
    return answer;
  }

  /** Waits for the answers that are owed, and closes the connection; idempotent. */
  async close(): Promise<void> {
    await this.#sending.run(async () => {
      while (this.#unanswered.length > 0 && this.#ended === undefined) {
        await this.#answered.wait({ clock: this.#clock });
      }
    });
    this.#socket.close();
  }

  #send(
    pieces: readonly Uint8Array[],
    { sequence = this.#nextSequence, sync = false }: StreamBatchOptions,
  ): Promise<WriteReceipt> {
    const byteCount = totalBytes(pieces);
    const head = Buffer.allocUnsafe(frameHeadBytes);
    writeFrameHead(head, 0, {
      kind: frameKinds.batch,
      flags: sync ? frameFlags.sync : 0,
      nameBytes: 0,
      payloadBytes: byteCount,
      number: sequence,
      offset: 0,
    });
    this.#nextSequence = sequence + 1;
    this.#inFlightBytes += byteCount;
    return new Promise((resolve, reject) => {
      this.#unanswered.push({ number: sequence, byteCount, resolve, reject });
      this.#socket.send(head, ...pieces);
    });
  }

  #onFrame(head: FrameHead, payload: Buffer): void {
    const answered = this.#unanswered[0];
    const isAnswer = head.kind === frameKinds.stored || head.kind === frameKinds.refused;
    if (!isAnswer || answered?.number !== head.number) {
      throw invalidFrame(`kind ${head.kind} with number ${head.number} answers no batch`);
    }
    this.#unanswered.shift();
    this.#inFlightBytes -= answered.byteCount;
    this.#answered.notify();
    const text = payload.toString('latin1');
    if (head.kind === frameKinds.refused) {
      answered.reject(errorFromBody(text) ?? invalidFrame('the refusal is no error'));
      return;
    }
    const hasPlace = (head.flags & frameFlags.noPlace) === 0;
    answered.resolve({
      chunk: hasPlace ? text : null,
      offset: hasPlace ? head.offset : null,
      size: answered.byteCount,
      duplicate: (head.flags & frameFlags.duplicate) !== 0,
    });
  }

  #onEnd(error: ChukchaError): void {
    this.#ended = error;
    for (const { reject } of this.#unanswered.splice(0)) reject(error);
    this.#answered.notify();
  }
}

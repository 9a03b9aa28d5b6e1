import type { Client } from './client.js';
import type { ReadAnswer } from './client-calls.js';
import type { ConsumerNodes } from './consumer-nodes.js';
import type { ReadPlan } from './owner-cursor.js';
import { ReadBuffers } from './read-buffers.js';

export interface ChunkReaderOptions {
  readonly category: string;
  readonly batchBytesMax: number;
  /** How long a node holds a read at the end of what there is, in milliseconds. */
  readonly pollMs: number;
  readonly signal: AbortSignal;
}

export interface PlannedAnswer {
  readonly plan: ReadPlan;
  readonly answer: ReadAnswer;
}

/** Carries out what an `OwnerCursor` plans: one read, or those of several small chunks at one time. */
export class ChunkReader {
  readonly #client: Client;
  readonly #nodes: ConsumerNodes;
  readonly #options: ChunkReaderOptions;
  readonly #buffers: ReadBuffers;

  constructor(client: Client, nodes: ConsumerNodes, options: ChunkReaderOptions) {
    this.#client = client;
    this.#nodes = nodes;
    this.#options = options;
    this.#buffers = new ReadBuffers(options.batchBytesMax);
  }

  /**
   * The answers in the order of the plans. Throws what the first read failed with; it ends early where a later
   * one failed, because that is planned again as the first and then tried again.
   */
  async *read([first, ...ahead]: readonly ReadPlan[]): AsyncGenerator<PlannedAnswer, void, void> {
    if (first === undefined) return;
    if (ahead.length === 0) {
      const takeBuffer = (byteCount: number): Buffer => this.#buffers.take(byteCount);
      yield { plan: first, answer: await this.#callUntilAnswered(first, takeBuffer) };
      return;
    }
    // Together they are no larger than one buffer, but only when each has a buffer of its own size.
    const takeBuffer = (byteCount: number): Buffer => Buffer.allocUnsafeSlow(byteCount);
    const aheadAnswers = ahead.map(async (plan) => {
      const answer = await this.#nodes
        .once((server) => this.#call(plan, server, takeBuffer))
        .catch(() => undefined);
      return answer === undefined ? undefined : { plan, answer };
    });
    yield { plan: first, answer: await this.#callUntilAnswered(first, takeBuffer) };
    for (const pending of aheadAnswers) {
      const answered = await pending;
      if (answered === undefined) return;
      yield answered;
    }
  }

  /** Takes back the bytes of an answer when nobody reads them any more. */
  giveBack(bytes: Buffer): void {
    this.#buffers.giveBack(bytes);
  }

  #callUntilAnswered(
    plan: ReadPlan,
    takeBuffer: (byteCount: number) => Buffer,
  ): Promise<ReadAnswer> {
    return this.#nodes.tryingKnown((server) => this.#call(plan, server, takeBuffer));
  }

  #call(
    plan: ReadPlan,
    server: string,
    takeBuffer: (byteCount: number) => Buffer,
  ): Promise<ReadAnswer> {
    const { category, batchBytesMax, pollMs, signal } = this.#options;
    return this.#client.read(category, {
      server,
      chunk: plan.chunk,
      offset: plan.offset,
      byteCountMax: batchBytesMax,
      waitMs: plan.atEnd ? pollMs : 0,
      signal,
      takeBuffer,
    });
  }
}

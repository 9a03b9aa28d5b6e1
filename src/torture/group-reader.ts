import type { Client } from '../client/client.js';
import type { ChunkListing, ReadAnswer } from '../client/client-calls.js';
import { systemClock } from '../common/clock.js';
import type { SeededRandom } from '../common/seeded-random.js';
import { sleep } from '../common/wait.js';
import type { NodeProcess } from '../processes/node-process.js';
import { ChukchaError, errorCode, errorMessage } from '../protocol/chukcha-error.js';
import type { BatchLedger } from './batch-ledger.js';
import type { Callers } from './callers.js';
import { ChunkParser } from './chunk-parser.js';

export interface ReaderOptions {
  readonly group: string;
  readonly category: string;
  readonly nodes: readonly NodeProcess[];
  readonly callers: Callers;
  /** Which of the nodes it begins with. */
  readonly home: number;
  /** Whether it reads what it has not acknowledged from the beginning when it goes on at another node. */
  readonly rereads: boolean;
  readonly random: SeededRandom;
}

/** Small enough that most chunks take several reads, and that reads end within batches. */
const readBytesMax = 64 * 1024;

/** How long it waits when a round has brought nothing. */
const idleMs = 50;

/** How often it goes on at another node although nothing is wrong. */
const moveShare = 0.02;

/** How far a chunk is read. */
interface ChunkProgress {
  readonly parser: ChunkParser;
  isWhole: boolean;
}

/** Reads a category for a group and acknowledges chunk by chunk, at one node as long as that answers. */
export class GroupReader {
  /** Why it could not go on where it was. */
  lastProblem = 'nothing went wrong';
  readonly #options: ReaderOptions;
  readonly #ledger: BatchLedger;
  readonly #chunks = new Map<string, ChunkProgress>();
  /** By chunk: the nodes that have answered an acknowledgement of it. */
  readonly #acked = new Map<string, Set<string>>();
  readonly #returned = new Set<string>();
  #at: number;
  #holdsAcks = false;
  #stoppedBy: 'nobody' | 'stop' = 'nobody';
  /** Counts the rounds that have read all that was listed, to the end of sealed chunks. */
  #wholeRoundCount = 0;

  constructor(options: ReaderOptions, ledger: BatchLedger) {
    this.#options = options;
    this.#ledger = ledger;
    this.#at = options.home;
  }

  get name(): string {
    return `${this.#options.group} of ${this.#options.category}`;
  }

  /** How often it has found all that was listed sealed, and read to the end. */
  get wholeRoundCount(): number {
    return this.#wholeRoundCount;
  }

  /** Whether it leaves what it has read unacknowledged. */
  set holdsAcks(holdsAcks: boolean) {
    this.#holdsAcks = holdsAcks;
  }

  stop(): void {
    this.#stoppedBy = 'stop';
  }

  async run(): Promise<void> {
    while (this.#stoppedBy === 'nobody') {
      const node = this.#options.nodes[this.#at] as NodeProcess;
      let hasRead = false;
      try {
        hasRead = await this.#readOnce(node);
      } catch (error) {
        this.#goOn(`${node.name}: ${errorMessage(error)}`);
        if (!(error instanceof ChukchaError && error.retryable)) {
          this.#ledger.refused.add(`Reader ${this.name} was refused by ${this.lastProblem}`);
        }
      }
      if (!hasRead) await sleep(systemClock, idleMs);
      if (this.#options.random.fraction() < moveShare) this.#goOn(this.lastProblem);
    }
  }

  /** Reads all that is listed at a node once; tells whether that brought anything. */
  async #readOnce(node: NodeProcess): Promise<boolean> {
    const { category, group } = this.#options;
    const { chunks }: ChunkListing = await this.#client(node).listChunks(category, { group });
    let hasRead = false;
    let isWhole = true;
    for (const { name } of chunks) {
      const ackedAt = this.#acked.get(name);
      if (ackedAt?.has(node.name)) this.#noteReturned(node, name);
      // Another node may not have heard of the acknowledgement yet.
      if (ackedAt !== undefined) continue;
      const progress = this.#chunks.get(name) ?? this.#newProgress(name);
      const before = progress.parser.offset;
      if (!(await this.#readChunk(node, name, progress))) isWhole = false;
      else if (!this.#holdsAcks) await this.#ack(node, name, progress);
      hasRead ||= progress.parser.offset > before;
    }
    if (isWhole && !hasRead) this.#wholeRoundCount += 1;
    else this.#wholeRoundCount = 0;
    return hasRead;
  }

  /** Reads what there is now; tells whether that is all that the chunk will ever have. */
  async #readChunk(node: NodeProcess, chunk: string, progress: ChunkProgress): Promise<boolean> {
    const { parser } = progress;
    for (;;) {
      let answer: ReadAnswer;
      try {
        answer = await this.#client(node).read(this.#options.category, {
          chunk,
          offset: parser.offset,
          byteCountMax: readBytesMax,
        });
      } catch (error) {
        // This node has less of it than the one before, or it went since it was listed.
        const code = errorCode(error);
        if (code === 'offset_out_of_range' || code === 'chunk_not_found') return false;
        throw error;
      }
      parser.take(answer.bytes);
      if (answer.bytes.length > 0) continue;
      if (answer.state !== 'sealed') return false;
      if (!progress.isWhole) parser.end();
      progress.isWhole = true;
      return true;
    }
  }

  async #ack(node: NodeProcess, chunk: string, { parser }: ChunkProgress): Promise<void> {
    const { category, group } = this.#options;
    try {
      await this.#client(node).ack(category, chunk, parser.offset, { group });
    } catch (error) {
      // An earlier acknowledgement, of which the answer did not come, has arrived here meanwhile.
      if (errorCode(error) !== 'chunk_not_found') throw error;
    }
    const nodes = this.#acked.get(chunk) ?? new Set();
    this.#acked.set(chunk, nodes);
    nodes.add(node.name);
    this.#chunks.delete(chunk);
  }

  /** Asked for anew for each call: a round may take longer than the tokens with which it began are accepted. */
  #client(node: NodeProcess): Client {
    const client = this.#options.callers.client(node, 'reader');
    if (client !== undefined) return client;
    throw new ChukchaError('server_unreachable', 'it takes no calls');
  }

  /** What a node has acknowledged is there again at the same node. */
  #noteReturned(node: NodeProcess, chunk: string): void {
    const key = `${node.name} ${chunk}`;
    if (this.#returned.has(key)) return;
    this.#returned.add(key);
    this.#ledger.returned.add(
      `${this.#options.category}/${chunk} is listed at ${node.name} again after ${this.#options.group} acknowledged it there.`,
    );
  }

  #newProgress(chunk: string): ChunkProgress {
    const { group, category } = this.#options;
    const parser = new ChunkParser(chunk, {
      found: (batch) => this.#ledger.found(group, category, batch),
      broken: (sentence) => this.#ledger.corrupt.add(`${category}/${sentence}`),
    });
    const progress = { parser, isWhole: false };
    this.#chunks.set(chunk, progress);
    return progress;
  }

  #goOn(problem: string): void {
    this.lastProblem = problem;
    this.#at = (this.#at + 1) % this.#options.nodes.length;
    if (this.#options.rereads) this.#chunks.clear();
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { ListedChunk } from '../../src/protocol/http-api.js';
import { ChunkParser } from '../../src/torture/chunk-parser.js';
import type { BatchLedger } from './batch-ledger.js';
import { NodeConnection } from './node-connection.js';
import type { NodeRun, NodeRuns } from './node-runs.js';
import { Violation } from './violation.js';

/** How long a read is held at the end of the open chunk; calls that are held must survive a kill too. */
const waitMs = 20;

/** Small enough that most chunks take several reads, and that reads end within batches. */
const readBytesMax = 64 * 1024;

interface ChunkProgress {
  readonly parser: ChunkParser;
  /** How far the chunk was ever read; an earlier reading may have come further than this one. */
  seenBytes: number;
  /** From the moment at which an acknowledgement is sent, the chunk may be gone. */
  isAckSent: boolean;
}

export interface ReaderOptions {
  readonly group: string;
  /** Whether it forgets at every start of the node what it has read of chunks that it has not acknowledged. */
  readonly rereads: boolean;
}

/** Reads and acknowledges chunk by chunk, through all deaths of the node. */
export class GroupReader {
  readonly #options: ReaderOptions;
  readonly #nodes: NodeRuns;
  readonly #ledger: BatchLedger;
  readonly #connection = new NodeConnection();
  /** Those that were listed and are not acknowledged yet. */
  readonly #chunks = new Map<string, ChunkProgress>();
  readonly #acked = new Set<string>();
  #lastRun: NodeRun | undefined;
  #isDraining = false;

  constructor(options: ReaderOptions, nodes: NodeRuns, ledger: BatchLedger) {
    this.#options = options;
    this.#nodes = nodes;
    this.#ledger = ledger;
  }

  /**
   * Lets the reader end when it has read all there is. It acknowledges nothing from now on, so that there is
   * something left to verify. Every chunk must be sealed.
   */
  drain(): void {
    this.#isDraining = true;
  }

  async run(): Promise<void> {
    for (let isDone = false; !isDone; ) {
      const isLast = this.#isDraining;
      isDone = (await this.#readOnce(await this.#nodes.running)) && isLast;
    }
    this.#connection.close();
  }

  /** Reads what is there; false when the process was killed meanwhile. */
  async #readOnce(run: NodeRun): Promise<boolean> {
    const { group, rereads } = this.#options;
    const path = `/listChunks?category=logs&group=${group}`;
    const answer = await this.#connection.call(run, { method: 'GET', path });
    if (answer === undefined) return false;
    const listed = JSON.parse(answer.body.toString()) as ListedChunk[];
    this.#compare(new Map(listed.map((chunk) => [chunk.name, chunk])));
    if (rereads && run !== this.#lastRun) this.#forget();
    this.#lastRun = run;
    for (const { name } of listed) {
      if (!(await this.#readChunk(run, name))) return false;
    }
    if (listed.length === 0) await sleep(waitMs);
    return true;
  }

  /** What was read stays, until the group has acknowledged it; then it stays away. */
  #compare(listed: ReadonlyMap<string, ListedChunk>): void {
    for (const name of listed.keys()) {
      if (!this.#acked.has(name)) continue;
      throw new Violation(`${name} is listed again after ${this.#options.group} acknowledged it.`);
    }
    for (const [name, { seenBytes, isAckSent }] of this.#chunks) {
      const size = listed.get(name)?.size;
      if (size === undefined && isAckSent) this.#leave(name);
      else if ((size ?? 0) < seenBytes) {
        throw new Violation(
          `${name} has ${size ?? 'no'} bytes after ${seenBytes} of them were read.`,
        );
      }
    }
  }

  #forget(): void {
    for (const [name, progress] of this.#chunks) {
      this.#chunks.set(name, { ...progress, parser: this.#parserOf(name) });
    }
  }

  #leave(name: string): void {
    this.#chunks.delete(name);
    this.#acked.add(name);
  }

  async #readChunk(run: NodeRun, name: string): Promise<boolean> {
    const progress = this.#progressOf(name);
    const { parser } = progress;
    for (;;) {
      const path = `/read?category=logs&chunk=${name}&off=${parser.offset}&max_size=${readBytesMax}&wait_ms=${waitMs}`;
      const answer = await this.#connection.call(run, { method: 'GET', path });
      if (answer === undefined) return false;
      parser.take(answer.body);
      progress.seenBytes = Math.max(progress.seenBytes, parser.offset);
      const { 'chukcha-chunk-state': state, 'chukcha-next-offset': nextOffset } = answer.headers;
      if (Number(nextOffset) !== parser.offset) {
        throw new Violation(`${name} was read up to ${parser.offset}, not up to ${nextOffset}.`);
      }
      if (answer.body.length > 0) continue;
      if (state !== 'sealed') return true;
      parser.end();
      return this.#isDraining || this.#ack(run, name, progress);
    }
  }

  async #ack(run: NodeRun, name: string, progress: ChunkProgress): Promise<boolean> {
    progress.isAckSent = true;
    const path = `/ack?category=logs&chunk=${name}&size=${progress.parser.offset}&group=${this.#options.group}`;
    const answer = await this.#connection.call(run, { method: 'POST', path });
    if (answer !== undefined) this.#leave(name);
    return answer !== undefined;
  }

  #progressOf(name: string): ChunkProgress {
    const known = this.#chunks.get(name);
    if (known !== undefined) return known;
    const parser = this.#parserOf(name);
    const progress = { parser, seenBytes: 0, isAckSent: false };
    this.#chunks.set(name, progress);
    return progress;
  }

  #parserOf(name: string): ChunkParser {
    return new ChunkParser(name, {
      found: (batch) => this.#ledger.found(this.#options.group, batch),
      broken: (sentence) => {
        throw new Violation(sentence);
      },
    });
  }
}

import { systemClock } from '../common/clock.js';
import { SeededRandom } from '../common/seeded-random.js';
import { sleep } from '../common/wait.js';
import type { NodeProcess } from '../processes/node-process.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import type { BatchLedger, LedgerBatch, WriteKind } from './batch-ledger.js';
import { makeBatch } from './batch-lines.js';
import type { Callers } from './callers.js';

export interface WriterOptions {
  readonly name: string;
  readonly kind: WriteKind;
  readonly category: string;
  readonly nodes: readonly NodeProcess[];
  readonly callers: Callers;
  /** Which of the nodes it begins with. */
  readonly home: number;
  readonly seed: number;
  /** Is told when a batch took remarkably long. */
  readonly tell: (sentence: string) => void;
}

/** Between two batches; with it all writers together write about a megabyte a second. */
const pauseMsMax = 150;
/** Between two tries, when each node was tried once. */
const retryPauseMs = 100;
/** Longer than what a frozen node and its peers cost; what takes longer is worth to be looked at. */
const remarkableMs = 8_000;
/** How often a writer goes on at another node although nothing is wrong. */
const moveShare = 0.02;

/** Writes batch after batch; where one node does not take it, at the next one, as the same bytes with the same stamp. */
export class BatchWriter {
  readonly name: string;
  readonly kind: WriteKind;
  /** Sendings of a batch after the first one. */
  retryCount = 0;
  /** Repetitions that a node knew. */
  duplicateCount = 0;
  /** The longest time from the first sending of a batch to its 200. */
  longestMs = 0;
  /** Why it is still at its batch. */
  lastProblem = 'it was not tried yet';
  readonly #options: WriterOptions;
  readonly #ledger: BatchLedger;
  readonly #random: SeededRandom;
  readonly #stop = new AbortController();
  #batchCount = 0;
  #at: number;

  constructor(options: WriterOptions, ledger: BatchLedger) {
    this.name = options.name;
    this.kind = options.kind;
    this.#options = options;
    this.#ledger = ledger;
    this.#random = new SeededRandom(options.seed);
    this.#at = options.home;
  }

  /** Lets it bring the batch under way to its end, however long that takes; `run` resolves then. */
  stop(): void {
    this.#stop.abort();
  }

  async run(abandoned: AbortSignal): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && !abandoned.aborted) {
      await this.#writeOne(abandoned);
      if (this.#random.fraction() < moveShare) this.#goOn();
      const pauseMs = this.#random.integer(0, pauseMsMax);
      await sleep(systemClock, pauseMs, signal).catch(() => undefined);
    }
  }

  async #writeOne(abandoned: AbortSignal): Promise<void> {
    const { name, kind, category, nodes, tell } = this.#options;
    const sequence = this.#batchCount;
    this.#batchCount += 1;
    const key = `${name} ${sequence}`;
    const { bytes } = makeBatch(key, this.#random);
    const batch = this.#ledger.add(key, kind, category, bytes);
    const startMs = systemClock.monotonicMs();
    for (let tryCount = 1; !abandoned.aborted; tryCount += 1) {
      const outcome = await this.#send(batch, bytes, sequence);
      if (outcome === 'answered') break;
      if (outcome === 'refused') return;
      this.#goOn();
      if (tryCount % nodes.length === 0) await sleep(systemClock, retryPauseMs);
    }
    const tookMs = systemClock.monotonicMs() - startMs;
    this.longestMs = Math.max(this.longestMs, tookMs);
    if (tookMs < remarkableMs) return;
    tell(
      `${name} (${kind.name}) could not write for ${(tookMs / 1_000).toFixed(1)} s; ${this.lastProblem}`,
    );
  }

  async #send(
    batch: LedgerBatch,
    bytes: Buffer,
    sequence: number,
  ): Promise<'answered' | 'refused' | 'not yet'> {
    const { name, kind, callers } = this.#options;
    const node = this.#options.nodes[this.#at] as NodeProcess;
    const client = callers.client(node, 'writer');
    if (client === undefined) return 'not yet';
    if (batch.sentTo.length > 0) this.retryCount += 1;
    batch.sentTo.push(node.name);
    try {
      const receipt = await client.write(batch.category, [bytes], {
        sync: kind.sync,
        minSyncReplicas: kind.replicaCount,
        ...(kind.isStamped && { stamp: { producer: name, sequence } }),
      });
      if (receipt.duplicate) this.duplicateCount += 1;
      this.#ledger.answered(batch, receipt);
      return 'answered';
    } catch (error) {
      this.lastProblem = `${node.name}: ${errorMessage(error)}`;
      if (error instanceof ChukchaError && error.retryable) return 'not yet';
      this.#ledger.refused.add(`Batch ${batch.key} was refused by ${this.lastProblem}`);
      return 'refused';
    }
  }

  #goOn(): void {
    this.#at = (this.#at + 1) % this.#options.nodes.length;
  }
}

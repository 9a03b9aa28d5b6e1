import { setTimeout as sleep } from 'node:timers/promises';
import { headers, type WriteReceipt } from '../../src/protocol/http-api.js';
import { makeBatch } from '../../src/torture/batch-lines.js';
import { SeededRandom } from '../support/seeded-random.js';
import type { BatchLedger } from './batch-ledger.js';
import { NodeConnection } from './node-connection.js';
import type { NodeRuns } from './node-runs.js';

/** Now and then a writer has nothing to say, so that chunks also end with a kill and not with a size. */
const pauseShare = 0.1;
const pauseMsMax = 20;

export interface WriterOptions {
  readonly name: string;
  /** Stamped batches are repeated until they are answered; of plain ones nobody knows what became of them. */
  readonly isStamped: boolean;
  /** Each has one batch under way; those of a stamped writer take their sequences in turn. */
  readonly connectionCount: number;
  readonly isSync: boolean;
  readonly seed: number;
}

/** Writes batch after batch, through all deaths of the node, until it is told to stop. */
export class RoundWriter {
  readonly #options: WriterOptions;
  readonly #nodes: NodeRuns;
  readonly #ledger: BatchLedger;
  #batchCount = 0;
  #isStopping = false;

  constructor(options: WriterOptions, nodes: NodeRuns, ledger: BatchLedger) {
    this.#options = options;
    this.#nodes = nodes;
    this.#ledger = ledger;
  }

  /** Lets every connection end its batch; `run` resolves then. */
  stop(): void {
    this.#isStopping = true;
  }

  async run(): Promise<void> {
    const { connectionCount, seed } = this.#options;
    const connections = Array.from({ length: connectionCount }, (_, index) =>
      this.#writeOn(new NodeConnection(), new SeededRandom(seed + index)),
    );
    await Promise.all(connections);
  }

  async #writeOn(connection: NodeConnection, random: SeededRandom): Promise<void> {
    while (!this.#isStopping) {
      await this.#writeOne(connection, random);
      if (random.fraction() < pauseShare) await sleep(random.integer(1, pauseMsMax));
    }
    connection.close();
  }

  async #writeOne(connection: NodeConnection, random: SeededRandom): Promise<void> {
    const { name, isStamped, isSync } = this.#options;
    const sequence = this.#batchCount;
    this.#batchCount += 1;
    const key = `${name} ${sequence}`;
    const { bytes, lineCount } = makeBatch(key, random);
    const batch = this.#ledger.add(key, bytes, lineCount, isStamped);
    const call = {
      method: 'POST',
      path: `/write?category=logs&sync_each_write=${isSync}`,
      headers: {
        'content-length': bytes.length,
        ...(isStamped && { [headers.producer]: name, [headers.sequence]: sequence }),
      },
      body: bytes,
    } as const;
    do {
      const run = await this.#nodes.running;
      this.#ledger.sending(batch);
      const answer = await connection.call(run, call);
      if (answer !== undefined) {
        this.#ledger.answered(batch, JSON.parse(answer.body.toString()) as WriteReceipt);
      }
    } while (isStamped && !batch.isAnswered);
  }
}

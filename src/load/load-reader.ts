import type { Client } from '../client/client.js';
import { Consumer } from '../client/consumer.js';
import { systemClock } from '../common/clock.js';
import { parseChunkName } from '../protocol/names.js';
import { BatchChecker } from './batch-checker.js';
import type { BatchHead } from './batch-layout.js';
import { LatencyHistogram } from './latency-histogram.js';
import type { LoadRun } from './load-run.js';

/** Reads, compares and acknowledges everything that a load has written, over the consumer of the client library. */
export class LoadReader {
  /** How long the loop waited for each batch of the consumer. */
  readonly waits = new LatencyHistogram();
  readonly #run: LoadRun;
  readonly #client: Client;
  readonly #consumer: Consumer;
  /** By owner: the batches of one follow each other. */
  readonly #checkers = new Map<string, BatchChecker>();

  constructor(run: LoadRun) {
    const { place, meter } = run;
    this.#run = run;
    this.#client = place.connect(0);
    this.#consumer = new Consumer(this.#client, {
      category: place.category,
      group: place.group,
      onRetry: (error) => meter.countError(error),
    });
  }

  /** Reads until the signal aborts. Throws what no try will change. */
  async run(signal: AbortSignal): Promise<void> {
    const { meter } = this.#run;
    const stop = (): void => this.#consumer.stopReading();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    try {
      let startMs = systemClock.monotonicMs();
      for await (const { chunk, offset, bytes, ack } of this.#consumer) {
        this.waits.record(systemClock.monotonicMs() - startMs);
        this.#checkerOf(chunk).take(chunk, offset, bytes);
        ack();
        meter.read.notify();
        startMs = systemClock.monotonicMs();
      }
    } finally {
      signal.removeEventListener('abort', stop);
      this.#client.close();
    }
  }

  #checkerOf(chunk: string): BatchChecker {
    const owner = parseChunkName(chunk)?.owner ?? '';
    const known = this.#checkers.get(owner);
    if (known !== undefined) return known;
    const checker = new BatchChecker(this.#run.layout, {
      found: (head) => this.#found(owner, head),
      broken: (sentence) => this.#run.meter.countCorrupt(sentence),
    });
    this.#checkers.set(owner, checker);
    return checker;
  }

  #found(owner: string, { writer, sequence, dueMicroseconds }: BatchHead): void {
    const { ledger, layout, meter } = this.#run;
    const found = ledger.found(writer, sequence);
    if (found === 'never sent') {
      meter.countCorrupt(`Batch ${sequence} of writer ${writer} at ${owner} was never sent.`);
    }
    if (found !== 'first') return;
    meter.endToEndLatency.record(systemClock.monotonicMs() - dueMicroseconds / 1_000);
    meter.readBytes += layout.byteCount;
    meter.readMessages += layout.lineCount;
  }
}

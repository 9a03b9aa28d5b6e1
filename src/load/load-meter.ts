import { ChangeSignal } from '../common/wait.js';
import { errorCode } from '../protocol/chukcha-error.js';
import { LatencyHistogram } from './latency-histogram.js';

/** The last sentences about what went wrong that a report repeats. */
const sentenceCountMax = 5;

/** Counts what a load does, for whoever reports it. */
export class LoadMeter {
  /** Of batches that were accepted. */
  writtenBytes = 0;
  writtenMessages = 0;
  /** Of whole batches that a group has read. */
  readBytes = 0;
  readMessages = 0;
  /** From when a batch was due, or sent where nothing was due, until it was accepted. May be replaced. */
  writeLatency = new LatencyHistogram();
  /** From the same moment until a reader has the whole batch. May be replaced. */
  endToEndLatency = new LatencyHistogram();
  corruptCount = 0;
  readonly corruptSentences: string[] = [];
  /** Are notified of everything that was accepted, and that was read. */
  readonly written = new ChangeSignal();
  readonly read = new ChangeSignal();
  readonly #errors = new Map<string, number>();

  /** Bytes that were accepted and not read yet. */
  get backlogBytes(): number {
    return Math.max(0, this.writtenBytes - this.readBytes);
  }

  /** By code: tries that failed. Most were made again. */
  get errors(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#errors);
  }

  countError(error: unknown): void {
    const code = errorCode(error) ?? 'unknown';
    this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1);
  }

  countCorrupt(sentence: string): void {
    this.corruptCount += 1;
    if (this.corruptSentences.length < sentenceCountMax) this.corruptSentences.push(sentence);
  }
}

import type { OutputSuite, OutputTarget } from '../../src/conformance/index.js';
import {
  type CheckStep,
  type Output,
  type OutputBatch,
  PluginError,
  type WriteOutcome,
} from '../../src/index.js';

/** A way to break a rule of the contract. */
export type OutputFault =
  | 'keeps_bytes'
  | 'resolves_early'
  | 'loses_order'
  | 'throws_at_second_close'
  | 'bears_one_at_a_time'
  | 'repeats'
  | 'knows_bytes_not_places'
  | 'takes_bad'
  | 'blames_others'
  | 'gives_up'
  | 'ignores_only'
  | 'writes_at_check'
  | 'checks_nothing';

const NEWLINE = 0x0a;

const badMessage = Buffer.from('bad\n');

/** A target in memory that knows tokens, refuses one message for ever, and others when it is told to. */
class MemoryTarget implements OutputTarget {
  readonly #fault: OutputFault | undefined;
  readonly #pieces: Uint8Array[] = [];
  readonly #tokens = new Set<string>();
  #isAway = false;
  #refused: readonly number[] = [];

  constructor(fault: OutputFault | undefined) {
    this.#fault = fault;
  }

  async open(): Promise<Output> {
    let isClosed = false;
    let writeCount = 0;
    return {
      isIdempotent: true,
      batching: { inFlightMax: 4 },
      write: async (batch) => {
        writeCount += 1;
        if (writeCount > 1 && this.#fault === 'bears_one_at_a_time') throw new Error('busy');
        await Promise.resolve();
        writeCount -= 1;
        return this.#write(batch);
      },
      close: async () => {
        if (isClosed && this.#fault === 'throws_at_second_close') throw new Error('closed');
        isClosed = true;
      },
    };
  }

  #write({ bytes, token, only }: OutputBatch): WriteOutcome | undefined {
    if (this.#isAway) {
      throw new PluginError(this.#fault === 'gives_up' ? 'data' : 'transient', 'It is away.');
    }
    const name = this.#fault === 'knows_bytes_not_places' ? Buffer.from(bytes).toString() : token;
    if (only === undefined && this.#tokens.has(name) && this.#fault !== 'repeats') return undefined;
    this.#tokens.add(name);
    const refused = this.#refused;
    this.#refused = [];
    const lines = splitLines(bytes);
    const bad =
      this.#fault === 'takes_bad' ? -1 : lines.findIndex((line) => line.equals(badMessage));
    const wanted = this.#fault === 'ignores_only' ? undefined : only;
    const isKept = (index: number): boolean =>
      index !== bad && !refused.includes(index) && (wanted?.includes(index) ?? true);
    // As one piece where that can be, so that a fault that keeps the bytes keeps those of the batch.
    if (lines.every((_, index) => isKept(index))) this.#take(bytes);
    else for (const [index, line] of lines.entries()) if (isKept(index)) this.#take(line);
    const blamed = this.#fault === 'blames_others' ? 0 : bad;
    const failures = [
      ...(bad === -1 ? [] : [{ index: blamed, reason: 'It is bad.' }]),
      ...refused.map((index) => ({ index, reason: 'Busy.', kind: 'transient' as const })),
    ];
    return failures.length === 0 ? undefined : { failures };
  }

  #take(bytes: Uint8Array): void {
    const copy = this.#fault === 'keeps_bytes' ? bytes : Buffer.from(bytes);
    if (this.#fault === 'resolves_early') setImmediate(() => this.#pieces.push(copy));
    else if (this.#fault === 'loses_order') this.#pieces.unshift(copy);
    else this.#pieces.push(copy);
  }

  async *check(): AsyncGenerator<CheckStep> {
    if (this.#fault === 'checks_nothing') return;
    if (this.#fault === 'writes_at_check') this.#take(Buffer.from('test\n'));
    yield { name: 'reachable', result: 'ok', detail: 'It is in memory.' };
  }

  async interrupt(): Promise<void> {
    this.#isAway = true;
  }

  async restore(): Promise<void> {
    this.#isAway = false;
  }

  async refuseOnce(indexes: readonly number[]): Promise<void> {
    this.#refused = indexes;
  }

  async received(): Promise<Uint8Array> {
    return Buffer.concat(this.#pieces);
  }

  async close(): Promise<void> {}
}

/** The messages of a batch, each with its newline. */
function splitLines(bytes: Uint8Array): Buffer[] {
  const all = Buffer.from(bytes);
  const lines: Buffer[] = [];
  for (let start = 0; start < all.length; ) {
    const end = all.indexOf(NEWLINE, start) + 1;
    lines.push(all.subarray(start, end));
    start = end;
  }
  return lines;
}

/** The suite of the output, whole or with a fault. */
export function memorySuite(fault?: OutputFault): OutputSuite {
  return {
    isIdempotent: true,
    interrupts: true,
    refuses: true,
    checks: true,
    badMessage,
    createTarget: async () => new MemoryTarget(fault),
  };
}

import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Input, InputBatch, JsonValue, PluginLog, PluginState } from '@chukcha/plugin-api';
import { createMemoryState, createTestContext, soon } from '@chukcha/plugin-api/conformance';
import { openInput, type RunOptions } from './file-run.js';

/** A bus as a host sees it, for tests: it knows writes that come again, and counts lines that do. */
class TestBus {
  /** How often each line came, in the order of the first time. */
  readonly lines = new Map<string, number>();
  /** Lines by the place that they say to have: generation and offset. */
  readonly #places = new Map<string, string>();
  readonly #writes = new Map<string, Buffer>();

  /** Takes a batch; one of a range that came before has to have the same bytes, and is not stored again. */
  write(range: string, batch: InputBatch): void {
    const bytes = Buffer.from(batch.bytes);
    const before = this.#writes.get(range);
    if (before !== undefined) {
      if (!before.equals(bytes)) throw new Error(`Other bytes for the range ${range}.`);
      return;
    }
    this.#writes.set(range, bytes);
    let at = batch.origin?.offset ?? Number.NaN;
    for (const line of bytes.toString().split('\n').slice(0, -1)) {
      this.lines.set(line, (this.lines.get(line) ?? 0) + 1);
      const place = `${batch.origin?.id}/${at}`;
      const other = this.#places.get(place);
      if (other !== undefined && other !== line) {
        throw new Error(`Two lines at ${place}: ${JSON.stringify([other, line])}.`);
      }
      this.#places.set(place, line);
      at += Buffer.byteLength(line) + 1;
    }
  }

  get duplicates(): string[] {
    return [...this.lines].filter(([, count]) => count > 1).map(([line]) => line);
  }
}

/** How often it is waited for the lines that are missing, as long as `soon` does each time. */
const catchUpWaitCountMax = 4;

/** How many looks in a row show no file that has more, and how many are taken at most. */
const quietLookCount = 2;
const quietLookCountMax = 500;

const busyStates: ReadonlySet<string> = new Set(['reading', 'waiting', 'failed']);

interface Taken {
  readonly range: string;
  readonly batch: InputBatch;
  isSent: boolean;
}

/** What is left of a run that was killed. */
interface Killed {
  readonly input: Input;
  readonly abort: AbortController;
  readonly reading: Promise<void>;
}

/** What a host keeps over a kill. */
interface Memory {
  state: PluginState;
  /** Ranges that were taken and whose outcome it did not learn. */
  ranges: string[];
}

/**
 * A host for tests that does with ranges what the contract says. It settles batches late and in any order, and may
 * be killed at any moment: what was not settled is forgotten but for its range, whether the bus has it or not.
 */
export class RangeHost {
  readonly bus = new TestBus();
  /** True while batches are taken and not settled. */
  isHolding = false;
  readonly #options: RunOptions;
  readonly #random: (below: number) => number;
  readonly #memory: Memory = { state: createMemoryState(), ranges: [] };
  /** What happened, in its order, to look into a history that failed. */
  readonly trace: string[] = [];
  #run: Run | undefined;
  /** Inputs of killed runs, which have to be closed for the sake of the test's process alone. */
  readonly #killed: Killed[] = [];

  constructor(options: RunOptions, random: (below: number) => number) {
    this.#options = options;
    this.#random = random;
  }

  get state(): PluginState {
    return this.#memory.state;
  }

  note(text: string): void {
    this.trace.push(`${performance.now().toFixed(1)} ${text}`);
  }

  async start(): Promise<void> {
    const { state } = this.#memory;
    const input = await openInput(
      this.#options,
      createTestContext({
        state,
        log: this.#createLog(),
      }),
    );
    this.#run = new Run(this, input, this.#memory, this.#random);
    await this.#run.replay();
    this.#run.begin();
  }

  /** Resolves when the bus has all lines, and all that was taken is settled. */
  async catchUp(lines: ReadonlySet<string>): Promise<void> {
    const missing = (): string[] => [...lines].filter((line) => !this.bus.lines.has(line));
    const run = this.#run as Run;
    const settled = run.settleUntil(() => missing().length === 0);
    for (let waitCount = 1; ; waitCount += 1) {
      try {
        await soon(settled, 'all lines');
        return;
      } catch (cause) {
        // On a busy machine many histories together may take long; what is lost does not come in any time.
        if (waitCount < catchUpWaitCountMax) continue;
        const some = missing().map((line) => line.slice(0, 10));
        throw new Error(`Missing ${some.length}: ${some.slice(0, 5).join(', ')}.`, { cause });
      }
    }
  }

  /**
   * Resolves when the input has looked at everything and says of every file that it was read: lines that come twice may come
   * when all lines are there.
   */
  async quiet(): Promise<void> {
    const run = this.#run as Run;
    for (let quietCount = 0, lookCount = 0; quietCount < quietLookCount; lookCount += 1) {
      await sleep(2 * (this.#options.pollIntervalMs ?? 0));
      await run.settleUntil(() => true);
      const restless = await run.restless();
      quietCount = restless.length === 0 ? quietCount + 1 : 0;
      if (lookCount > quietLookCountMax) throw new Error(`Not quiet: ${restless.join(', ')}.`);
    }
  }

  /** Resolves when a batch was taken that is not settled. */
  async whenHolding(): Promise<void> {
    await soon((this.#run as Run).whenTaken(), 'a batch');
  }

  async stop(): Promise<void> {
    await this.#run?.stop();
    this.#run = undefined;
  }

  /** Sends some of what was taken, and learns of nothing any more. */
  async kill(): Promise<void> {
    const run = this.#run;
    if (run === undefined) return;
    this.#run = undefined;
    this.#memory.state = createMemoryState(this.#memory.state.entries());
    this.#killed.push(run.abandon());
  }

  async close(): Promise<void> {
    await this.stop();
    for (const { input, abort, reading } of this.#killed) {
      abort.abort();
      await reading;
      await input.close();
    }
  }

  #createLog(): PluginLog {
    const write = (sentence: string, fields = {}): void => {
      this.note(`${sentence} ${JSON.stringify(fields)}`);
    };
    return { debug: write, info: write, warn: write, error: write };
  }
}

class Run {
  readonly #host: RangeHost;
  readonly #input: Input;
  readonly #memory: Memory;
  readonly #random: (below: number) => number;
  readonly #abort = new AbortController();
  readonly #taken: Taken[] = [];
  #reading: Promise<void> = Promise.resolve();
  #isAbandoned = false;
  #failure: unknown;
  #onChange: () => void = () => undefined;

  constructor(host: RangeHost, input: Input, memory: Memory, random: (below: number) => number) {
    this.#host = host;
    this.#input = input;
    this.#memory = memory;
    this.#random = random;
  }

  /** Sends again what may have been sent by the run before. */
  async replay(): Promise<void> {
    const ranges = this.#memory.ranges.splice(0);
    if (ranges.length === 0 || this.#input.replay === undefined) return;
    const parsed = ranges.map((range) => JSON.parse(range) as JsonValue);
    let index = 0;
    for await (const batch of this.#input.replay(parsed, this.#abort.signal)) {
      const range = ranges[index] as string;
      index += 1;
      if (batch === undefined) continue;
      if (JSON.stringify(batch.range) !== range) throw new Error(`Another range than ${range}.`);
      this.#take(batch);
    }
    if (index !== ranges.length) throw new Error(`${index} answers for ${ranges.length} ranges.`);
  }

  begin(): void {
    this.#reading = this.#read();
    this.#reading.catch((error: unknown) => {
      this.#failure = error;
      this.#onChange();
    });
  }

  async settleUntil(isDone: () => boolean): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (await this.#settleOne()) continue;
      if (isDone()) return;
      // What came while that was found out is not told again.
      if (this.#taken.length === 0 && this.#failure === undefined) await this.#nextChange();
    }
  }

  /** The files that the input is not done with, and why. */
  async restless(): Promise<string[]> {
    const reports = (await this.#input.explain?.()) ?? [];
    return (
      reports
        // A glob waits too.
        .filter(({ source, state }) => busyStates.has(state) && existsSync(source))
        .map(({ source, state }) => `${source} ${state}`)
    );
  }

  async whenTaken(): Promise<void> {
    while (this.#taken.length === 0) {
      if (this.#failure !== undefined) throw this.#failure;
      await this.#nextChange();
    }
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await soon(this.#reading, 'the end');
    while (await this.#settleOne());
    await this.#input.close();
  }

  abandon(): Killed {
    this.#isAbandoned = true;
    for (const taken of this.#taken) {
      if (this.#random(2) === 0) this.#send(taken);
    }
    return { input: this.#input, abort: this.#abort, reading: this.#reading };
  }

  async #read(): Promise<void> {
    for await (const batch of this.#input.batches(this.#abort.signal)) {
      if (this.#isAbandoned) return;
      this.#take(batch);
      if (!this.#host.isHolding && this.#random(3) === 0) await this.#settleOne();
      // Of a run that was killed nothing moves any more.
      if (this.#isAbandoned) return;
    }
  }

  #take(batch: InputBatch): void {
    const range = JSON.stringify(batch.range);
    if (Buffer.byteLength(range) > 4096) throw new Error(`A range of ${range.length} bytes.`);
    this.#memory.ranges.push(range);
    const [firstLine = ''] = batch.bytes.toString().split('\n', 1);
    this.#host.note(`batch ${batch.origin?.source} ${range} ${firstLine.slice(0, 10)}`);
    this.#taken.push({ range, batch, isSent: false });
    this.#onChange();
  }

  #send(taken: Taken): void {
    taken.isSent = true;
    this.#host.bus.write(taken.range, taken.batch);
  }

  /** Sends and acknowledges any of the batches that wait; tells whether there was one. */
  async #settleOne(): Promise<boolean> {
    if (this.#isAbandoned) return false;
    const taken = this.#taken.splice(this.#random(this.#taken.length), 1)[0];
    if (taken === undefined) return false;
    this.#send(taken);
    this.#memory.ranges.splice(this.#memory.ranges.indexOf(taken.range), 1);
    await taken.batch.ack();
    this.#onChange();
    return true;
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#onChange = resolve;
    });
  }
}

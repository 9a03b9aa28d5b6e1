import type { Input, InputBatch, InputContext } from '@chukcha/plugin-api';
import {
  createTestContext,
  createTestLog,
  soon,
  type TestLog,
} from '@chukcha/plugin-api/conformance';
import { open } from '../../src/file-input.js';
import { plugin } from '../../src/index.js';

export interface RunOptions {
  readonly paths: readonly string[];
  readonly exclude?: readonly string[];
  readonly readFrom?: 'beginning' | 'end';
  readonly pollIntervalMs?: number;
  readonly blockBytes?: number;
  /** Options of the schema that have other values than their defaults. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** Opens the input with short polls; the other options have the defaults of the schema. */
export function openInput(options: RunOptions, context: InputContext): Promise<Input> {
  const defaults = Object.entries(plugin.options.properties)
    .map(([name, option]) => [name, option.default] as const)
    .filter(([, value]) => value !== undefined);
  const rawOptions = {
    ...Object.fromEntries(defaults),
    paths: options.paths,
    exclude: options.exclude ?? [],
    read_from: options.readFrom ?? 'beginning',
    poll_interval_ms: options.pollIntervalMs ?? 10,
    block_bytes: options.blockBytes ?? 1024 * 1024,
    ...options.more,
  };
  return open(rawOptions, context);
}

/** A run of the input whose batches are all acknowledged as they come. */
export class FileRun {
  /** Everything that was yielded. */
  text = '';
  readonly log: TestLog;
  readonly #input: Input;
  readonly #abort = new AbortController();
  readonly #reading: Promise<void>;
  #onChange: () => void = () => undefined;
  #failure: unknown;

  private constructor(input: Input, log: TestLog) {
    this.#input = input;
    this.log = log;
    this.#reading = this.#read();
    this.#reading.catch((error: unknown) => {
      this.#failure = error;
      this.#onChange();
    });
  }

  static async start(options: RunOptions, context: Partial<InputContext> = {}): Promise<FileRun> {
    const log = createTestLog();
    return new FileRun(await openInput(options, createTestContext({ log, ...context })), log);
  }

  /** Resolves with all text once it has as many characters as the expected one. */
  async waitFor(expected: string): Promise<string> {
    await soon(this.#whenLong(expected.length), `${expected.length} characters`);
    return this.text;
  }

  /** Resolves when the input has ended by itself. */
  end(): Promise<void> {
    return soon(this.#reading, 'the end of the input');
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.end();
    await this.close();
  }

  close(): Promise<void> {
    return soon(this.#input.close(), 'close to resolve');
  }

  async #read(): Promise<void> {
    for await (const batch of this.#input.batches(this.#abort.signal)) {
      this.text += Buffer.from(batch.bytes).toString('latin1');
      await batch.ack();
      this.#onChange();
    }
  }

  async #whenLong(length: number): Promise<void> {
    while (this.text.length < length) {
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#onChange = resolve;
      });
    }
  }
}

/** Takes batches one by one, so that a test can settle them as it likes. */
export function takeBatches(input: Input) {
  const abort = new AbortController();
  const iterator = input.batches(abort.signal)[Symbol.asyncIterator]();
  const next = async (): Promise<InputBatch | undefined> => {
    const result = await soon(iterator.next(), 'a batch or the end');
    return result.done === true ? undefined : result.value;
  };
  return { abort, iterator, next };
}

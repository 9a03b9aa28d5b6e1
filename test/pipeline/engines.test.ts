import { join } from 'node:path';
import {
  type Input,
  type InputBatch,
  type JsonValue,
  type Output,
  type OutputBatch,
  PluginError,
  type WriteOutcome,
} from '@chukcha/plugin-api';
import t, { type Test } from 'tap';
import { ChukchaError, Client, Consumer } from '../../src/index.js';
import { LineFormatter } from '../../src/pipeline/line-formatter.js';
import { Shipper, type ShipperOptions, type ShipTotals } from '../../src/pipeline/shipper.js';
import { Sink, type SinkOptions } from '../../src/pipeline/sink.js';
import { StateJournal } from '../../src/pipeline/state-journal.js';
import { nodeDisk } from '../../src/storage/node-disk.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { testDirectory } from '../support/test-directory.js';
import { listenAddress, startTestNode } from '../support/test-node.js';

const never = new AbortController().signal;

/** An input that gives what the test has put into it and keeps what became of it. */
class ListInput implements Input {
  readonly fates: string[] = [];
  /** Resolves when everything was given. */
  readonly given: Promise<void>;
  #noteGiven: () => void = () => undefined;
  readonly #lines: readonly string[];
  readonly #onEnd: 'end' | 'wait' | Error;

  constructor(lines: readonly string[], onEnd: 'end' | 'wait' | Error = 'end') {
    this.#lines = lines;
    this.#onEnd = onEnd;
    this.given = new Promise((resolve) => {
      this.#noteGiven = resolve;
    });
  }

  async *batches(signal: AbortSignal): AsyncGenerator<InputBatch> {
    for (const line of this.#lines) {
      if (signal.aborted) return;
      yield {
        bytes: Buffer.from(line),
        ack: async () => void this.fates.push(`ack ${line.trim()}`),
        nack: async () => void this.fates.push(`nack ${line.trim()}`),
      };
    }
    this.#noteGiven();
    if (this.#onEnd instanceof Error) throw this.#onEnd;
    if (signal.aborted || this.#onEnd === 'end') return;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  }

  async close(): Promise<void> {}
}

/** An output that does what the test says for each call. */
class ScriptedOutput implements Output {
  readonly calls: { readonly token: string; readonly text: string }[] = [];
  readonly #script: (text: string, callCount: number) => WriteOutcome | undefined;

  constructor(
    script: (text: string, callCount: number) => WriteOutcome | undefined = () => undefined,
  ) {
    this.#script = script;
  }

  async write(batch: OutputBatch): Promise<WriteOutcome | undefined> {
    const text = Buffer.from(batch.bytes).toString();
    this.calls.push({ token: batch.token, text });
    return this.#script(text, this.calls.length);
  }

  async close(): Promise<void> {}
}

async function startBed(t: Test): Promise<{
  client: Client;
  directory: string;
  restart: () => Promise<void>;
  stop: () => Promise<void>;
}> {
  const directory = testDirectory(t);
  let node = await startTestNode(join(directory, 'data'), { 'max-chunk-size': 1 });
  const listen = listenAddress(node);
  const client = new Client({ server: node.url });
  t.teardown(async () => {
    client.close();
    await node.close();
  });
  const restart = async (): Promise<void> => {
    node = await startTestNode(join(directory, 'data'), { 'max-chunk-size': 1, listen });
  };
  return { client, directory, restart, stop: () => node.close() };
}

let stateCount = 0;

/** Runs an input into the bus, with the state of this name in the directory of the test. */
async function ship(
  { client, directory }: { client: Client; directory: string },
  input: Input,
  options: Partial<ShipperOptions> & { state?: string; signal?: AbortSignal } = {},
): Promise<ShipTotals> {
  const { state: name = `state-${stateCount++}`, signal = never, ...rest } = options;
  const state = await StateJournal.open(nodeDisk, join(directory, name));
  const formatter = new LineFormatter({
    formats: new Map(),
    host: 'h1',
    sourceDefault: 'list',
    sourceIdDefault: 'run1',
    messageBytesMax: 1024 * 1024,
  });
  const log = new RecordingLogger();
  const shipper = new Shipper(
    input,
    { category: 'logs', lingerMs: 0, ...rest },
    { client, state, formatter, log },
  );
  await shipper.run(signal).finally(() => state.close());
  return shipper.totals;
}

async function readAll(client: Client): Promise<string> {
  let text = '';
  for await (const batch of new Consumer(client, {
    category: 'logs',
    acknowledge: false,
    untilEnd: true,
  })) {
    text += batch.bytes.toString();
    batch.ack();
  }
  return text;
}

t.test('a shipper acknowledges to its input what the bus has accepted', async (t) => {
  const bed = await startBed(t);
  const input = new ListInput(['a\n', 'b\nc\n']);
  const totals = await ship(bed, input);
  t.same(input.fates, ['ack a', 'ack b\nc']);
  t.same(totals, { readBytes: 6, acceptedBytes: 6 });
  t.equal(await readAll(bed.client), 'a\nb\nc\n');
});

t.test(
  'a batch that the bus refuses for good stops the shipper and is not acknowledged',
  async (t) => {
    const bed = await startBed(t);
    const input = new ListInput(['a\n', 'torn', 'b\n'], 'wait');
    await t.rejects(ship(bed, input), { code: 'batch_unterminated' });
    t.same(input.fates.includes('nack torn'), true);
    t.same(input.fates.includes('ack torn'), false);
  },
);

t.test('an input that fails ends the shipper after what was read is accepted', async (t) => {
  const bed = await startBed(t);
  const input = new ListInput(['a\n'], new PluginError('operator', 'The source is gone.'));
  await t.rejects(ship(bed, input), { message: 'The source is gone.' });
  t.same(input.fates, ['ack a']);
  t.equal(await readAll(bed.client), 'a\n');
});

t.test('a stop drains what was read, also while the node is away for a moment', async (t) => {
  const bed = await startBed(t);
  await bed.stop();
  const input = new ListInput(['a\n', 'b\n'], 'wait');
  const controller = new AbortController();
  const running = ship(bed, input, { signal: controller.signal });
  await input.given;
  controller.abort();
  await bed.restart();
  await running;
  t.same(input.fates, ['ack a', 'ack b']);
});

t.test('a stop ends although the node stays away, and says what was not accepted', async (t) => {
  const bed = await startBed(t);
  await bed.stop();
  const input = new ListInput(['a\n'], 'wait');
  const controller = new AbortController();
  const running = ship(bed, input, { drainMs: 50, signal: controller.signal });
  await input.given;
  controller.abort();
  await t.rejects(running, {
    code: 'not_accepted',
    message: /2 bytes were read but not accepted within 50 ms/,
  });
  t.same(input.fates, ['nack a']);
});

/** An input whose lines can be given again; it keeps in a list of its own what was acknowledged. */
class LastingInput implements Input {
  readonly replayed: string[] = [];
  readonly #lines: readonly string[];
  readonly #accepted: Set<number>;
  readonly #missing: ReadonlySet<number>;

  constructor(lines: readonly string[], accepted: Set<number>, missing: readonly number[] = []) {
    this.#lines = lines;
    this.#accepted = accepted;
    this.#missing = new Set(missing);
  }

  async *replay(ranges: readonly JsonValue[]): AsyncGenerator<InputBatch | undefined> {
    for (const range of ranges) {
      const at = range as number;
      if (this.#missing.has(at)) {
        yield undefined;
      } else {
        this.replayed.push((this.#lines[at] ?? '').trim());
        yield this.#batch(at);
      }
    }
    for (const range of ranges) this.#accepted.add(range as number);
  }

  async *batches(): AsyncGenerator<InputBatch> {
    for (const at of this.#lines.keys()) if (!this.#accepted.has(at)) yield this.#batch(at);
  }

  async close(): Promise<void> {}

  #batch(at: number): InputBatch {
    return {
      bytes: Buffer.from(this.#lines[at] ?? ''),
      range: at,
      ack: async () => void this.#accepted.add(at),
      nack: async () => {},
    };
  }
}

/** A client whose next answers get lost: the node has stored the batch. */
function withoutAnswers(client: Client): Client {
  return new Proxy(client, {
    get: (target, name) => {
      if (name === 'write') {
        return async (...args: Parameters<Client['write']>) => {
          await target.write(...args);
          throw new ChukchaError('timeout', 'The answer is lost.');
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

t.test('what was under way when a shipper was killed is stored once', async (t) => {
  const bed = await startBed(t);
  const accepted = new Set<number>();
  const lines = ['a\n', 'b\n', 'c\n'];
  const lossy = { ...bed, client: withoutAnswers(bed.client) };
  await t.rejects(
    ship(lossy, new LastingInput(lines, accepted), { state: 's', giveUpAfterMs: 0, lingerMs: 20 }),
  );
  t.same([...accepted], [], 'nothing was accepted as far as the shipper knows');
  t.equal(await readAll(bed.client), 'a\nb\nc\n');
  const input = new LastingInput([...lines, 'd\n'], accepted);
  await ship(bed, input, { state: 's' });
  t.same(input.replayed, ['a', 'b', 'c']);
  t.equal(await readAll(bed.client), 'a\nb\nc\nd\n');
  const later = new LastingInput([...lines, 'd\n', 'e\n'], accepted);
  await ship(bed, later, { state: 's' });
  t.same(later.replayed, [], 'what is accepted is not repeated');
  t.equal(await readAll(bed.client), 'a\nb\nc\nd\ne\n');
});

t.test('what cannot be read again does not keep the rest from coming', async (t) => {
  const bed = await startBed(t);
  const accepted = new Set<number>();
  const lossy = { ...bed, client: withoutAnswers(bed.client) };
  const lines = ['a\n', 'b\n'];
  await t.rejects(
    ship(lossy, new LastingInput(lines, accepted), { state: 's', giveUpAfterMs: 0, lingerMs: 20 }),
  );
  await ship(bed, new LastingInput(lines, accepted, [0]), { state: 's' });
  t.equal(await readAll(bed.client), 'a\nb\nb\n', 'what may be there comes twice rather than not');
});

t.test('a batch that its client names is stored once, and by itself', async (t) => {
  const bed = await startBed(t);
  for (let round = 0; round < 2; round += 1) {
    const named: Input = {
      async *batches() {
        for (const text of ['x\n', 'y\n', 'z\n']) {
          const bytes = Buffer.from(text);
          const batch = { bytes, ack: async () => {}, nack: async () => {} };
          yield text === 'y\n' ? { ...batch, idempotencyKey: 'order.7' } : batch;
        }
      },
      close: async () => {},
    };
    await ship(bed, named, { lingerMs: 20 });
  }
  t.equal(await readAll(bed.client), 'x\ny\nz\nx\nz\n');
});

async function runSink(
  t: Test,
  output: Output,
  bed: { client: Client; directory: string },
  options: Partial<SinkOptions> = {},
): Promise<void> {
  const state = await StateJournal.open(nodeDisk, join(bed.directory, 'state.journal'));
  const sink = new Sink(output, bed.client, state, {
    category: 'logs',
    group: 'default',
    once: true,
    ...options,
  });
  await sink.run(never, 'end').finally(() => state.close());
  t.ok(sink.totals.deliveredBytes >= 0);
}

async function writeLines(client: Client, lines: readonly string[]): Promise<void> {
  for (const line of lines) await client.write('logs', [Buffer.from(line)]);
}

t.test(
  'a sink sends a batch that failed again, as the same bytes with the same token',
  async (t) => {
    const bed = await startBed(t);
    await writeLines(bed.client, ['a\n', 'b\n']);
    const output = new ScriptedOutput((_text, callCount) => {
      if (callCount <= 2) throw new Error('the target is busy');
      return undefined;
    });
    const problems: string[] = [];
    await runSink(t, output, bed, {
      onOutputRetry: (error) => problems.push((error as Error).message),
    });
    t.same(
      output.calls.map((call) => call.text),
      ['a\n', 'a\n', 'a\n', 'b\n'],
    );
    t.equal(new Set(output.calls.slice(0, 3).map((call) => call.token)).size, 1);
    t.equal(output.calls[0]?.token, 'logs/node1-chunk000000000/0-2');
    t.same(problems, ['the target is busy', 'the target is busy']);
    const later = new ScriptedOutput();
    await runSink(t, later, bed);
    t.same(later.calls, [], 'the next run has nothing to deliver');
  },
);

t.test('messages that the target will never take stop the sink in front of them', async (t) => {
  const bed = await startBed(t);
  await writeLines(bed.client, ['a\n', 'bad\n', 'c\n']);
  const picky = new ScriptedOutput((text) =>
    text === 'bad\n' ? { failures: [{ index: 0, reason: 'It is no JSON.' }] } : undefined,
  );
  await t.rejects(runSink(t, picky, bed), {
    code: 'output_failed',
    message: /number 0 of the batch: It is no JSON/,
  });
  const refusing = new ScriptedOutput(() => {
    throw new PluginError('data', 'No such column.');
  });
  await t.rejects(runSink(t, refusing, bed), { code: 'output_failed', message: /No such column/ });
  t.same(
    refusing.calls.map((call) => call.text),
    ['bad\n'],
    'it begins with the one that failed',
  );
  const output = new ScriptedOutput();
  await runSink(t, output, bed);
  t.same(
    output.calls.map((call) => call.text),
    ['bad\n', 'c\n'],
  );
});

t.test(
  'a target that wants no more ends the sink quietly, and the rest comes the next time',
  async (t) => {
    const bed = await startBed(t);
    await writeLines(bed.client, ['a\n', 'b\n', 'c\n']);
    const closing = new ScriptedOutput((_text, callCount) => {
      if (callCount === 2) throw new PluginError('closed', 'The pipe is closed.');
      return undefined;
    });
    await runSink(t, closing, bed);
    const output = new ScriptedOutput();
    await runSink(t, output, bed);
    t.same(
      output.calls.map((call) => call.text),
      ['b\n', 'c\n'],
    );
  },
);

t.test('what only a person can mend ends a sink that runs once', async (t) => {
  const bed = await startBed(t);
  await writeLines(bed.client, ['a\n']);
  const output = new ScriptedOutput(() => {
    throw new PluginError('operator', 'The password is wrong: set another one.');
  });
  await t.rejects(runSink(t, output, bed), {
    code: 'output_failed',
    message: /The password is wrong/,
  });
});

t.test('a state that is no position is refused', async (t) => {
  const bed = await startBed(t);
  const state = await StateJournal.open(nodeDisk, join(bed.directory, 'state.journal'));
  await state.set('sink/position', { owners: 7 });
  await state.close();
  await t.rejects(runSink(t, new ScriptedOutput(), bed), {
    code: 'directory_invalid',
    message: /position/,
  });
});

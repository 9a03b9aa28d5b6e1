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
import { DeadLetterParser } from '../../src/pipeline/dead-letter.js';
import { createLineFormat } from '../../src/pipeline/formats/create-line-format.js';
import { LineFormatter } from '../../src/pipeline/line-formatter.js';
import { Shipper, type ShipperOptions, type ShipTotals } from '../../src/pipeline/shipper.js';
import { Sink } from '../../src/pipeline/sink.js';
import type { SinkOptions, SinkTotals } from '../../src/pipeline/sink-options.js';
import { StateJournal } from '../../src/pipeline/state-journal.js';
import { nodeDisk } from '../../src/storage/node-disk.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { testDirectory } from '../support/test-directory.js';
import { listenAddress, startTestNode } from '../support/test-node.js';
import { startServer } from '../support/test-server.js';
import { until } from '../support/until.js';

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
  readonly calls: {
    readonly token: string;
    readonly text: string;
    readonly only: readonly number[] | undefined;
  }[] = [];
  readonly #script: (text: string, callCount: number) => WriteOutcome | undefined;

  constructor(
    script: (text: string, callCount: number) => WriteOutcome | undefined = () => undefined,
  ) {
    this.#script = script;
  }

  async write(batch: OutputBatch): Promise<WriteOutcome | undefined> {
    const text = Buffer.from(batch.bytes).toString();
    this.calls.push({ token: batch.token, text, only: batch.only });
    return this.#script(text, this.calls.length);
  }

  async close(): Promise<void> {}
}

async function startBed(
  t: Test,
  chunkBytesMax = 1,
): Promise<{
  client: Client;
  directory: string;
  restart: () => Promise<void>;
  stop: () => Promise<void>;
}> {
  const directory = testDirectory(t);
  let node = await startTestNode(join(directory, 'data'), { 'max-chunk-size': chunkBytesMax });
  const listen = listenAddress(node);
  const client = new Client({ server: node.url });
  t.teardown(async () => {
    client.close();
    await node.close();
  });
  const restart = async (): Promise<void> => {
    node = await startTestNode(join(directory, 'data'), {
      'max-chunk-size': chunkBytesMax,
      listen,
    });
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
    formats: new Map([['envelope', await createLineFormat('envelope')]]),
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

async function readAll(client: Client, category = 'logs'): Promise<string> {
  let text = '';
  for await (const batch of new Consumer(client, {
    category,
    acknowledge: false,
    group: 'onlooker',
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
  t.same(totals, {
    readBytes: 6,
    acceptedBytes: 6,
    acceptedMessages: 3,
    duplicateWrites: 0,
  });
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
      origin: { source: '/a.log', id: 'gen1', offset: this.#lines.slice(0, at).join('').length },
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

t.test('a format gives the same messages again, with the same ids and time', async (t) => {
  const bed = await startBed(t);
  const accepted = new Set<number>();
  const lines = ['a\nb\n', 'c\n'];
  const lossy = { ...bed, client: withoutAnswers(bed.client) };
  const options = { state: 's', giveUpAfterMs: 0, lingerMs: 20, format: 'envelope' as const };
  await t.rejects(ship(lossy, new LastingInput(lines, accepted), options));
  await ship(bed, new LastingInput([...lines, 'd\n'], accepted), options);
  const messages = (await readAll(bed.client)).split('\n').slice(0, -1);
  t.same(
    messages.map((line) => JSON.parse(line)),
    ['a', 'b', 'c', 'd'].map((message, at) => {
      const { time } = JSON.parse(messages[at] ?? '{}') as { time: string };
      return { id: `gen1-${2 * at}`, time, host: 'h1', source: '/a.log', message };
    }),
  );
});

t.test('what a format makes larger than a write goes into several', async (t) => {
  const bed = await startBed(t);
  const input = new ListInput(['x\n'.repeat(20_000)]);
  const totals = await ship(bed, input, { format: 'envelope', batchBytesMax: 1024 * 1024 });
  t.same(input.fates.length, 1);
  t.match(totals, { readBytes: 40_000, acceptedBytes: 40_000, duplicateWrites: 0 });
  const ids = (await readAll(bed.client)).split('\n').slice(0, -1);
  t.equal(ids.length, 20_000);
  t.equal((JSON.parse(ids.at(-1) ?? '') as { id: string }).id, 'run1-39998');
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

t.test('a client that gives two batches one key is told so, and the others go on', async (t) => {
  const bed = await startBed(t);
  const fates: string[] = [];
  const input: Input = {
    async *batches() {
      for (const text of ['a\n', 'b\n', 'a\n', 'c\n']) {
        const ack = async () => void fates.push(`${text[0]} accepted`);
        const nack = async (error: Error) => {
          fates.push(`${text[0]} ${(error as Error & { code?: string }).code}`);
        };
        const batch = { bytes: Buffer.from(text), ack, nack };
        yield text === 'c\n' ? batch : { ...batch, idempotencyKey: 'order.8' };
      }
    },
    close: async () => {},
  };
  const totals = await ship(bed, input, { lingerMs: 0 });
  t.same(fates, ['a accepted', 'b sequence_reused', 'a accepted', 'c accepted']);
  t.same(totals, { readBytes: 8, acceptedBytes: 6, acceptedMessages: 3, duplicateWrites: 1 });
  t.equal(await readAll(bed.client), 'a\nc\n');
});

t.test('a client that names one category too many is refused, and the others go on', async (t) => {
  const directory = testDirectory(t);
  const server = await startServer({ directory: join(directory, 'data'), categoryCountMax: 2 });
  const client = new Client({ server: server.url });
  const fates: string[] = [];
  const input: Input = {
    async *batches() {
      for (const category of ['one', 'two', 'three', 'one', 'four', undefined]) {
        const ack = async () => void fates.push(`${category} accepted`);
        const nack = async (error: Error) => {
          fates.push(`${category} ${(error as Error & { code?: string }).code}`);
        };
        const batch = { bytes: Buffer.from('a\n'), ack, nack };
        yield category === undefined ? batch : { ...batch, category };
      }
    },
    close: async () => {},
  };
  const totals = await ship({ client, directory }, input, { category: 'two' });
  t.same(fates.sort(), [
    'four too_many_categories',
    'one accepted',
    'one accepted',
    'three too_many_categories',
    'two accepted',
    'undefined accepted',
  ]);
  t.same(totals, { readBytes: 12, acceptedBytes: 8, acceptedMessages: 4, duplicateWrites: 0 });
  client.close();
  await server.close();
});

async function runSink(
  output: Output,
  bed: { client: Client; directory: string },
  options: Partial<SinkOptions> & { state?: string; signal?: AbortSignal } = {},
): Promise<SinkTotals> {
  const { state: name = 'state.journal', signal = never, ...rest } = options;
  const state = await StateJournal.open(nodeDisk, join(bed.directory, name));
  const sink = new Sink(output, bed.client, state, {
    category: 'logs',
    group: 'default',
    target: 'scripted',
    once: true,
    ...rest,
  });
  await sink.run(signal, 'end').finally(() => state.close());
  return sink.totals;
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
    await runSink(output, bed, {
      onOutputRetry: (error) => problems.push((error as Error).message),
    });
    t.same(
      output.calls.map((call) => call.text),
      ['a\n', 'a\n', 'a\n', 'b\n'],
    );
    t.equal(new Set(output.calls.slice(0, 3).map((call) => call.token)).size, 1);
    t.match(output.calls[0]?.token, /^[0-9a-f-]+\/logs\/node1-chunk000000000\/0-2$/);
    t.same(problems, ['the target is busy', 'the target is busy']);
    const later = new ScriptedOutput();
    await runSink(later, bed);
    t.same(later.calls, [], 'the next run has nothing to deliver');
  },
);

t.test(
  'messages that the target will never take stop the sink when that is asked for',
  async (t) => {
    const bed = await startBed(t);
    await writeLines(bed.client, ['a\n', 'bad\n', 'c\n']);
    const picky = new ScriptedOutput((text) =>
      text === 'bad\n' ? { failures: [{ index: 0, reason: 'It is no JSON.' }] } : undefined,
    );
    await t.rejects(runSink(picky, bed, { badMessages: 'stop' }), {
      code: 'output_failed',
      message: /the first of them at 0: It is no JSON/,
    });
    const refusing = new ScriptedOutput(() => {
      throw new PluginError('data', 'No such column.');
    });
    await t.rejects(runSink(refusing, bed, { badMessages: 'stop' }), {
      code: 'output_failed',
      message: /No such column/,
    });
    t.same(
      refusing.calls.map((call) => call.text),
      ['bad\n'],
      'it begins with the one that failed',
    );
    const output = new ScriptedOutput();
    await runSink(output, bed);
    t.same(
      output.calls.map((call) => call.text),
      ['bad\n', 'c\n'],
    );
  },
);

/** The dead letters of the category, by their reason and message. */
async function readLetters(client: Client): Promise<string[]> {
  const parser = new DeadLetterParser();
  const lines = (await readAll(client, 'logs_dlq')).split('\n').slice(0, -1);
  return lines.flatMap((line) => {
    const letter = parser.take(line);
    return letter === undefined
      ? []
      : `${letter.reason} ${letter.chunk}@${letter.offset} ${letter.message}`;
  });
}

t.test(
  'a message that the target names becomes a dead letter, and the others are taken',
  async (t) => {
    const bed = await startBed(t);
    await bed.client.write('logs', [Buffer.from('a\nbad\nc\n')]);
    const output = new ScriptedOutput(() => ({
      failures: [{ index: 1, reason: 'It is no JSON.' }],
    }));
    const totals = await runSink(output, bed);
    t.match(totals, { deliveredBytes: 8, deliveredMessages: 3, deadLetters: 1 });
    t.equal(output.calls.length, 1);
    t.same(await readLetters(bed.client), ['It is no JSON. node1-chunk000000000@2 bad\n']);
  },
);

t.test('a bad message that the target cannot name is found by halving', async (t) => {
  const bed = await startBed(t);
  const lines = Array.from({ length: 100 }, (_, at) => (at === 61 || at === 62 ? 'bad' : `${at}`));
  await bed.client.write('logs', [Buffer.from(`${lines.join('\n')}\n`)]);
  const taken: string[] = [];
  const output = new ScriptedOutput((text) => {
    if (text.includes('bad')) throw new PluginError('data', 'A row is bad.');
    taken.push(text);
    return undefined;
  });
  t.match(await runSink(output, bed), { deadLetters: 2 });
  t.equal(taken.join(''), `${lines.filter((line) => line !== 'bad').join('\n')}\n`);
  t.equal(new Set(output.calls.map(({ token }) => token)).size, output.calls.length);
  t.equal((await readLetters(bed.client)).length, 2);
});

t.test('messages that the target could not take yet are given again alone', async (t) => {
  const bed = await startBed(t);
  await bed.client.write('logs', [Buffer.from('a\nb\nc\nd\n')]);
  const output = new ScriptedOutput((_text, callCount) => {
    const busy = (index: number) => ({ index, reason: 'busy', kind: 'transient' as const });
    if (callCount === 1) return { failures: [busy(3), { index: 0, reason: 'bad' }, busy(1)] };
    return callCount === 2 ? { failures: [busy(3)] } : undefined;
  });
  t.match(await runSink(output, bed), { deadLetters: 1, deliveredMessages: 4 });
  t.same(
    output.calls.map(({ only }) => only),
    [undefined, [1, 3], [3]],
  );
  t.equal(new Set(output.calls.map(({ token }) => token)).size, 1);
  t.same(await readLetters(bed.client), ['bad node1-chunk000000000@0 a\n']);
});

t.test('what may have been delivered before a kill is sent again as the same ranges', async (t) => {
  const bed = await startBed(t);
  await bed.client.write('logs', [Buffer.from('a\nb\nc\n')]);
  const batching = { messagesMax: 2, inFlightMax: 2 };
  // The first batch is lost on the way, the second one arrives.
  const dying = new ScriptedOutput((text) => {
    if (text !== 'c\n') throw new Error('the answer is lost');
    return undefined;
  });
  await t.rejects(runSink(dying, bed, { batching, giveUpAfterMs: 200 }));
  await bed.client.write('logs', [Buffer.from('d\n')]);
  const output = new ScriptedOutput();
  await runSink(output, bed, { batching: { messagesMax: 100 } });
  t.same(
    output.calls.map(({ text }) => text),
    ['a\nb\n', 'd\n'],
    'neither in another cut nor what was done behind it',
  );
  t.equal(output.calls[0]?.token, dying.calls[0]?.token);
  const later = new ScriptedOutput();
  await runSink(later, bed);
  t.same(later.calls, []);
});

t.test('a half that was delivered before a kill is not sent again', async (t) => {
  const bed = await startBed(t);
  await bed.client.write('logs', [Buffer.from('a\nbad\n')]);
  const dying = new ScriptedOutput((text) => {
    if (text === 'bad\n') throw new Error('the target is away');
    if (text.includes('bad')) throw new PluginError('data', 'A row is bad.');
    return undefined;
  });
  await t.rejects(runSink(dying, bed, { giveUpAfterMs: 100 }));
  const output = new ScriptedOutput();
  await runSink(output, bed);
  t.same(
    output.calls.map(({ text }) => text),
    ['bad\n'],
  );
});

t.test('batches are cut by bytes and by messages, and wait for company', async (t) => {
  const bed = await startBed(t, 1_000_000);
  for (const text of ['aa\n', 'bb\ncc\n', 'dd\n'])
    await bed.client.write('logs', [Buffer.from(text)]);
  const cut = async (batching: SinkOptions['batching']): Promise<string[]> => {
    const output = new ScriptedOutput();
    const group = `g${stateCount++}`;
    await runSink(output, bed, { group, state: group, ...(batching && { batching }) });
    return output.calls.map(({ text }) => text.replaceAll('\n', '.'));
  };
  t.same(await cut({ messagesMax: 3 }), ['aa.bb.', 'cc.dd.'], 'in equal parts');
  t.same(await cut({ bytesMax: 7 }), ['aa.bb.', 'cc.dd.']);
  t.same(await cut({ bytesMax: 1 }), ['aa.', 'bb.', 'cc.', 'dd.']);
});

t.test('what a slow target makes wait is one batch more than is under way', async (t) => {
  const bed = await startBed(t, 1_000_000);
  await bed.client.write('logs', [Buffer.from('aa\nbb\ncc\ndd\nee\nff\n')]);
  let readBytes = 0;
  const read = bed.client.read.bind(bed.client);
  bed.client.read = async (category, options) => {
    const answer = await read(category, options);
    readBytes += answer.bytes.length;
    return answer;
  };
  for (const inFlightMax of [1, 2]) {
    readBytes = 0;
    let release: () => void = () => undefined;
    const released = new Promise<undefined>((resolve) => {
      release = () => resolve(undefined);
    });
    let callCount = 0;
    const output: Output = {
      write: () => {
        callCount += 1;
        return released;
      },
      close: async () => undefined,
    };
    const group = `slow-${inFlightMax}`;
    const batching = { bytesMax: 3, inFlightMax };
    const running = runSink(output, bed, { group, state: group, batching });
    await until(() => callCount === inFlightMax && readBytes >= 3 * (inFlightMax + 1));
    for (let turn = 0; turn < 20; turn += 1) await bed.client.live();
    t.equal(readBytes, 3 * (inFlightMax + 1));
    release();
    await running;
    t.equal(readBytes, 18);
  }
});

t.test('nothing waits for company that there is no room for', async (t) => {
  const bed = await startBed(t, 1_000_000);
  await bed.client.write('logs', [Buffer.from('aaaa\nbbbb\ncccc\n')]);
  const output = new ScriptedOutput();
  await runSink(output, bed, { batching: { bytesMax: 8, lingerMs: 3_600_000 } });
  t.same(
    output.calls.map(({ text }) => text),
    ['aaaa\n', 'bbbb\n', 'cccc\n'],
  );
});

t.test('messages that come one by one gather for as long as the output advises', async (t) => {
  const bed = await startBed(t, 1_000_000);
  const output = new ScriptedOutput();
  const controller = new AbortController();
  const state = await StateJournal.open(nodeDisk, join(bed.directory, 'state.journal'));
  const sink = new Sink(output, bed.client, state, {
    category: 'logs',
    group: 'default',
    target: 'scripted',
    once: false,
    batching: { lingerMs: 300 },
  });
  const running = sink.run(controller.signal, 'stopped');
  await writeLines(bed.client, ['a\n', 'b\n', 'c\n']);
  await until(() => sink.totals.deliveredMessages === 3);
  t.ok(output.calls.length < 3, `${output.calls.length} batches`);
  controller.abort();
  t.equal(await running, 'stopped');
  await state.close();
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
    await runSink(closing, bed);
    const output = new ScriptedOutput();
    await runSink(output, bed);
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
  await t.rejects(runSink(output, bed), {
    code: 'output_failed',
    message: /The password is wrong/,
  });
});

t.test('what only a person can mend is waited for, and the sink goes on by itself', async (t) => {
  const bed = await startBed(t);
  await writeLines(bed.client, ['a\n', 'b\n']);
  let isMended = false;
  const output = new ScriptedOutput(() => {
    if (!isMended) throw new PluginError('operator', 'The table is missing: CREATE TABLE logs.');
    return undefined;
  });
  const problems: string[] = [];
  await runSink(output, bed, {
    once: false,
    onOutputRetry: (error) => {
      problems.push((error as Error).message);
      isMended = true;
    },
  });
  t.same(problems, ['The table is missing: CREATE TABLE logs.']);
  t.same(
    output.calls.map(({ text }) => text),
    ['a\n', 'a\n', 'b\n'],
  );
});

t.test('a state that is no position is refused', async (t) => {
  const bed = await startBed(t);
  const state = await StateJournal.open(nodeDisk, join(bed.directory, 'state.journal'));
  await state.set('sink/position', { owners: 7 });
  await state.close();
  await t.rejects(runSink(new ScriptedOutput(), bed), {
    code: 'directory_invalid',
    message: /position/,
  });
});

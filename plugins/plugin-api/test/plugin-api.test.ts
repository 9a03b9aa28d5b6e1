import t from 'tap';
import {
  createMemoryState,
  createTestContext,
  createTestLog,
  type InputSuite,
  inputConformance,
  type OutputSuite,
  outputConformance,
} from '../src/conformance/index.js';
import {
  countNewlines,
  findLongMessage,
  type Input,
  type InputBatch,
  type InputContext,
  PluginError,
  pluginErrorKind,
} from '../src/index.js';

/** A way to break a rule of the contract. */
type Fault =
  | 'cuts_lines'
  | 'changes_lines'
  | 'throws_at_second_close'
  | 'throws_at_second_ack'
  | 'checkpoints_at_yield'
  | 'checkpoints_over_holes'
  | 'forgets';

/** The smallest input that keeps all rules, but for a fault: it yields 20 lines at a time. */
class ListInput implements Input {
  readonly #lines: readonly Uint8Array[];
  readonly #context: InputContext;
  readonly #fault: Fault | undefined;
  #closeCount = 0;

  constructor(lines: readonly Uint8Array[], context: InputContext, fault: Fault | undefined) {
    this.#lines = lines;
    this.#context = context;
    this.#fault = fault;
  }

  async *batches(signal: AbortSignal): AsyncGenerator<InputBatch> {
    const acked = new Set<number>();
    const first = (this.#context.state.get('next') as number | undefined) ?? 0;
    for (let start = first; start < this.#lines.length; start += 20) {
      if (signal.aborted) return;
      if (this.#fault === 'checkpoints_at_yield') await this.#save(start + 20);
      yield this.#createBatch(start, acked);
    }
    if (this.#context.once) return;
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve());
      if (signal.aborted) resolve();
    });
  }

  async close(): Promise<void> {
    this.#closeCount += 1;
    if (this.#closeCount > 1 && this.#fault === 'throws_at_second_close') throw new Error('closed');
  }

  #createBatch(start: number, acked: Set<number>): InputBatch {
    const lines = this.#lines.slice(start, start + 20);
    const bytes = Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]));
    if (this.#fault === 'changes_lines') bytes[0] = 0x21;
    return {
      bytes: this.#fault === 'cuts_lines' ? bytes.subarray(0, -1) : bytes,
      ack: async () => {
        if (acked.has(start) && this.#fault === 'throws_at_second_ack') throw new Error('acked');
        acked.add(start);
        if (this.#fault === 'checkpoints_over_holes') await this.#save(start + 20);
        let next = (this.#context.state.get('next') as number | undefined) ?? 0;
        while (acked.has(next)) next += 20;
        await this.#save(next);
      },
      nack: async () => undefined,
    };
  }

  async #save(next: number): Promise<void> {
    if (this.#fault === 'forgets') return;
    const saved = (this.#context.state.get('next') as number | undefined) ?? 0;
    await this.#context.state.set('next', Math.max(saved, next));
  }
}

function inputSuite(fault?: Fault): InputSuite {
  return {
    remembers: true,
    endless: false,
    createSource: async (lines) => ({
      open: async (context) => new ListInput(lines, context, fault),
      close: async () => undefined,
    }),
  };
}

t.test('an input that keeps the rules passes', async (t) => {
  for (const { name, run } of inputConformance(inputSuite())) t.test(name, run);
});

t.test('an input that breaks a rule fails the case that is named for it', async (t) => {
  for (const [fault, name] of [
    ['cuts_lines', 'yields the lines as they are, in batches of whole lines'],
    ['changes_lines', 'yields the lines as they are, in batches of whole lines'],
    ['throws_at_second_close', 'may be closed twice'],
    ['throws_at_second_ack', 'takes a second ack of a batch without an error'],
    ['checkpoints_at_yield', 'yields a batch again that was not accepted'],
    [
      'checkpoints_over_holes',
      'does not move past an unsettled batch when a later one is acknowledged',
    ],
    ['forgets', 'yields nothing again that was acknowledged'],
    ['forgets', 'goes on behind what was acknowledged when it was stopped'],
  ] as const) {
    const found = inputConformance(inputSuite(fault)).find((each) => each.name === name);
    await t.rejects(async () => found?.run(), fault);
  }
});

t.test('the suite refuses flags that exclude each other', async (t) => {
  t.throws(() => inputConformance({ ...inputSuite(), endless: true }), TypeError);
});

type OutputFault = 'keeps_bytes' | 'resolves_early' | 'loses_order' | 'throws_at_second_close';

function outputSuite(fault?: OutputFault): OutputSuite {
  return {
    createTarget: async () => {
      const pieces: Uint8Array[] = [];
      let isClosed = false;
      return {
        open: async () => ({
          write: async ({ bytes }) => {
            const copy = fault === 'keeps_bytes' ? bytes : Buffer.from(bytes);
            if (fault === 'resolves_early') setImmediate(() => pieces.push(copy));
            else if (fault === 'loses_order') pieces.unshift(copy);
            else pieces.push(copy);
            return undefined;
          },
          close: async () => {
            if (isClosed && fault === 'throws_at_second_close') throw new Error('closed');
            isClosed = true;
          },
        }),
        received: async () => Buffer.concat(pieces),
        close: async () => undefined,
      };
    },
  };
}

t.test('an output that keeps the rules passes', async (t) => {
  for (const { name, run } of outputConformance(outputSuite())) t.test(name, run);
});

t.test('an output that breaks a rule fails the case that is named for it', async (t) => {
  for (const [fault, name] of [
    ['keeps_bytes', 'does not need the bytes of a batch once write has resolved'],
    ['resolves_early', 'has every message in the target when write resolves, as it is'],
    ['loses_order', 'has every message in the target when write resolves, as it is'],
    ['throws_at_second_close', 'may be closed twice'],
  ] as const) {
    const found = outputConformance(outputSuite(fault)).find((each) => each.name === name);
    await t.rejects(async () => found?.run(), fault);
  }
});

t.test('the memory state keeps JSON values and nothing else', async (t) => {
  const state = createMemoryState([['a', { b: [1, null] }]]);
  const value = state.get('a') as { b: unknown[] };
  value.b.push('not kept');
  t.same([...state.entries()], [['a', { b: [1, null] }]]);
  await state.set('c', 'text');
  await state.set('a', undefined);
  t.same([...createMemoryState(state.entries()).entries()], [['c', 'text']]);
  await t.rejects(state.set('d', 1n), TypeError);
});

t.test('the test log keeps entries and tells of them', async (t) => {
  const log = createTestLog();
  const waiting = log.waitFor('Ready.');
  log.debug('Starting.');
  log.info('Ready.', { port: 1 });
  t.same(await waiting, { level: 'info', sentence: 'Ready.', fields: { port: 1 } });
  t.same(await log.waitFor('Starting.'), { level: 'debug', sentence: 'Starting.', fields: {} });
  t.equal(createTestContext({ once: true }).once, true);
});

t.test('the kind of an error does not depend on the copy of its class', async (t) => {
  for (const kind of ['transient', 'operator', 'data', 'closed'] as const) {
    t.equal(pluginErrorKind(new PluginError(kind, 'x')), kind);
    t.equal(pluginErrorKind({ kind }), kind);
  }
  for (const error of [new Error('x'), undefined, null, 'x', { kind: 'other' }]) {
    t.equal(pluginErrorKind(error), 'transient');
  }
  const cause = new Error('below');
  t.equal(new PluginError('data', 'x', { cause }).cause, cause);
});

t.test('a message that is too long is found', async (t) => {
  const find = (text: string) => findLongMessage(Buffer.from(text), 4);
  t.equal(find(''), undefined);
  t.equal(find('abc\n'), undefined);
  t.equal(find('abcd\n'), 0);
  t.equal(find('a\nb\nabc\n\n\nabcd\nefghi\n'), 10);
  t.equal(find('a\nb\nabc\n\n\nabc\n'), undefined);
});

t.test('newlines are counted', async (t) => {
  t.equal(countNewlines(Buffer.from('')), 0);
  t.equal(countNewlines(new TextEncoder().encode('\na\n\nb')), 3);
});

import {
  appendFileSync,
  copyFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  type InputBatch,
  type JsonValue,
  type PluginState,
  pluginErrorKind,
} from '@chukcha/plugin-api';
import {
  createMemoryState,
  createTestContext,
  createTestMetrics,
  soon,
} from '@chukcha/plugin-api/conformance';
import t from 'tap';
import { open, positions } from '../src/file-input.js';
import { FileRun, openInput, type RunOptions, takeBatches } from './support/file-run.js';

interface OnceOptions {
  readonly messageBytesMax?: number;
  readonly batchBytesMax?: number;
  readonly state?: PluginState;
}

/** Reads a file to its end, and checks that every batch comes again, byte for byte, in a run after a kill. */
async function readOnce(
  path: string,
  more: Record<string, unknown>,
  limits: OnceOptions = {},
  blockBytes = 1024,
): Promise<string> {
  const state = limits.state ?? createMemoryState();
  const before = createMemoryState(state.entries());
  const options: RunOptions = { paths: [path], more, blockBytes };
  const first = await takeAll(options, { ...limits, state });
  // Of the second run the state knows the generation, and nothing of what was accepted.
  const killed = createMemoryState(
    [...state.entries()].map(([key, value]) => rewound(key, value, before)),
  );
  const input = await openInput(
    { ...options, more: {} },
    createTestContext({ ...limits, state: killed, once: true }),
  );
  const ranges = first.map(({ range }) => range);
  let index = 0;
  for await (const batch of input.replay?.(ranges, new AbortController().signal) ?? []) {
    const { text, origin } = first[index] as Taken;
    if (batch === undefined) throw new Error(`The range ${JSON.stringify(ranges[index])} is gone.`);
    if (Buffer.from(batch.bytes).toString('latin1') !== text) throw new Error('Other bytes.');
    if (JSON.stringify(batch.origin) !== JSON.stringify(origin)) throw new Error('Another origin.');
    index += 1;
    await batch.ack();
  }
  if (index !== first.length) throw new Error(`${index} of ${first.length} ranges came again.`);
  for await (const batch of input.batches(new AbortController().signal)) {
    throw new Error(`Given twice: ${batch.bytes.toString()}`);
  }
  await input.close();
  return first.map(({ text }) => text).join('');
}

function rewound(key: string, value: unknown, before: PluginState): [string, unknown] {
  const old = before.get(key);
  if (old !== undefined) return [key, old];
  const none = { bytes: 0, crc32: 0 };
  return [key, { ...(value as object), offset: 0, given: 0, marker: none, islands: undefined }];
}

interface Taken {
  readonly text: string;
  readonly range: JsonValue;
  readonly origin: InputBatch['origin'];
}

async function takeAll(options: RunOptions, context: OnceOptions): Promise<Taken[]> {
  const input = await openInput(options, createTestContext({ ...context, once: true }));
  const taken: Taken[] = [];
  let given = 0;
  for await (const batch of input.batches(new AbortController().signal)) {
    const text = Buffer.from(batch.bytes).toString('latin1');
    const { origin, range = null } = batch;
    if (origin?.offset !== given) throw new Error(`At ${origin?.offset}, and ${given} were given.`);
    given += text.length;
    taken.push({ text, range, origin });
    await batch.ack();
  }
  await input.close();
  return taken;
}

const utf8 = (latin1: string): string => Buffer.from(latin1, 'latin1').toString();

t.test('encodings', async (t) => {
  const text = ['plain', 'Käse €', '', '日本 \u{1f600}', 'U+0A0D: \u0a0d\u0d0a', 'last'].join('\n');
  const lines = Array.from({ length: 400 }, (_, n) => `${n} ${'ö'.repeat(n % 50)}`).join('\n');
  const swap = (bytes: Buffer): Buffer => Buffer.from(bytes).swap16();
  const le = (value: string): Buffer => Buffer.from(value, 'utf16le');
  for (const content of [text, lines]) {
    const cases: [encoding: string, bytes: Buffer][] = [
      ['utf-16le', le(content)],
      ['utf-16be', swap(le(content))],
      ['utf-16', le(`\ufeff${content}`)],
      ['utf-16', swap(le(`\ufeff${content}`))],
      ['utf-16', le(content)],
      ['utf-8', Buffer.from(content)],
    ];
    for (const [encoding, bytes] of cases) {
      const path = join(t.testdir({ a: '' }), 'a');
      writeFileSync(path, bytes);
      t.equal(utf8(await readOnce(path, { encoding })), `${content}\n`, encoding);
    }
  }
  const path = join(t.testdir({ a: '' }), 'a');
  writeFileSync(path, Buffer.from(lines, 'latin1'));
  t.equal(utf8(await readOnce(path, { encoding: 'latin1' })), `${lines}\n`, 'latin1');
  writeFileSync(path, Buffer.concat([le('torn\n'), Buffer.from([0x41])]));
  t.equal(utf8(await readOnce(path, { encoding: 'utf-16le' })), 'torn\n\ufffd\n');
});

t.test('a file in UTF-16 is followed, also when half a character is there', async (t) => {
  const path = join(t.testdir({ a: '' }), 'a');
  const bytes = Buffer.from('\ufeffeins\nzwei\n', 'utf16le');
  writeFileSync(path, bytes.subarray(0, 7));
  const run = await FileRun.start({ paths: [path], more: { encoding: 'utf-16' } });
  for (let at = 7; at < bytes.length; at += 1) {
    appendFileSync(path, bytes.subarray(at, at + 1));
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.equal(await run.waitFor('eins\nzwei\n'), 'eins\nzwei\n');
  await run.stop();
});

t.test('lines of a message are joined', async (t) => {
  const path = join(t.testdir({ a: '' }), 'a');
  const text = 'orphan\n2026 one\n  at a\n  at b\n\n2026 two\n2026 three\n  at c';
  writeFileSync(path, text);
  const joined = 'orphan\n2026 one\\n  at a\\n  at b\\n\n2026 two\n2026 three\\n  at c\n';
  t.equal(await readOnce(path, { multiline_start: '^\\d' }), joined);
  t.equal(await readOnce(path, { multiline_continuation: '^(\\s|$)' }), joined);
  const separated = joined.replaceAll('\\n', ' | ');
  const more = { multiline_start: '^\\d', multiline_separator: ' | ' };
  t.equal(await readOnce(path, more), separated);
  t.equal(
    await readOnce(path, { multiline_start: '^\\d', multiline_lines_max: 2 }),
    'orphan\n2026 one\\n  at a\n  at b\\n\n2026 two\n2026 three\\n  at c\n',
    'a message with too many lines ends early',
  );
  const many = Array.from({ length: 900 }, (_, n) => `${n % 7 === 0 ? '>' : ' '}${n}`).join('\n');
  writeFileSync(path, `${many}\n`);
  const expected = `${many.replaceAll('\n ', '\\n ')}\n`;
  for (const blockBytes of [1024, 2000, 100_000]) {
    t.equal(await readOnce(path, { multiline_start: '^>' }, {}, blockBytes), expected);
  }
  writeFileSync(path, Buffer.from(`${many}\n`, 'utf16le'));
  const both = { multiline_start: '^>', encoding: 'utf-16le' };
  t.equal(await readOnce(path, both), expected, 'of another encoding too');
  const limits = { messageBytesMax: 30, batchBytesMax: 90 };
  writeFileSync(path, `>${'a'.repeat(20)}\n ${'b'.repeat(20)}\n c\n`);
  t.equal(
    await readOnce(path, { multiline_start: '^>' }, limits),
    `>${'a'.repeat(20)}\n ${'b'.repeat(20)}\\n c\n`,
    'a message that would be too long ends early',
  );
});

t.test('the last message of a followed file comes after some quiet', async (t) => {
  const path = join(t.testdir({ a: '>1\n 2\n>3\n 4\n' }), 'a');
  const more = { multiline_start: '^>', multiline_timeout_ms: 60 };
  const run = await FileRun.start({ paths: [path], more });
  t.equal(await run.waitFor('>1\\n 2\n>3\\n 4\n'), '>1\\n 2\n>3\\n 4\n');
  appendFileSync(path, ' late\n>5\n');
  t.equal(await run.waitFor('>1\\n 2\n>3\\n 4\n late\n>5\n'), '>1\\n 2\n>3\\n 4\n late\n>5\n');
  await run.stop();
});

t.test('a last line without an end comes after some quiet when that is wanted', async (t) => {
  const path = join(t.testdir({ a: 'one\ntw' }), 'a');
  const run = await FileRun.start({ paths: [path], more: { partial_line_ms: 50 } });
  t.equal(await run.waitFor('one\ntw\n'), 'one\ntw\n');
  appendFileSync(path, 'o\nthree');
  t.equal(await run.waitFor('one\ntw\no\nthree\n'), 'one\ntw\no\nthree\n');
  await run.stop();
});

t.test('a line above the limit is cut, left out, or an error', async (t) => {
  const path = join(t.testdir({ a: '' }), 'a');
  const limits = { messageBytesMax: 100, batchBytesMax: 400 };
  const long = 'é'.repeat(5000);
  const whole = 'y'.repeat(99);
  writeFileSync(path, `short\n${long}\n${whole}\n${'z'.repeat(100)}\nafter\n${long}`);
  const metrics = createTestMetrics();
  for (const blockBytes of [1024, 40_000]) {
    const text = utf8(await readOnce(path, {}, { ...limits, ...{ metrics } }, blockBytes));
    const cut = `${'é'.repeat(30)} [cut: ${10_000 - 60} bytes]`;
    t.equal(text, `short\n${cut}\n${whole}\n${'z'.repeat(60)} [cut: 40 bytes]\nafter\n${cut}\n`);
    t.ok(text.split('\n').every((line) => Buffer.byteLength(line) < 100));
  }
  t.equal(metrics.values.get('lines_cut_total'), 6);
  t.equal(metrics.values.get('cut_bytes_total'), 2 * (9940 + 40 + 9940));

  const skipped = createTestMetrics();
  const text = await takeAll(
    { paths: [path], more: { long_line: 'skip' } },
    { ...limits, ...{ metrics: skipped } },
  );
  t.equal(text.map((taken) => taken.text).join(''), `short\n${whole}\nafter\n`);
  t.equal(skipped.values.get('lines_skipped_total'), 3);

  const failed = takeAll({ paths: [path], more: { long_line: 'fail' } }, limits);
  t.equal(pluginErrorKind(await failed.catch((error: unknown) => error)), 'data');

  writeFileSync(path, Buffer.from(`a\n${'ä'.repeat(300)}\nb\n`, 'utf16le'));
  const wide = utf8(await readOnce(path, { encoding: 'utf-16le' }, limits));
  t.equal(wide, `a\n${'ä'.repeat(30)} [cut: ${600 - 60} bytes]\nb\n`);
});

t.test('a long line that is being written keeps nobody waiting', async (t) => {
  const directory = t.testdir({ 'a.log': 'x'.repeat(5000), 'b.log': 'b\n' });
  const context = { messageBytesMax: 1000, batchBytesMax: 4000 };
  const run = await FileRun.start({ paths: [`${directory}/*.log`], blockBytes: 1024 }, context);
  await run.waitFor('b\n');
  appendFileSync(join(directory, 'a.log'), 'x'.repeat(5000));
  appendFileSync(join(directory, 'b.log'), 'b2\n');
  await run.waitFor('b\nb2\n');
  appendFileSync(join(directory, 'a.log'), '\nafter\n');
  const cut = `${'x'.repeat(960)} [cut: 9040 bytes]\n`;
  t.equal(await run.waitFor(`b\nb2\n${cut}after\n`), `b\nb2\n${cut}after\n`);
  await run.stop();
});

t.test('packed files', async (t) => {
  const lines = Array.from({ length: 3000 }, (_, n) => `line ${n}\n`).join('');
  t.test('are read, also when they are several in one', async (t) => {
    const path = join(t.testdir({ 'a.gz': '' }), 'a.gz');
    writeFileSync(path, Buffer.concat([gzipSync(lines), gzipSync('more\n')]));
    t.equal(await readOnce(path, {}), `${lines}more\n`);
  });
  t.test('are read on after a stop', async (t) => {
    const path = join(t.testdir({ 'a.gz': '' }), 'a.gz');
    writeFileSync(path, gzipSync(lines));
    const state = createMemoryState();
    const input = await openInput(
      { paths: [path], blockBytes: 4096 },
      createTestContext({ state, once: true }),
    );
    const { next, abort } = takeBatches(input);
    let text = '';
    for (let count = 0; count < 3; count += 1) {
      const batch = await next();
      text += batch?.bytes.toString();
      await batch?.ack();
    }
    abort.abort();
    await next();
    await input.close();
    const rest = await takeAllFrom(path, state);
    t.equal(text + rest, lines);
  });
  t.test('that are not whole are read on when they are', async (t) => {
    const path = join(t.testdir({ 'a.gz': '' }), 'a.gz');
    const packed = gzipSync(lines);
    writeFileSync(path, packed.subarray(0, packed.length - 20));
    const run = await FileRun.start({ paths: [path] });
    await run.log.waitFor('A packed file is not whole; it is read on when it has grown.');
    writeFileSync(path, packed);
    t.equal(await run.waitFor(lines), lines);
    await run.stop();
  });
  t.test('that are damaged are named, and the others are read', async (t) => {
    const directory = t.testdir({ 'b.log': 'b\n' });
    const packed = gzipSync(lines);
    packed.fill(0xaa, 3000, 3100);
    writeFileSync(join(directory, 'a.log.gz'), packed);
    writeFileSync(join(directory, 'c.log.gz'), 'only the name is packed\n');
    const input = await openInput({ paths: [`${directory}/*`] }, createTestContext());
    const { next, abort } = takeBatches(input);
    let text = '';
    while (!text.endsWith('packed\n')) {
      const batch = await next();
      text += batch?.bytes.toString();
      await batch?.ack();
    }
    t.ok(text.endsWith('b\nonly the name is packed\n'), text.slice(-60));
    const reports = (await input.explain?.()) ?? [];
    t.match(
      reports.find(({ source }) => source.endsWith('a.log.gz')),
      { state: 'damaged' },
    );
    abort.abort();
    await input.close();
  });
});

async function takeAllFrom(path: string, state: PluginState): Promise<string> {
  const taken = await openInput({ paths: [path] }, createTestContext({ state, once: true }));
  let text = '';
  for await (const batch of taken.batches(new AbortController().signal)) {
    text += batch.bytes.toString();
    await batch.ack();
  }
  await taken.close();
  return text;
}

t.test('options that cannot be used are refused', async (t) => {
  const path = join(t.testdir({ a: 'a\n' }), 'a');
  for (const more of [
    { multiline_start: '(' },
    { multiline_start: 'a', multiline_continuation: 'b' },
  ]) {
    await t.rejects(openInput({ paths: [path], more }, createTestContext()), {
      name: 'PluginError',
    });
  }
  t.equal(typeof open, 'function');
});

t.test(
  'what is asked for again comes from the renamed, copied or packed file, or not at all',
  async (t) => {
    const text = Array.from({ length: 100 }, (_, n) => `line ${n}\n`).join('');
    const changes: [name: string, change: (path: string) => void, isThere: boolean][] = [
      ['renamed', (path) => renameSync(path, `${path}.1`), true],
      [
        'copied and truncated',
        (path) => {
          copyFileSync(path, `${path}.1`);
          truncateSync(path);
        },
        true,
      ],
      [
        'packed',
        (path) => {
          writeFileSync(`${path}.1.gz`, gzipSync(text));
          rmSync(path);
          writeFileSync(path, 'new\n');
        },
        true,
      ],
      ['truncated', (path) => truncateSync(path), false],
      ['changed', (path) => writeFileSync(path, text.replace('line 50', 'line xx')), false],
    ];
    for (const [name, change, isThere] of changes) {
      const path = join(t.testdir({ 'a.log': text }), 'a.log');
      const state = createMemoryState();
      const options = { paths: [`${path}*`], blockBytes: 1024 };
      const first = await openInput(options, createTestContext({ state }));
      const { next, abort } = takeBatches(first);
      const batch = await next();
      const bytes = Buffer.from(batch?.bytes ?? '');
      const killed = createMemoryState(state.entries());
      change(path);
      const second = await openInput(options, createTestContext({ state: killed }));
      const [again] = await soon(
        collect(second.replay?.([batch?.range ?? null], abort.signal)),
        'an answer',
      );
      t.equal(
        again === undefined ? undefined : again.bytes.toString(),
        isThere ? bytes.toString() : undefined,
        name,
      );
      if (isThere) t.same(again?.origin?.id, batch?.origin?.id, name);
      await again?.ack();
      abort.abort();
      await next();
      await first.close();
      await second.close();
    }
  },
);

async function collect<T>(items: AsyncIterable<T> | undefined): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items ?? []) all.push(item);
  return all;
}

t.test('the input explains what it does with each file', async (t) => {
  const directory = t.testdir({
    'a.log': 'a\n',
    'b.log': '',
    'c.log': 'c\npart',
    'd.skip.log': 'no\n',
  });
  const paths = [`${directory}/*.log`, `${directory}/none/*.log`];
  const input = await openInput({ paths, exclude: ['*.skip.log'] }, createTestContext());
  const reports = async (): Promise<string[]> => {
    const all = (await input.explain?.()) ?? [];
    return all.map(({ source, state, acceptedBytes, sourceBytes }) =>
      [source.slice(directory.length + 1), state, acceptedBytes, sourceBytes].join(' '),
    );
  };
  const excluded = ['d.skip.log excluded  ', 'none/*.log waiting  '];
  t.same(await reports(), [
    'a.log reading 0 2',
    'b.log empty 0 0',
    'c.log reading 0 6',
    ...excluded,
  ]);
  const { next, abort, iterator } = takeBatches(input);
  for (let count = 0; count < 2; count += 1) await (await next())?.ack();
  const pending = iterator.next();
  const expected = ['a.log at_end 2 2', 'b.log empty 0 0', 'c.log partial 2 6', ...excluded];
  const settled = async (): Promise<string[]> => {
    for (;;) {
      const found = await reports();
      if (JSON.stringify(found) === JSON.stringify(expected)) return found;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  t.same(await soon(settled(), expected.join(', ')), expected);
  abort.abort();
  await pending;
  await input.close();
});

t.test('positions can be listed, set and forgotten', async (t) => {
  const path = join(t.testdir({ 'a.log': 'one\ntwo\nthree\n' }), 'a.log');
  const state = createMemoryState();
  t.equal(await takeAllFrom(path, state), 'one\ntwo\nthree\n');
  const book = positions(state);
  const [position] = book.list();
  t.match(position, { source: path, offset: 14 });
  const id = position?.id ?? '';
  await book.set(id, 4);
  t.same(book.list(), [{ source: path, id, offset: 4 }]);
  t.equal(await takeAllFrom(path, state), 'two\nthree\n');
  for (const [wrongId, offset] of [
    ['other', 0],
    [id, 15],
    [id, -1],
    [id, 1.5],
  ] as const) {
    await t.rejects(book.set(wrongId, offset), { name: 'PluginError' });
  }
  await book.forget(id);
  t.same(book.list(), []);
  t.equal(await takeAllFrom(path, state), 'one\ntwo\nthree\n');
  const [again] = book.list();
  writeFileSync(path, 'something else\n');
  await t.rejects(book.set(again?.id ?? '', 0), { message: /has other contents/ });
  rmSync(path);
  await t.rejects(book.set(again?.id ?? '', 0), { message: /cannot be opened/ });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { type OutputBatch, pluginErrorKind } from '@chukcha/plugin-api';
import { type OutputTarget, outputConformance } from '@chukcha/plugin-api/conformance';
import t from 'tap';
import type { ByteTarget } from '../src/byte-target.js';
import { createFileTarget } from '../src/file-target.js';
import listPlugins from '../src/hook.js';
import { createFormatter, createStdoutOutput } from '../src/stdout-output.js';
import { createStreamTarget } from '../src/stream-target.js';

const never = new AbortController().signal;

/** A pipe whose reader takes everything at once. */
async function createPipe(): Promise<OutputTarget> {
  const stream = new PassThrough();
  const pieces: Buffer[] = [];
  stream.on('data', (piece: Buffer) => pieces.push(Buffer.from(piece)));
  return {
    open: async () => createStdoutOutput(createStreamTarget(stream)),
    received: async () => Buffer.concat(pieces),
    close: async () => {
      stream.destroy();
    },
  };
}

function createFile(directory: string): OutputTarget {
  const path = join(directory, 'out');
  const descriptor = openSync(path, 'w');
  return {
    open: async () => createStdoutOutput(createFileTarget(descriptor)),
    received: async () => readFileSync(path),
    close: async () => closeSync(descriptor),
  };
}

/** What is printed of these bytes with these options. */
async function print(
  content: string | Buffer,
  options: Readonly<Record<string, unknown>>,
  { isTerminal = false, environment = {} } = {},
): Promise<string> {
  const pieces: Buffer[] = [];
  const target: ByteTarget = {
    pieceBytesMax: 100,
    write: async (bytes) => pieces.push(Buffer.from(bytes)) && bytes.length,
    release: () => undefined,
  };
  const output = createStdoutOutput(target, createFormatter(options, isTerminal, environment));
  const bytes = Buffer.from(content);
  await output.write({ ...createBatch('', 'print'), offset: 1_000, bytes }, never);
  return Buffer.concat(pieces).toString();
}

function createBatch(text: string, token = text): OutputBatch {
  const bytes = Buffer.from(text);
  return {
    category: 'logs',
    cluster: 'c1',
    chunk: 'node1-chunk000000000',
    offset: 0,
    bytes,
    messageCount: 1,
    token,
  };
}

t.test('a pipe', async (t) => {
  for (const { name, run } of outputConformance({ createTarget: createPipe })) t.test(name, run);
});

t.test('a file', async (t) => {
  let count = 0;
  const createTarget = async (): Promise<OutputTarget> => {
    count += 1;
    return createFile(`${t.testdir({ [`${count}`]: {} })}/${count}`);
  };
  for (const { name, run } of outputConformance({ createTarget })) t.test(name, run);
});

t.test('the package offers the plugin, and its module opens', async (t) => {
  const [plugin, ...others] = await listPlugins();
  t.same(others, []);
  t.match(plugin, { name: 'stdout', kind: 'output' });
  t.type((await plugin?.load())?.open, 'function');
});

t.test('a write does not resolve before a slow reader has taken the bytes', async (t) => {
  const finish: (() => void)[] = [];
  const stream = new Writable({
    highWaterMark: 1,
    write: (_piece, _encoding, done) => {
      finish.push(done);
    },
  });
  const output = createStdoutOutput(createStreamTarget(stream));
  let resolved = false;
  const write = output.write(createBatch('slow\n'), never).then(() => {
    resolved = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(resolved, false);
  finish.shift()?.();
  await write;
  t.equal(resolved, true);
});

t.test(
  'an aborted write keeps none of the batch, and a retry goes on where it stopped',
  async (t) => {
    const pieces: string[] = [];
    let finish: (() => void) | undefined;
    const stream = new Writable({
      write: (piece: Buffer, _encoding, done) => {
        finish = () => {
          pieces.push(piece.toString());
          done();
        };
      },
    });
    const output = createStdoutOutput(createStreamTarget(stream));
    const abort = new AbortController();
    const batch = createBatch('held back\n');
    const expected = batch.bytes.slice();
    const write = output.write(batch, abort.signal);
    await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    await t.rejects(write);
    batch.bytes.fill(0);
    finish?.();
    await output.write({ ...batch, bytes: expected }, never);
    t.same(pieces, ['held back\n'], 'the piece in the stream counts as written');
  },
);

t.test('a failed write goes on behind a short one, so no byte is doubled or lost', async (t) => {
  let written = '';
  let room = 3;
  const target: ByteTarget = {
    pieceBytesMax: 100,
    write: async (bytes) => {
      if (room === 0) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      const count = Math.min(room, bytes.length);
      room -= count;
      written += Buffer.from(bytes.subarray(0, count)).toString();
      return count;
    },
    release: () => undefined,
  };
  const output = createStdoutOutput(target);
  const batch = createBatch('one\ntwo\n');
  const error = await output.write(batch, never).catch((thrown: unknown) => thrown);
  t.equal(pluginErrorKind(error), 'operator');
  t.match(error, { message: /no space left on device.*goes on where it stopped/ });
  room = 100;
  await output.write(batch, never);
  t.equal(written, 'one\ntwo\n');
});

t.test('a reader that is gone is a closed output', async (t) => {
  const stream = new PassThrough();
  const output = createStdoutOutput(createStreamTarget(stream));
  await output.write(createBatch('one\n'), never);
  stream.destroy(Object.assign(new Error('broken pipe'), { code: 'EPIPE' }));
  await new Promise((resolve) => stream.once('close', resolve));
  for (const attempt of ['first', 'second']) {
    const error = await output
      .write(createBatch('two\n'), never)
      .catch((thrown: unknown) => thrown);
    t.equal(pluginErrorKind(error), 'closed', `${attempt} write after the end`);
  }
  await output.close();
});

t.test('a process that prints through it', async (t) => {
  const module = new URL('../src/stdout-output.js', import.meta.url).href;
  const program = `
    import { open } from ${JSON.stringify(module)};
    const output = await open({ format: 'raw' }, { category: 'logs' });
    const bytes = Buffer.from('0123456789abcde\\n'.repeat(64 * 1024));
    let kind = 'written';
    try {
      for (let token = 0; token < 3; token += 1) {
        await output.write({ bytes, token: String(token) }, new AbortController().signal);
      }
    } catch (error) {
      kind = error.kind;
    }
    await output.close();
    process.stderr.write(kind);
  `;
  const start = (stdout: 'pipe' | number) =>
    spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', stdout, 'pipe'],
    });

  t.test('fills a pipe of a slow reader with all bytes', async (t) => {
    const child = start('pipe');
    let count = 0;
    for await (const piece of child.stdout ?? []) {
      count += (piece as Buffer).length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    t.equal(count, 3 * 1024 * 1024);
  });

  t.test('fills a file with all bytes', async (t) => {
    const path = join(t.testdir(), 'out');
    const descriptor = openSync(path, 'w');
    const child = start(descriptor);
    closeSync(descriptor);
    await once(child, 'exit');
    t.equal(readFileSync(path).length, 3 * 1024 * 1024);
  });

  t.test('sees a pipe that its reader closed', async (t) => {
    const child = start('pipe');
    let kind = '';
    child.stderr?.on('data', (piece: Buffer) => {
      kind += piece.toString();
    });
    child.stdout?.once('data', () => child.stdout?.destroy());
    const [code] = (await once(child, 'close')) as [number];
    t.equal(kind, 'closed');
    t.equal(code, 0);
  });
});

t.test(
  'json prints each message with its coordinates, and its bytes can be had back',
  async (t) => {
    const messages = ['plain', '{"a":1}', '', 'tab\t"quote" \u001b[31m \u009b31m'].map((text) =>
      Buffer.from(text),
    );
    messages.push(Buffer.from([0xff, 0x80, 0x41]));
    const content = Buffer.concat(messages.flatMap((message) => [message, Buffer.from('\n')]));
    const printed = await print(content, { format: 'json' });
    t.notMatch(
      printed,
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/,
      'nothing that a terminal obeys',
    );
    const objects = printed
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    t.same(objects[0], {
      category: 'logs',
      chunk: 'node1-chunk000000000',
      offset: 1_000,
      message: 'plain',
    });
    t.same(
      objects.map(({ offset }) => offset),
      [1_000, 1_006, 1_014, 1_015, 1_039],
    );
    for (const [index, { message, message_base64 }] of objects.entries()) {
      const bytes =
        message === undefined ? Buffer.from(message_base64, 'base64') : Buffer.from(message);
      t.ok(bytes.equals(messages[index] as Buffer));
    }
  },
);

t.test('pretty shows time, level and message first, and other fields behind them', async (t) => {
  const lines = [
    '{"host":"a","msg":"it works","level":"info","time":"2026-01-01T00:00:00Z","n":1,"deep":{"x":[1]},"text":"two words"}',
    '{"time":1767225600000,"level":50,"message":"numbers"}',
    '{"@timestamp":1767225600,"severity":"WARNING","__proto__":{"a":1}}',
    'plain text\r',
    '[1,2]',
    '{}',
    '{"level":{"not":"a text"},"message":null}',
  ];
  t.equal(
    await print(`${lines.join('\n')}\n`, { format: 'pretty' }),
    [
      '2026-01-01T00:00:00Z INFO  it works host=a n=1 deep={"x":[1]} text="two words"',
      '2026-01-01T00:00:00.000Z ERROR numbers',
      '2026-01-01T00:00:00.000Z WARNING __proto__={"a":1}',
      'plain text',
      '[1,2]',
      '{}',
      'level={"not":"a text"} message=null',
      '',
    ].join('\n'),
  );
  t.equal(
    await print('plain\n', { format: 'pretty', coordinates: true }),
    'node1-chunk000000000:1000 plain\n',
  );
});

t.test('pretty is coloured on a terminal only, unless it is told', async (t) => {
  const isColored = async (options: object, surroundings: object): Promise<boolean> =>
    (
      await print('{"level":"error","msg":"x"}\n', { format: 'pretty', ...options }, surroundings)
    ).includes('\u001b[31m');
  t.equal(await isColored({}, {}), false);
  t.equal(await isColored({}, { isTerminal: true }), true);
  t.equal(await isColored({}, { isTerminal: true, environment: { NO_COLOR: '1' } }), false);
  t.equal(await isColored({}, { isTerminal: true, environment: { TERM: 'dumb' } }), false);
  t.equal(await isColored({ color: 'always' }, { environment: { NO_COLOR: '1' } }), true);
  t.equal(await isColored({ color: 'never' }, { isTerminal: true }), false);
  t.match(
    await print('{"level":"fatal"}\n{"level":"debug"}\n{"level":"warn"}\n{"level":"info"}\n', {
      format: 'pretty',
      color: 'always',
    }),
    /1;31.*FATAL.*\n.*\[2m.*\n.*\[33m.*\n.*\[32m/,
  );
});

t.test('pretty never throws, and lets nothing through that a terminal obeys', async (t) => {
  const attacks = [
    '\u001b]0;title\u0007 \u001b[2J \u009b31m back\u0008space \u007f cr\rover',
    '{"msg":"\\u001b[31mred\\u009b2J\\nsecond line","\\u001b[1mkey":"\\u001b]52;c;x\\u0007","level":"\\u001b[5m"}',
    'order \u202e reversed \u2066 isolate',
    '{"broken":',
    `{"deep":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
    '{"time":1e300,"level":-0}',
  ].map((text) => Buffer.from(text));
  attacks.push(Buffer.from([0xfe, 0x1b, 0x5b, 0x41, 0xc3, 0x28, 0xe2, 0x82, 0xf0, 0x9f, 0x98]));
  attacks.push(Buffer.from([0xc2, 0x9b, 0xef, 0xbf, 0xbd, 0xed, 0xa0, 0x80]));
  // Bytes by a fixed seed, with many that mean something.
  let seed = 7;
  for (let count = 0; count < 300; count += 1) {
    const bytes = Buffer.alloc(40);
    for (let index = 0; index < bytes.length; index += 1) {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      const chosen =
        [0x1b, 0x9b, 0xc2, 0x7b, 0x7d, 0x22, 0x5c, 0x0d][(seed >> 8) % 32] ?? (seed >> 8) & 0xff;
      bytes[index] = chosen === 0x0a ? 0x20 : chosen;
    }
    attacks.push(bytes);
  }
  const content = Buffer.concat(attacks.flatMap((attack) => [attack, Buffer.from('\n')]));
  const printed = await print(content, { format: 'pretty' });
  t.equal(
    printed.split('\n').length,
    attacks.length + 1,
    'a line for each message, whatever it says',
  );
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const obeyed = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
  t.notMatch(printed, obeyed);
  const lines = printed.split('\n');
  t.equal(lines[0], '\\x1b]0;title\\x07 \\x1b[2J \\x9b31m back\\x08space \\x7f cr\\x0dover');
  t.equal(lines[6], '\\xfe\\x1b[A\\xc3(\\xe2\\x82\\xf0\\x9f\\x98');
  t.equal(lines[7], '\\x9b\ufffd\\xed\\xa0\\x80');
});

t.test(
  'what is printed in a format goes on where it stopped, and no line is doubled',
  async (t) => {
    const content = Array.from(
      { length: 5_000 },
      (_, index) => `{"msg":"message ${index}"}\n`,
    ).join('');
    const expected = Array.from({ length: 5_000 }, (_, index) => `message ${index}\n`).join('');
    let written = '';
    let calls = 0;
    const target: ByteTarget = {
      pieceBytesMax: 1_000,
      write: async (bytes) => {
        calls += 1;
        if (calls % 7 === 0) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
        const count = Math.max(1, bytes.length >> 1);
        written += Buffer.from(bytes.subarray(0, count)).toString();
        return count;
      },
      release: () => undefined,
    };
    const output = createStdoutOutput(target, createFormatter({ format: 'pretty' }, false, {}));
    for (let isDone = false; !isDone; ) {
      const batch = createBatch(content, 'formatted');
      isDone = await output.write(batch, never).then(
        () => true,
        () => false,
      );
      batch.bytes.fill(0);
    }
    t.equal(written, expected);
  },
);

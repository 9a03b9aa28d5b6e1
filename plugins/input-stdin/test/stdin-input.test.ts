import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { type Input, type InputBatch, pluginErrorKind } from '@chukcha/plugin-api';
import {
  createTestContext,
  createTestLog,
  createTestMetrics,
  inputConformance,
  soon,
} from '@chukcha/plugin-api/conformance';
import t from 'tap';
import listPlugins from '../src/hook.js';
import { createStdinInput } from '../src/stdin-input.js';

const MIB = 1024 * 1024;

/** Starts to read; `next` gives the text of the next batch, or undefined at the end. */
function startReading(input: Input) {
  const abort = new AbortController();
  const iterator = input.batches(abort.signal)[Symbol.asyncIterator]();
  const next = async (): Promise<InputBatch | undefined> => {
    const result = await soon(iterator.next(), 'a batch or the end');
    return result.done === true ? undefined : result.value;
  };
  return { abort, iterator, next };
}

function textOf(batch: InputBatch | undefined): string | undefined {
  return batch && Buffer.from(batch.bytes).toString();
}

t.test('conformance', async (t) => {
  const cases = inputConformance({
    remembers: false,
    endless: false,
    createSource: async (lines) => {
      const bytes = Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]));
      const stream = new PassThrough();
      stream.end(bytes);
      return {
        open: async (context) => createStdinInput(stream, context),
        close: async () => {
          stream.destroy();
        },
      };
    },
  });
  for (const { name, run } of cases) t.test(name, run);
});

t.test('the package offers the plugin', async (t) => {
  const [plugin, ...others] = await listPlugins();
  t.same(others, []);
  t.match(plugin, { name: 'stdin', kind: 'input' });
});

t.test('lines come as soon as they are whole, and pieces of a line wait for its end', async (t) => {
  const stream = new PassThrough();
  const input = createStdinInput(stream, createTestContext());
  const { next, abort } = startReading(input);
  stream.write('one\ntw');
  t.equal(textOf(await next()), 'one\n');
  stream.write('o');
  stream.write('\r\n\nthr');
  t.equal(textOf(await next()), 'two\r\n\n');
  abort.abort();
  t.equal(await next(), undefined, 'an unfinished line is not yielded after an abort');
  await input.close();
  t.ok(stream.destroyed);
});

t.test('a missing newline at the end is added, and the log says so', async (t) => {
  const log = createTestLog();
  const stream = new PassThrough();
  const input = createStdinInput(stream, createTestContext({ log }));
  const { next } = startReading(input);
  stream.end('one\ntwo');
  t.equal(textOf(await next()), 'one\n');
  t.equal(textOf(await next()), 'two\n');
  t.equal(await next(), undefined);
  t.equal(
    (await log.waitFor('Added the missing newline at the end of standard input.')).level,
    'info',
  );
  await input.close();
});

t.test('an empty input ends at once', async (t) => {
  const stream = new PassThrough();
  stream.end();
  const input = createStdinInput(stream, createTestContext());
  t.equal(await startReading(input).next(), undefined);
  await input.close();
});

t.test('many small pieces are gathered into large batches while the host is busy', async (t) => {
  const stream = new PassThrough({ highWaterMark: 4 * MIB });
  const input = createStdinInput(stream, createTestContext());
  const { next } = startReading(input);
  const line = `${'x'.repeat(99)}\n`;
  const lineCount = 30_000;
  for (let index = 0; index < lineCount; index += 1) stream.write(line);
  stream.end();
  const sizes: number[] = [];
  for (let batch = await next(); batch !== undefined; batch = await next()) {
    sizes.push(batch.bytes.length);
    t.ok(batch.bytes.length <= MIB);
  }
  t.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    lineCount * line.length,
  );
  t.ok(sizes.length <= 6, `${sizes.length} batches`);
  await input.close();
});

t.test(
  'a line that is too long is refused with its number, behind the lines before it',
  async (t) => {
    for (const { name, tail } of [
      { name: 'without an end', tail: 'x'.repeat(20) },
      { name: 'with an end in the same block', tail: `${'x'.repeat(20)}\nafter\n` },
      { name: 'at the end of the input', tail: 'x'.repeat(16) },
    ]) {
      const stream = new PassThrough();
      const context = createTestContext({ messageBytesMax: 16, batchBytesMax: 64 });
      const input = createStdinInput(stream, context);
      const { next } = startReading(input);
      stream.end(`one\n\n${'y'.repeat(15)}\n${tail}`);
      t.equal(textOf(await next()), `one\n\n${'y'.repeat(15)}\n`, name);
      const error = await next().catch((thrown: unknown) => thrown);
      t.equal(pluginErrorKind(error), 'data', name);
      t.match(error, { message: /^Line 4 of standard input is longer than 16 bytes/ }, name);
      await input.close();
    }
  },
);

t.test('the longest line that is allowed passes, also without its newline', async (t) => {
  const stream = new PassThrough();
  const input = createStdinInput(
    stream,
    createTestContext({ messageBytesMax: 16, batchBytesMax: 16 }),
  );
  const { next } = startReading(input);
  stream.end(`${'a'.repeat(15)}\n${'b'.repeat(15)}`);
  t.equal(textOf(await next()), `${'a'.repeat(15)}\n`);
  t.equal(textOf(await next()), `${'b'.repeat(15)}\n`);
  t.equal(await next(), undefined);
  await input.close();
});

t.test(
  'reading stops while 8 MiB are unsettled, and goes on when a batch is settled',
  async (t) => {
    const stream = new PassThrough();
    const input = createStdinInput(stream, createTestContext());
    const { next, iterator } = startReading(input);
    const line = Buffer.alloc(64 * 1024, 'x');
    line[line.length - 1] = 0x0a;
    let writtenBytes = 0;
    const pump = (): void => {
      while (!stream.writableEnded && writtenBytes < 32 * MIB) {
        writtenBytes += line.length;
        if (!stream.write(line)) {
          stream.once('drain', pump);
          return;
        }
      }
      stream.end();
    };
    pump();
    const batches: InputBatch[] = [];
    for (let bytes = 0; bytes < 8 * MIB; ) {
      const batch = await next();
      if (batch === undefined) throw new Error('The input has ended.');
      bytes += batch.bytes.length;
      batches.push(batch);
    }
    const pending = iterator.next();
    // The input asks for no more once its block is full; the writer stands still then.
    for (let before = -1; before !== writtenBytes; ) {
      before = writtenBytes;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    t.ok(writtenBytes < 11 * MIB, `${writtenBytes} bytes were read`);
    await batches.shift()?.ack();
    t.not((await soon(pending, 'the next batch')).done, true);
    for (const batch of batches) await batch.nack(new Error('refused'));
    for (let batch = await next(); batch !== undefined; batch = await next()) await batch.ack();
    t.equal(writtenBytes, 32 * MIB);
    await input.close();
  },
);

t.test('a broken stream ends the input with an error, behind the lines that came', async (t) => {
  const stream = new PassThrough();
  const input = createStdinInput(stream, createTestContext());
  const { next } = startReading(input);
  stream.write('one\n');
  t.equal(textOf(await next()), 'one\n');
  stream.destroy(new Error('the cable was cut'));
  const error = await next().catch((thrown: unknown) => thrown);
  t.equal(pluginErrorKind(error), 'operator');
  t.match(error, { message: /could not be read \(the cable was cut\)/ });
  await input.close();
});

t.test('the real standard input of a process is read to its end', async (t) => {
  const program = `
    import { open } from ${JSON.stringify(new URL('../src/stdin-input.js', import.meta.url).href)};
    import { createTestContext } from '@chukcha/plugin-api/conformance';
    const input = await open({}, createTestContext());
    let byteCount = 0;
    for await (const batch of input.batches(new AbortController().signal)) {
      byteCount += batch.bytes.length;
      await batch.ack();
    }
    await input.close();
    console.log(byteCount);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
    cwd: import.meta.dirname,
  });
  let printed = '';
  child.stdout.on('data', (piece: Buffer) => {
    printed += piece.toString();
  });
  child.stdin.end(`${'line\n'.repeat(500_000)}last`);
  const [code] = (await once(child, 'close')) as [number];
  t.equal(code, 0);
  t.equal(printed, `${5 * 500_000 + 5}\n`);
});

t.test(
  'messages that are ended by NUL become lines, and newlines in them stay visible',
  async (t) => {
    const input = 'one\0two\nlines\n\0\0three\r\0back\\slash\0last\nwithout end';
    const expected = 'one\ntwo\\nlines\\n\n\nthree\r\nback\\slash\nlast\\nwithout end\n';
    for (const size of [1, 2, 3, 7, 1000]) {
      const metrics = createTestMetrics();
      const log = createTestLog();
      const stream = new PassThrough();
      const options = { separator: 'nul' };
      const reading = createStdinInput(stream, createTestContext({ metrics, log }), options);
      const { next } = startReading(reading);
      for (let at = 0; at < input.length; at += size) stream.write(input.slice(at, at + size));
      stream.end();
      let text = '';
      for (let batch = await next(); batch !== undefined; batch = await next()) {
        text += textOf(batch);
        await batch.ack();
      }
      t.equal(text, expected, `${size} bytes at a time`);
      t.equal(metrics.values.get('joined_messages_total'), 2);
      await log.waitFor('The last message of standard input had no NUL at its end.');
      await reading.close();
    }
  },
);

t.test('a message ended by NUL that is too long is refused with its number', async (t) => {
  const stream = new PassThrough();
  const context = createTestContext({ messageBytesMax: 16, batchBytesMax: 64 });
  const input = createStdinInput(stream, context, { separator: 'nul' });
  const { next } = startReading(input);
  stream.end(`one\0${'\n'.repeat(8)}\0`);
  t.equal(textOf(await next()), 'one\n');
  t.match(await next().catch((thrown: unknown) => thrown), { message: /^Line 2 of/ });
  await input.close();
});

t.test('while the bus is away the writer of the pipe waits, in both modes', async (t) => {
  for (const separator of ['newline', 'nul']) {
    const stream = new PassThrough();
    const input = createStdinInput(stream, createTestContext(), { separator });
    const { iterator, next } = startReading(input);
    const piece = Buffer.alloc(64 * 1024, separator === 'nul' ? 'xxx\0' : 'xxx\n');
    let written = 0;
    // Whoever writes stops when the stream says that it is full, and goes on when it says so.
    const write = (): void => {
      while (written < 24 * MIB) {
        written += piece.length;
        if (!stream.write(Buffer.from(piece))) return;
      }
      stream.end();
    };
    stream.on('drain', write);
    write();
    // Nothing is settled: batches come up to a bound, and then no more.
    const unsettled: InputBatch[] = [];
    let bytes = 0;
    while (bytes < 8 * MIB) {
      const batch = await next();
      if (batch === undefined) throw new Error('The input ended early.');
      unsettled.push(batch);
      bytes += batch.bytes.length;
    }
    const further = iterator.next();
    for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    t.ok(written < 11 * MIB, `${written} bytes were written`);
    for (const batch of unsettled) await batch.ack();
    let last = await further;
    while (last.done !== true) {
      bytes += last.value.bytes.length;
      await last.value.ack();
      last = await iterator.next();
    }
    t.equal(bytes, 24 * MIB, 'nothing is lost when it is back');
    await input.close();
  }
});

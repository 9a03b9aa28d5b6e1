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
import { createStdoutOutput } from '../src/stdout-output.js';
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

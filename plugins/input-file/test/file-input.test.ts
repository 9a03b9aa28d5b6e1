import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32, gzipSync } from 'node:zlib';
import { type PluginState, pluginErrorKind } from '@chukcha/plugin-api';
import {
  createMemoryState,
  createTestContext,
  createTestLog,
  createTestMetrics,
  inputConformance,
  soon,
} from '@chukcha/plugin-api/conformance';
import t from 'tap';
import { positions } from '../src/file-input.js';
import listPlugins from '../src/hook.js';
import { FileRun, openInput, takeBatches } from './support/file-run.js';

const shorter = 'A file is shorter than what was read of it; reading it from its beginning.';
const replaced =
  'A file has other contents than what was read of it; reading it from its beginning.';
const newlineAdded = 'Added the missing newline at the end of the file.';

interface SavedCheckpoint {
  readonly path: string;
  readonly offset: number;
  readonly lostMs?: number;
}

function checkpoints(state: PluginState): SavedCheckpoint[] {
  return [...state.entries()].map(([, value]) => value as SavedCheckpoint);
}

function byPath(state: PluginState): Map<string, SavedCheckpoint> {
  return new Map(checkpoints(state).map((checkpoint) => [checkpoint.path, checkpoint]));
}

t.test('conformance', async (t) => {
  let count = 0;
  const cases = inputConformance({
    remembers: true,
    endless: false,
    originates: true,
    replays: true,
    explains: true,
    positions,
    createSource: async (lines) => {
      count += 1;
      const path = join(t.testdir({ [`${count}`]: {} }), `${count}`, 'app.log');
      writeFileSync(path, Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')])));
      return {
        open: (context) => openInput({ paths: [path] }, context),
        close: async () => undefined,
      };
    },
  });
  for (const { name, run } of cases) t.test(name, run);
});

t.test('the package offers the plugin', async (t) => {
  const [plugin, ...others] = await listPlugins();
  t.same(others, []);
  t.match(plugin, { name: 'file', kind: 'input' });
  t.same(plugin?.parseAddress?.('/var/log/{a,b}.log,c.log'), {
    paths: ['/var/log/{a,b}.log', 'c.log'],
  });
  t.throws(() => plugin?.parseAddress?.(''), /^Expected file:<path or glob>/);
  t.throws(() => plugin?.parseAddress?.('a,,b'), /^Expected file:<path or glob>/);
});

t.test('once', async (t) => {
  t.test(
    'reads the files in the order of their names, adds a missing newline, and ends',
    async (t) => {
      const directory = t.testdir({
        'b.log': 'b1\r\n\nb2',
        'a.log': 'a1\na2\n',
        'c.txt': 'no\n',
        'd.log': '',
      });
      const state = createMemoryState();
      const options = { paths: [`${directory}/*.log`] };
      const run = await FileRun.start(options, { state, once: true });
      await run.end();
      t.equal(run.text, 'a1\na2\nb1\r\n\nb2\n');
      const added = run.log.entries.filter(({ sentence }) => sentence === newlineAdded);
      t.match(added, [{ level: 'info', fields: { file: join(directory, 'b.log'), offset: 7 } }]);
      await run.close();
      t.match(checkpoints(state), [{ offset: 6 }, { offset: 7 }, { offset: 0 }]);

      // What comes behind an added newline is a line of its own.
      appendFileSync(join(directory, 'b.log'), 'b3\n');
      const next = await FileRun.start(options, { state, once: true });
      await next.end();
      t.equal(next.text, 'b3\n');
      await next.close();
    },
  );

  t.test('cuts large files into blocks of whole lines', async (t) => {
    const text = Array.from({ length: 5000 }, (_, index) => `line ${index}\n`).join('');
    const directory = t.testdir({ 'a.log': text });
    const run = await FileRun.start(
      { paths: [`${directory}/a.log`], blockBytes: 4096 },
      { once: true },
    );
    await run.end();
    t.equal(run.text, text);
    await run.close();
  });

  t.test('a line longer than a block passes up to the limit of a message', async (t) => {
    const text = `short\n${'x'.repeat(9_999)}\nshort\n${'y'.repeat(9_999)}`;
    const directory = t.testdir({ 'a.log': text });
    const context = { once: true, messageBytesMax: 10_000 };
    const run = await FileRun.start({ paths: [`${directory}/a.log`], blockBytes: 1024 }, context);
    await run.end();
    t.equal(run.text, `${text}\n`);
    await run.close();
  });

  t.test('a line that is too long ends the input with its place', async (t) => {
    for (const [name, tail] of [
      ['with an end', `${'x'.repeat(1000)}\nafter\n`],
      ['without an end', 'x'.repeat(1000)],
    ] as const) {
      for (const blockBytes of [64, 4096]) {
        const directory = t.testdir({ 'a.log': `one\n\nthree\n${tail}` });
        const path = join(directory, 'a.log');
        const context = createTestContext({ once: true, messageBytesMax: 1000 });
        const more = { long_line: 'fail' };
        const input = await openInput({ paths: [path], blockBytes, more }, context);
        const { next } = takeBatches(input);
        t.equal(Buffer.from((await next())?.bytes ?? '').toString(), 'one\n\nthree\n', name);
        const error = await next().catch((thrown: unknown) => thrown);
        t.equal(pluginErrorKind(error), 'data');
        const message = `Line 4 of ${path} (at offset 11) is longer than 1000 bytes with its newline`;
        t.ok((error as Error).message.startsWith(message), (error as Error).message);
        await input.close();
      }
    }
  });

  t.test('a file that cannot be read does not stop the others, but the input fails', async (t) => {
    const directory = t.testdir({ 'a.log': 'a\n', 'c.log': 'c\n' });
    // Permissions do not stop root, a damaged file does.
    const packed = gzipSync('b\n');
    packed[packed.length - 8] = 0xff;
    writeFileSync(join(directory, 'b.log.gz'), packed);
    const log = createTestLog();
    const input = await openInput(
      { paths: [`${directory}/*.log*`] },
      createTestContext({ once: true, log }),
    );
    const { next } = takeBatches(input);
    t.equal((await next())?.bytes.toString(), 'a\n');
    t.equal((await next())?.bytes.toString(), 'c\n');
    const error = await next().catch((thrown: unknown) => thrown);
    t.equal(pluginErrorKind(error), 'operator');
    t.match(error, {
      message: /^1 of the files could not be read: .*b\.log\.gz \(incorrect data check/,
    });
    t.ok(log.entries.some(({ sentence }) => sentence === 'A file could not be read.'));
    await input.close();
  });

  t.test('a glob without a match is an error', async (t) => {
    const directory = t.testdir({ 'a.txt': '' });
    const opened = openInput({ paths: [`${directory}/*.log`] }, createTestContext({ once: true }));
    await t.rejects(opened, { kind: 'operator', message: /No file matches ".*\*\.log"/ });
  });

  t.test('excludes leave out files and the directories that a pattern finds', async (t) => {
    const directory = t.testdir({
      logs: {
        'a.log': 'a\n',
        'b.log.gz': 'no\n',
        old: { 'c.log': 'no\n' },
        new: { 'd.log': 'd\n' },
      },
    });
    const exclude = ['*.gz', 'old', 'logs'];
    const run = await FileRun.start({ paths: [`${directory}/logs/**`], exclude }, { once: true });
    await run.end();
    t.equal(run.text, 'a\nd\n');
    await run.close();
  });

  t.test('each file is read once, whatever number of paths lead to it', async (t) => {
    const directory = t.testdir({ 'a.log': 'a\n' });
    linkSync(join(directory, 'a.log'), join(directory, 'b.log'));
    symlinkSync(join(directory, 'a.log'), join(directory, 'c.log'));
    const paths = [`${directory}/c.log`, `${directory}/b.log`, `${directory}/*.log`];
    const run = await FileRun.start({ paths }, { once: true });
    await run.end();
    t.equal(run.text, 'a\n');
    await run.close();
  });
});

t.test('a path that leads to no file that can be read is refused with the reason', async (t) => {
  const directory = t.testdir({ 'secret.log': 'x\n', directory: {} });
  const cases: [string, RegExp][] = [
    ['missing.log', /missing\.log does not exist: check the path/],
    ['secret.log/below', /below does not exist/],
    ['directory', /is a directory, and a file was expected: name the files in it/],
    ['[z-a].log', /The glob ".*" cannot be read/],
  ];
  if (process.getuid?.() !== 0) {
    chmodSync(join(directory, 'secret.log'), 0);
    cases.push(['secret.log', /may not be read by this user/]);
  }
  for (const [path, message] of cases) {
    for (const once of [false, true]) {
      const opened = openInput({ paths: [join(directory, path)] }, createTestContext({ once }));
      await t.rejects(opened, { kind: 'operator', message });
    }
  }
  const device = openInput({ paths: ['/dev/null'] }, createTestContext());
  await t.rejects(device, { kind: 'operator', message: /is not a regular file/ });
});

t.test('a name with glob characters in it is taken as it is when the file is there', async (t) => {
  const directory = t.testdir({ 'app[1].log': 'literal\n', 'app1.log': 'glob\n' });
  const run = await FileRun.start({ paths: [`${directory}/app[1].log`] }, { once: true });
  await run.end();
  t.equal(run.text, 'literal\n');
  await run.close();
});

t.test('following', async (t) => {
  t.test(
    'lines come when they are whole, from files that are there and from new ones',
    async (t) => {
      const directory = t.testdir({ 'a.log': 'a1\na', logs: {} });
      const paths = [`${directory}/*.log`, `${directory}/logs/**/*.log`];
      const run = await FileRun.start({ paths, exclude: ['*.skip.log'] });
      t.equal(await run.waitFor('a1\n'), 'a1\n');
      writeFileSync(join(directory, '0.skip.log'), 'excluded\n');
      appendFileSync(join(directory, 'a.log'), '2\n');
      t.equal(await run.waitFor('a1\na2\n'), 'a1\na2\n');
      mkdirSync(join(directory, 'logs/deep/er'), { recursive: true });
      writeFileSync(join(directory, 'logs/deep/er/b.log'), 'b1\n');
      t.equal(await run.waitFor('a1\na2\nb1\n'), 'a1\na2\nb1\n');
      await run.stop();
    },
  );

  t.test('what is not read is counted, also while nobody asks for more', async (t) => {
    const directory = t.testdir({ 'a.log': 'one\n', 'b.log.gz': gzipSync('packed\n') });
    const metrics = createTestMetrics();
    const paths = [`${directory}/*`];
    const input = await openInput({ paths }, createTestContext({ metrics }));
    const abort = new AbortController();
    const batches = input.batches(abort.signal)[Symbol.asyncIterator]();
    for (let count = 0; count < 2; count += 1) (await batches.next()).value?.ack();
    appendFileSync(join(directory, 'a.log'), 'two\nthree\n');
    const whenCounted = async (byteCount: number): Promise<void> => {
      while (metrics.values.get('unread_bytes') !== byteCount)
        await new Promise((ok) => setTimeout(ok, 10));
    };
    await soon(whenCounted(10), '10 bytes that are not read');
    t.equal(metrics.values.get('waiting_files'), 1);
    t.equal(metrics.values.get('failing_paths'), 0);
    (await batches.next()).value?.ack();
    const rest = batches.next();
    await soon(whenCounted(0), 'nothing that is not read');
    t.equal(metrics.values.get('waiting_files'), 0);
    abort.abort();
    await rest;
    await input.close();
  });

  t.test('hints alone are enough when polls are far apart', async (t) => {
    const directory = t.testdir({ 'a.log': 'a1\n' });
    const run = await FileRun.start({ paths: [`${directory}/*.log`], pollIntervalMs: 3_600_000 });
    await run.waitFor('a1\n');
    // The watch starts in the background; only what happens once it stands is hinted at.
    const line = 'x\n';
    let count = 0;
    const timer = setInterval(() => {
      appendFileSync(join(directory, 'a.log'), line);
      count += 1;
    }, 20);
    await run.waitFor(`a1\n${line}`);
    clearInterval(timer);
    await run.waitFor(`a1\n${line.repeat(count)}`);
    writeFileSync(join(directory, 'b.log'), 'new\n');
    t.ok((await run.waitFor(`a1\n${line.repeat(count)}new\n`)).endsWith('new\n'));
    await run.stop();
  });

  t.test('a glob without a match waits for a file', async (t) => {
    const directory = t.testdir({});
    const run = await FileRun.start({ paths: [`${directory}/*.log`] });
    t.equal((await run.log.waitFor('No file matches yet; waiting for one.')).level, 'warn');
    writeFileSync(join(directory, 'a.log'), 'a\n');
    t.equal(await run.waitFor('a\n'), 'a\n');
    await run.stop();
  });

  t.test(
    'read_from end starts behind what is there, at the start of an unfinished line',
    async (t) => {
      const directory = t.testdir({ 'a.log': 'old\nunfi', 'b.log': 'old\n' });
      const state = createMemoryState();
      const options = { paths: [`${directory}/*.log`], readFrom: 'end' as const };
      const run = await FileRun.start(options, { state });
      writeFileSync(join(directory, 'c.log'), 'new file\n');
      t.equal(
        await run.waitFor('new file\n'),
        'new file\n',
        'a new file is read from its beginning',
      );
      appendFileSync(join(directory, 'a.log'), 'nished\n');
      t.equal(await run.waitFor('new file\nunfinished\n'), 'new file\nunfinished\n');
      await run.stop();
      appendFileSync(join(directory, 'b.log'), 'while stopped\n');
      const next = await FileRun.start(options, { state });
      t.equal(
        await next.waitFor('while stopped\n'),
        'while stopped\n',
        'it has a checkpoint by now',
      );
      await next.stop();
    },
  );

  t.test('a large file does not keep the others waiting', async (t) => {
    const directory = t.testdir({ 'a.log': 'aaa\n'.repeat(1000), 'b.log': 'b\n' });
    const input = await openInput(
      { paths: [`${directory}/*.log`], blockBytes: 100 },
      createTestContext(),
    );
    const { next, abort } = takeBatches(input);
    t.match((await next())?.bytes.toString(), /^a/);
    t.equal((await next())?.bytes.toString(), 'b\n');
    abort.abort();
    t.equal(await next(), undefined);
    await input.close();
  });

  t.test(
    'a bounded number of blocks is with the host, and a settled one lets it go on',
    async (t) => {
      const directory = t.testdir({ 'a.log': 'aaa\n'.repeat(1000) });
      const input = await openInput(
        { paths: [`${directory}/*.log`], blockBytes: 100 },
        createTestContext(),
      );
      const { next, iterator, abort } = takeBatches(input);
      const batches = [];
      for (let count = 0; count < 8; count += 1) batches.push(await next());
      const copies = batches.map((batch) => Buffer.from(batch?.bytes ?? ''));
      let isResolved = false;
      const pending = iterator.next().finally(() => {
        isResolved = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 50));
      t.equal(isResolved, false);
      for (const [index, batch] of batches.entries())
        t.ok(copies[index]?.equals(batch?.bytes ?? Buffer.alloc(0)));
      await batches[3]?.nack(new Error('refused'));
      t.equal((await soon(pending, 'the next batch')).done, false);
      abort.abort();
      await input.close();
    },
  );

  t.test('a file that is deleted is read to its end, and its checkpoint goes', async (t) => {
    const directory = t.testdir({ 'a.log': 'a1\n', 'b.log': 'b\n' });
    const state = createMemoryState();
    const run = await FileRun.start({ paths: [`${directory}/*.log`] }, { state });
    await run.waitFor('a1\nb\n');
    appendFileSync(join(directory, 'a.log'), 'a2\na3');
    rmSync(join(directory, 'a.log'));
    t.equal(await run.waitFor('a1\nb\na2\na3\n'), 'a1\nb\na2\na3\n', 'its last line ends with it');
    await run.log.waitFor('A file is gone and was read to its end.');
    await run.stop();
    t.match(checkpoints(state), [{ path: join(directory, 'b.log') }]);
  });
});

t.test('rotation', async (t) => {
  t.test('by rename: the old file is read to its end, then the new one', async (t) => {
    const directory = t.testdir({ 'a.log': 'old 1\n' });
    const path = join(directory, 'a.log');
    for (const paths of [[path], [`${path}*`]]) {
      writeFileSync(path, 'old 1\n');
      const run = await FileRun.start({ paths, blockBytes: 64 });
      await run.waitFor('old 1\n');
      const old = Array.from({ length: 50 }, (_, index) => `old ${index + 2}\n`).join('');
      appendFileSync(path, old);
      renameSync(path, `${path}.1`);
      writeFileSync(path, 'new 1\n');
      const expected = `old 1\n${old}new 1\n`;
      t.equal(await run.waitFor(expected), expected);
      appendFileSync(`${path}.1`, 'late\n');
      t.equal(await run.waitFor(`${expected}late\n`), `${expected}late\n`);
      appendFileSync(path, 'new 2\n');
      t.equal(await run.waitFor(`${expected}late\nnew 2\n`), `${expected}late\nnew 2\n`);
      await run.stop();
      rmSync(`${path}.1`);
    }
  });

  t.test('by copy and truncation: the file is read from its beginning', async (t) => {
    const directory = t.testdir({ 'a.log': 'one\ntwo\n' });
    const path = join(directory, 'a.log');
    const state = createMemoryState();
    const run = await FileRun.start({ paths: [path] }, { state });
    await run.waitFor('one\ntwo\n');
    copyFileSync(path, `${path}.1`);
    truncateSync(path);
    await run.log.waitFor(shorter);
    appendFileSync(path, 'three\n');
    t.equal(await run.waitFor('one\ntwo\nthree\n'), 'one\ntwo\nthree\n');
    await run.stop();
    t.match(byPath(state).get(path), { offset: 6 });
    t.match(byPath(state).get(`${path}.1`), { offset: 8 }, 'the copy goes on with what was read');
  });

  t.test(
    'by truncation, and the file has grown beyond the old offset when it is seen',
    async (t) => {
      const directory = t.testdir({ 'a.log': 'one\n' });
      const path = join(directory, 'a.log');
      const run = await FileRun.start({ paths: [path] });
      await run.waitFor('one\n');
      writeFileSync(path, 'another, longer line\n');
      await run.log.waitFor(replaced);
      t.equal(await run.waitFor('one\nanother, longer line\n'), 'one\nanother, longer line\n');
      await run.stop();
    },
  );

  t.test('batches of the old contents no longer move the checkpoint', async (t) => {
    const directory = t.testdir({ 'a.log': 'one\ntwo\n' });
    const path = join(directory, 'a.log');
    const state = createMemoryState();
    const input = await openInput({ paths: [path] }, createTestContext({ state }));
    const { next, abort } = takeBatches(input);
    const old = await next();
    writeFileSync(path, 'new\n');
    t.equal((await next())?.bytes.toString(), 'new\n');
    await old?.ack();
    t.match(checkpoints(state), [{ offset: 0 }]);
    abort.abort();
    await next();
    await input.close();
  });
});

t.test('restart', async (t) => {
  t.test('goes on where it stopped, also when the file was renamed meanwhile', async (t) => {
    const directory = t.testdir({ 'a.log': 'one\n' });
    const path = join(directory, 'a.log');
    const state = createMemoryState();
    const options = { paths: [`${path}*`] };
    const first = await FileRun.start(options, { state });
    await first.waitFor('one\n');
    await first.stop();
    appendFileSync(path, 'two\n');
    renameSync(path, `${path}.1`);
    writeFileSync(path, 'three\n');
    const second = await FileRun.start(options, { state });
    t.equal((await second.waitFor('two\nthree\n')).split('\n').sort().join(), ',three,two');
    await second.stop();
  });

  t.test(
    'starts anew when the file was truncated or its inode is used by another file',
    async (t) => {
      for (const [name, contents, sentence] of [
        ['shorter', 'x\n', shorter],
        ['other contents of the same size', 'eno\n', replaced],
        ['other contents, longer', 'something else\n', replaced],
      ] as const) {
        const directory = t.testdir({ 'a.log': 'one\n' });
        const path = join(directory, 'a.log');
        const state = createMemoryState();
        const first = await FileRun.start({ paths: [path] }, { state });
        await first.waitFor('one\n');
        await first.stop();
        const before = statSync(path).ino;
        writeFileSync(path, contents);
        t.equal(statSync(path).ino, before);
        const second = await FileRun.start({ paths: [path] }, { state });
        t.equal(await second.waitFor(contents), contents, name);
        t.ok(
          second.log.entries.some((entry) => entry.sentence === sentence),
          name,
        );
        await second.stop();
        const live = checkpoints(state).filter((each) => each.lostMs === undefined);
        t.match(live, [{ version: 2, path, offset: contents.length }], name);
      }
    },
  );

  t.test('a state that cannot be read is none', async (t) => {
    const directory = t.testdir({ 'a.log': 'one\n' });
    const path = join(directory, 'a.log');
    const { dev, ino } = statSync(path);
    const head = { bytes: 0, crc32: 0 };
    for (const value of [null, 7, {}, { version: 3, path, offset: 4, head }]) {
      const state = createMemoryState([[`${dev}:${ino}`, value]]);
      const run = await FileRun.start({ paths: [path] }, { state, once: true });
      await run.end();
      t.equal(run.text, 'one\n');
      await run.close();
    }
  });
});

t.test('a checkpoint of version 1 is read on and becomes one of this version', async (t) => {
  const directory = t.testdir({ 'a.log': 'one\ntwo\n' });
  const path = join(directory, 'a.log');
  const { dev, ino } = statSync(path, { bigint: true });
  const old = { version: 1, path, offset: 4, head: { bytes: 4, crc32: crc32('one\n') } };
  const state = createMemoryState([[`${dev}:${ino}`, old]]);
  const run = await FileRun.start({ paths: [path] }, { state, once: true });
  await run.end();
  t.equal(run.text, 'two\n');
  await run.close();
  t.match(checkpoints(state), [{ version: 2, path, offset: 8, given: 8 }]);
});

t.test('files that swap their names are both read on', async (t) => {
  const directory = t.testdir({ 'a.log': 'a1\n', 'b.log': 'b1\n' });
  const path = (name: string): string => join(directory, name);
  const run = await FileRun.start({ paths: [`${directory}/?.log`] });
  await run.waitFor('a1\nb1\n');
  renameSync(path('a.log'), path('swap'));
  renameSync(path('b.log'), path('a.log'));
  renameSync(path('swap'), path('b.log'));
  appendFileSync(path('a.log'), 'b2\n');
  appendFileSync(path('b.log'), 'a2\n');
  const text = await run.waitFor('a1\nb1\na2\nb2\n');
  t.same(text.split('\n').sort(), ['', 'a1', 'a2', 'b1', 'b2']);
  await run.stop();
});

t.test(
  'rotations that are faster than the polls lose nothing where the system tells of changes',
  async (t) => {
    const directory = t.testdir({ 'r.log': 'start\n' });
    const path = join(directory, 'r.log');
    const run = await FileRun.start({ paths: [path], pollIntervalMs: 60_000 });
    let expected = 'start\n';
    await run.waitFor(expected);
    // The watch must be there before the first rotation; a line that is noticed shows that it is.
    while (run.text === 'start\n') {
      appendFileSync(path, 'probe\n');
      expected += 'probe\n';
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await run.waitFor(expected);
    for (let generation = 0; generation < 4; generation += 1) {
      renameSync(path, `${path}.${generation}`);
      const lines = `generation ${generation}\n`.repeat(50);
      writeFileSync(path, lines);
      expected += lines;
      t.equal(await run.waitFor(expected), expected);
    }
    await run.stop();
  },
);

t.test('a file that is another at every read is given up when it is read once', async (t) => {
  const run = await FileRun.start({ paths: ['/proc/self/status'] }, { once: true });
  await t.rejects(run.end(), { kind: 'operator', message: /its contents change at every read/ });
  await run.close();
});

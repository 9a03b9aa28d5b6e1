import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { createRandom } from './support/random.js';
import { RangeHost } from './support/range-host.js';

const modes = ['running', 'restarted', 'killed'] as const;

type Mode = (typeof modes)[number];

/** A program that writes numbered lines; each line is unique. */
class Writer {
  readonly lines = new Set<string>();
  readonly directory: string;
  readonly path: string;
  #count = 0;

  constructor(directory: string) {
    this.directory = directory;
    this.path = join(directory, 'app.log');
    this.write(20);
  }

  text(count: number): string {
    let text = '';
    for (let index = 0; index < count; index += 1) {
      this.#count += 1;
      const line = `${this.#count} ${'.'.repeat((this.#count * 7) % 40)}`;
      this.lines.add(line);
      text += `${line}\n`;
    }
    return text;
  }

  write(count: number, path = this.path): void {
    appendFileSync(path, this.text(count));
  }
}

interface RotationCase {
  readonly name: string;
  /** What is followed, in the directory. @default app.log* */
  readonly paths?: readonly string[];
  /** What happens between two times of writing. Nothing else runs meanwhile. */
  readonly rotate: (writer: Writer) => void;
  /** True when bytes that were not read before it are gone with the file, unless it is open. */
  readonly isDestructive?: boolean;
  readonly isPossible?: boolean;
}

function copyAndTruncate(writer: Writer, lineCount: number, isPacked = false): void {
  if (isPacked) writeFileSync(`${writer.path}.1.gz`, gzipSync(readFileSync(writer.path)));
  else copyFileSync(writer.path, `${writer.path}.1`);
  truncateSync(writer.path);
  writer.write(lineCount);
}

/** Writes a file in place of `app.log` with exactly as many bytes as it had. */
function writeSameSize(writer: Writer): void {
  const { size } = statSync(writer.path);
  copyFileSync(writer.path, `${writer.path}.1`);
  const start = writer.text(3);
  const line = 'x'.repeat(size - start.length - 1);
  writer.lines.add(line);
  truncateSync(writer.path);
  writeFileSync(writer.path, `${start}${line}\n`);
}

const otherFileSystem = '/dev/shm';
const hasOtherFileSystem =
  existsSync(otherFileSystem) && statSync(otherFileSystem).dev !== statSync('.').dev;

const cases: readonly RotationCase[] = [
  {
    name: 'rename',
    rotate: (writer) => {
      renameSync(writer.path, `${writer.path}.1`);
      writer.write(15);
    },
  },
  {
    name: 'rename to a name that no glob matches',
    paths: ['app.log'],
    rotate: (writer) => {
      renameSync(writer.path, `${writer.path}.1`);
      writer.write(15);
    },
  },
  {
    name: 'numbered, twice',
    rotate: (writer) => {
      for (let round = 0; round < 2; round += 1) {
        if (existsSync(`${writer.path}.1`)) renameSync(`${writer.path}.1`, `${writer.path}.2`);
        renameSync(writer.path, `${writer.path}.1`);
        writer.write(15);
      }
    },
  },
  {
    name: 'rename, a new file, late lines to the old one',
    rotate: (writer) => {
      renameSync(writer.path, `${writer.path}.1`);
      writer.write(15);
      writer.write(5, `${writer.path}.1`);
    },
  },
  {
    name: 'rename and gzip',
    rotate: (writer) => {
      renameSync(writer.path, `${writer.path}.1`);
      writer.write(15);
      writeFileSync(`${writer.path}.1.gz`, gzipSync(readFileSync(`${writer.path}.1`)));
      rmSync(`${writer.path}.1`);
    },
  },
  {
    name: 'rename and gzip, the packed file matches no glob',
    paths: ['app.log'],
    rotate: (writer) => {
      writeFileSync(`${writer.path}.1.gz`, gzipSync(readFileSync(writer.path)));
      rmSync(writer.path);
      writer.write(15);
    },
  },
  { name: 'copytruncate, then less', rotate: (writer) => copyAndTruncate(writer, 2) },
  { name: 'copytruncate, then as much', rotate: writeSameSize },
  { name: 'copytruncate, then more', rotate: (writer) => copyAndTruncate(writer, 200) },
  {
    name: 'copytruncate, the copy matches no glob',
    paths: ['app.log'],
    rotate: (writer) => copyAndTruncate(writer, 200),
  },
  {
    name: 'copytruncate with a packed copy',
    rotate: (writer) => copyAndTruncate(writer, 10, true),
  },
  {
    name: 'copytruncate twice',
    rotate: (writer) => {
      copyAndTruncate(writer, 30);
      renameSync(`${writer.path}.1`, `${writer.path}.2`);
      copyAndTruncate(writer, 5);
    },
    // Between the two nobody looked, while it is stopped: what was written between is known by its copy alone.
  },
  {
    name: 'delete and create (the inode may be the same)',
    isDestructive: true,
    rotate: (writer) => {
      rmSync(writer.path);
      writer.write(30);
    },
  },
  {
    name: 'delete while open',
    isDestructive: true,
    rotate: (writer) => rmSync(writer.path),
  },
  {
    name: 'truncate without a copy',
    isDestructive: true,
    rotate: (writer) => {
      truncateSync(writer.path);
      writer.write(30);
    },
  },
  {
    name: 'move to another file system',
    paths: ['app.log', 'other/app.log'],
    isPossible: hasOtherFileSystem,
    rotate: (writer) => {
      copyFileSync(writer.path, join(writer.directory, 'other/app.log'));
      rmSync(writer.path);
      writer.write(10, join(writer.directory, 'other/app.log'));
    },
  },
  {
    name: 'atomic replacement by a longer version',
    rotate: (writer) => {
      const next = join(writer.directory, '.next');
      writeFileSync(next, readFileSync(writer.path));
      writer.write(10, next);
      renameSync(next, writer.path);
    },
  },
  {
    name: 'a link that leads to another file',
    paths: ['current', 'app.log*'],
    rotate: (writer) => {
      const link = join(writer.directory, 'current');
      const next = join(writer.directory, 'next');
      writer.write(10, next);
      rmSync(link, { force: true });
      symlinkSync(next, link);
    },
  },
  {
    name: 'two files with the same first 2 KiB',
    rotate: (writer) => {
      const other = `${writer.path}.other`;
      const header = `${'#'.repeat(2047)}\n`;
      writer.lines.add(header.trim());
      writeFileSync(other, header);
      writer.write(10, other);
      writeFileSync(`${writer.path}-third`, header);
      writer.write(10, `${writer.path}-third`);
    },
  },
  {
    name: 'a line that is finished after the rename',
    rotate: (writer) => {
      const line = writer.text(1);
      appendFileSync(writer.path, line.slice(0, 1));
      renameSync(writer.path, `${writer.path}.1`);
      writer.write(5);
      appendFileSync(`${writer.path}.1`, line.slice(1));
    },
  },
];

const sharedHeader = '#'.repeat(2047);

async function runCase(rotation: RotationCase, mode: Mode, directory: string): Promise<string> {
  if (rotation.name === 'move to another file system') {
    const other = mkdtempSync(join(otherFileSystem, 'chukcha-'));
    symlinkSync(other, join(directory, 'other'));
  } else {
    mkdirSync(join(directory, 'other'));
  }
  const writer = new Writer(directory);
  if (rotation.paths?.[0] === 'current') symlinkSync(writer.path, join(directory, 'current'));
  const paths = (rotation.paths ?? ['app.log*']).map((path) => join(directory, path));
  // A literal path has to be there at the start; what matches it may come later.
  const globs = paths.map((path) => path.replace(/g$/, '[g]').replace(/t$/, '[t]'));
  const options = { paths: globs, blockBytes: 256 };
  const host = new RangeHost(options, createRandom(rotation.name.length));
  try {
    await host.start();
    await host.catchUp(writer.lines);
    host.isHolding = true;
    writer.write(60);
    if (mode === 'killed') {
      // Some batches are with the host, some bytes are not read.
      await host.whenHolding();
      if (rotation.isDestructive === true) await host.catchUp(writer.lines);
      await host.kill();
    } else if (mode === 'restarted') {
      await host.whenHolding();
      if (rotation.isDestructive === true) await host.catchUp(writer.lines);
      await host.stop();
    } else if (rotation.name.startsWith('truncate')) await host.catchUp(writer.lines);
    rotation.rotate(writer);
    if (mode !== 'running') await host.start();
    host.isHolding = false;
    await host.catchUp(writer.lines);
    if (existsSync(writer.path)) writer.write(10);
    await host.catchUp(writer.lines);
    // Once more, to see that nothing comes again.
    await host.stop();
    await host.start();
    if (existsSync(writer.path)) writer.write(1);
    await host.catchUp(writer.lines);
    await host.quiet();
  } finally {
    await host.close();
    if (rotation.name === 'move to another file system') {
      rmSync(join(directory, 'other/.'), { recursive: true, force: true });
    }
  }
  const lost = [...writer.lines].filter((line) => !host.bus.lines.has(line)).length;
  const duplicates = host.bus.duplicates.filter((line) => line !== sharedHeader).length;
  return `${lost}/${duplicates}`;
}

t.test('no rotation loses or repeats a line', async (t) => {
  t.jobs = 4;
  const directory = t.testdir({});
  const results = new Map<string, string>();
  const tests: Promise<unknown>[] = [];
  for (const [index, rotation] of cases.entries()) {
    for (const mode of modes) {
      const isPossible = rotation.isPossible ?? true;
      const done = t.test(
        `${rotation.name}, ${mode}`,
        { skip: !isPossible && 'no other file system here' },
        async (t) => {
          const own = join(directory, `${index}-${mode}`);
          mkdirSync(own);
          const result = await runCase(rotation, mode, own);
          results.set(`${index} ${mode}`, result);
          t.equal(result, '0/0', 'lost/repeated');
        },
      );
      tests.push(done);
    }
  }
  await Promise.all(tests);
  t.comment(
    `lost/repeated lines${' '.repeat(33)}${modes.map((mode) => mode.padStart(10)).join('')}`,
  );
  for (const [index, { name }] of cases.entries()) {
    const figures = modes.map((mode) => (results.get(`${index} ${mode}`) ?? '-').padStart(10));
    t.comment(`${name.padEnd(52)}${figures.join('')}`);
  }
});

/** Lines of which each is unique: `count` from a number on. */
function numbered(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `line ${from + index} ${'.'.repeat(20)}`);
}

const textOf = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

t.test('what cannot be told from another file comes again, and no more than that', async (t) => {
  const start = async (name: string, lines: readonly string[]) => {
    const directory = join(t.testdirName, name);
    mkdirSync(directory, { recursive: true });
    const path = join(directory, 'app.log');
    writeFileSync(path, textOf(lines));
    const host = new RangeHost({ paths: [`${path}*`] }, createRandom(1));
    t.teardown(() => host.close());
    await host.start();
    await host.catchUp(new Set(lines));
    return { path, host };
  };
  t.testdir({});

  const few = numbered(0, 4);
  t.ok(textOf(few).length < 256);
  const short = await start('short', few);
  await short.host.stop();
  const longer = [...few, ...numbered(4, 2)];
  writeFileSync(`${short.path}~`, textOf(longer));
  renameSync(`${short.path}~`, short.path);
  await short.host.start();
  await short.host.catchUp(new Set(longer));
  await short.host.quiet();
  t.same(short.host.bus.duplicates, few, 'a file of few bytes was replaced while it was stopped');

  const copied = numbered(0, 30);
  const between = numbered(30, 5);
  const truncated = await start('truncated', copied);
  copyFileSync(truncated.path, `${truncated.path}.1`);
  appendFileSync(truncated.path, textOf(between));
  await truncated.host.catchUp(new Set([...copied, ...between]));
  await truncated.host.stop();
  truncateSync(truncated.path);
  const after = numbered(35, 3);
  appendFileSync(truncated.path, textOf(after));
  await truncated.host.start();
  await truncated.host.catchUp(new Set([...copied, ...between, ...after]));
  await truncated.host.quiet();
  t.same(truncated.host.bus.duplicates, copied, 'the copy lacks what was read behind it');
});

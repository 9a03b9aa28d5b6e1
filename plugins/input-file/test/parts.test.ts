import { renameSync, writeFileSync } from 'node:fs';
import { createMemoryState, createTestContext } from '@chukcha/plugin-api/conformance';
import t from 'tap';
import { AckLedger } from '../src/ack-ledger.js';
import { BufferPool } from '../src/buffer-pool.js';
import { type Checkpoint, formatCheckpoint, parseCheckpoint } from '../src/checkpoint.js';
import { CheckpointBook } from '../src/checkpoint-book.js';
import { createFileFigures } from '../src/file-figures.js';
import { FileSet } from '../src/file-set.js';
import { isSameInode } from '../src/file-status.js';
import { expandBraces, parseExclude, parseGlob } from '../src/glob.js';
import {
  decideIdentity,
  type Evidence,
  fingerprintOf,
  type Look,
  type Verdict,
} from '../src/identity.js';
import { parsePathList } from '../src/path-list.js';
import { areRotationsOfOne } from '../src/rotated-names.js';

t.test('a list of paths is split at its commas', async (t) => {
  t.same(parsePathList('a.log,/b/{c,d}.log,e\\,f'), ['a.log', '/b/{c,d}.log', 'e\\,f']);
  t.same(parsePathList('///var/log/a}.log'), ['///var/log/a}.log']);
  for (const rest of ['', ',', 'a,'])
    t.throws(() => parsePathList(rest), /^Expected file:<path or glob>/);
});

t.test('a glob matches what a shell would match', async (t) => {
  const cases: [glob: string, matches: string[], others: string[]][] = [
    ['/l/*.log', ['/l/a.log', '/l/a.b.log'], ['/l/.a.log', '/l/d/a.log', '/l/a.logs', '/l/alog']],
    ['/l/.*.log', ['/l/.a.log'], ['/l/a.log']],
    ['/l/?.log', ['/l/a.log'], ['/l/.log', '/l/ab.log', '/l/..log']],
    ['/l/[ab].log', ['/l/a.log', '/l/b.log'], ['/l/c.log', '/l/ab.log']],
    ['/l/[a-c0]x', ['/l/bx', '/l/0x'], ['/l/dx', '/l/-x']],
    ['/l/[!ab]x', ['/l/cx'], ['/l/ax', '/l/.x']],
    ['/l/[]-]x', ['/l/]x', '/l/-x'], ['/l/ax']],
    ['/l/[ab', ['/l/[ab'], ['/l/a']],
    ['/l/**/a', ['/l/a', '/l/b/a', '/l/b/c/a'], ['/l/.b/a', '/k/a', '/l/ba']],
    ['/l/**', ['/l/a', '/l/b/c'], ['/l/.a', '/l', '/k/a']],
    ['/l/a**b', ['/l/ab', '/l/axb'], ['/l/a/b']],
    ['/l/{a,b{1,2}}.log', ['/l/a.log', '/l/b1.log', '/l/b2.log'], ['/l/b.log', '/l/{a.log']],
    ['/l/{a}', ['/l/{a}'], ['/l/a']],
    ['/l/\\*\\{a,b\\}', ['/l/*{a,b}'], ['/l/xa', '/l/*a']],
    ['/l/a+(b)|$^.x', ['/l/a+(b)|$^.x'], ['/l/aab']],
    ['*.log', ['/home/a.log'], ['/a.log']],
    ['../x', ['/x'], ['/home/x']],
  ];
  for (const [glob, matches, others] of cases) {
    const globs = parseGlob(glob, '/home');
    const isMatch = (path: string): boolean => globs.some((each) => each.matches(path));
    for (const path of matches) t.ok(isMatch(path), `${glob} matches ${path}`);
    for (const path of others) t.notOk(isMatch(path), `${glob} does not match ${path}`);
  }
  t.same(expandBraces('{a,}{1,2}'), ['a1', 'a2', '1', '2']);
  t.throws(() => expandBraces('{a,b}'.repeat(11)), /more than 1024 globs/);
});

t.test('a glob says whether it is a path, and where its matches are', async (t) => {
  const [path] = parseGlob('logs/a\\*.log', '/home');
  t.match(path, { isLiteral: true });
  t.equal(path?.toPath(), '/home/logs/a*.log');
  const [glob] = parseGlob('/var/log/*/app-?.log', '/');
  t.match(glob, { isLiteral: false });
  t.equal(glob?.toPath(), '/var/log');
});

t.test('an exclude without a slash is for names, one with a slash for paths', async (t) => {
  const byName = parseExclude('*.gz', '/home');
  t.ok(byName('/var/log/a.gz'));
  t.ok(byName('/var/.cache/.a.gz'), 'dots do not hide what is to be left out');
  t.notOk(byName('/var/log/a.log'));
  const byPath = parseExclude('old/*', '/home');
  t.ok(byPath('/home/old/a.log'));
  t.notOk(byPath('/var/old/a.log'));
  t.ok(parseExclude('/**/old/*', '/home')('/home/.me/old/.a.log'));
});

t.test('what a file is to a remembered one follows the table of identity', async (t) => {
  const contents = Buffer.from(Array.from({ length: 300 }, (_, n) => `line ${n}\n`).join(''));
  const evidence = (offset: number, changes: Partial<Evidence> = {}): Evidence => ({
    key: '1:2',
    born: '5',
    head: fingerprintOf(contents.subarray(0, 1024)),
    offset,
    marker: fingerprintOf(contents.subarray(Math.max(0, offset - 64), offset)),
    ...changes,
  });
  const look = (bytes: Buffer, known: Evidence, changes: Partial<Look> = {}): Look => ({
    key: '1:2',
    born: '5',
    size: bytes.length,
    head: bytes.subarray(0, 1024),
    tail: bytes.subarray(known.offset - known.marker.bytes, known.offset),
    ...changes,
  });
  const longer = Buffer.concat([contents, Buffer.from('more\n')]);
  const otherTail = Buffer.from(contents).fill('x', 1990, 2000);
  const otherHead = Buffer.from(contents).fill('x', 0, 9);
  const other = { key: '1:3', born: '6' };
  const known = evidence(2000);
  const none = { bytes: 0, crc32: 0 };
  const cases: [name: string, Evidence, Look, Verdict][] = [
    ['it has not changed', known, look(contents, known), 'same'],
    ['it has grown', known, look(longer, known), 'same'],
    ['it ends at the offset', known, look(contents.subarray(0, 2000), known), 'same'],
    ['it is one byte shorter', known, look(contents.subarray(0, 1999), known), 'truncated'],
    ['it is empty', known, look(Buffer.alloc(0), known), 'truncated'],
    ['the bytes before the offset differ', known, look(otherTail, known), 'replaced'],
    ['the head differs', known, look(otherHead, known), 'replaced'],
    ['the inode is of another day', known, look(contents, known, { born: '6' }), 'same'],
    ['it moved to another file system', known, look(longer, known, other), 'continued'],
    ['a copy is shorter', known, look(contents.subarray(0, 1999), known, other), 'other'],
    ['another one has the same head', known, look(otherTail, known, other), 'other'],
    ['another one has another head', known, look(otherHead, known, other), 'other'],
  ];
  const short = evidence(7, { head: fingerprintOf(contents.subarray(0, 7)) });
  cases.push(
    ['a short head has grown', short, look(contents, short), 'same'],
    [
      'a short head in a new inode of the same number',
      short,
      look(contents, short, { born: '6' }),
      'replaced',
    ],
    ['a short head elsewhere', short, look(contents, short, other), 'continued'],
    [
      'a time of birth that is not known says nothing',
      short,
      look(contents, short, { born: undefined }),
      'same',
    ],
  );
  const empty = evidence(0, { head: none, marker: none });
  cases.push(
    ['an empty file has grown', empty, look(contents, empty), 'same'],
    [
      'an empty file has nothing in common with others',
      empty,
      look(contents, empty, other),
      'other',
    ],
  );
  const old = evidence(2000, { marker: none });
  cases.push(['a checkpoint without a marker', old, look(otherTail, old), 'same']);
  for (const [name, from, found, verdict] of cases)
    t.equal(decideIdentity(from, found), verdict, name);
});

t.test('an inode is the same in one life of it', async (t) => {
  const status = { key: '1:2', born: '5', size: 1, modifiedNs: 1n, isDeleted: false };
  const { born: _, ...unborn } = status;
  t.ok(isSameInode(status, { ...status, size: 2, modifiedNs: 2n }));
  t.ok(isSameInode(status, unborn), 'a time of birth that is not known says nothing');
  t.notOk(isSameInode(status, { ...status, born: '6' }));
  t.notOk(isSameInode(status, { ...status, key: '1:3' }));
});

t.test('checkpoints are read as they were written, those of version 1 too', async (t) => {
  const mark = (offset: number) => ({
    offset,
    given: offset + 1,
    marker: { bytes: 64, crc32: offset },
  });
  const identity = { id: 'abc', path: '/a', key: '1:2', born: '7', head: { bytes: 9, crc32: 8 } };
  const checkpoint: Checkpoint = {
    ...{ version: 2, ...identity, ...mark(70), modifiedMs: 6 },
    islands: [{ from: 80, end: mark(90) }],
    lostMs: undefined,
  };
  const json = JSON.parse(JSON.stringify(formatCheckpoint(checkpoint)));
  t.same(
    parseCheckpoint('abc', json, () => 'x'),
    checkpoint,
  );
  t.equal(
    parseCheckpoint('other', json, () => 'x'),
    undefined,
  );
  const version1 = { version: 1, path: '/a', offset: 5, head: { bytes: 5, crc32: 1 } };
  t.match(
    parseCheckpoint('1:2', version1, () => 'made'),
    { id: 'made', key: '1:2', offset: 5, given: 5 },
  );
  for (const value of [
    null,
    7,
    {},
    { ...json, version: 3 },
    { ...json, marker: 1 },
    { ...version1, offset: -1 },
  ])
    t.equal(
      parseCheckpoint('abc', value, () => 'x'),
      undefined,
    );
});

t.test(
  'the low-water mark moves over what is accepted, and what is behind a hole is an island',
  async (t) => {
    const mark = (offset: number) => ({ offset, given: offset, marker: { bytes: 0, crc32: 0 } });
    const ledger = new AckLedger(mark(10));
    ledger.accept(20, mark(30));
    t.equal(ledger.lowWater.offset, 10);
    ledger.accept(40, mark(50));
    ledger.accept(30, mark(40));
    t.match(ledger.islands, [{ from: 20, end: { offset: 50 } }]);
    ledger.accept(60, mark(70));
    t.equal(ledger.islands.length, 2);
    ledger.accept(10, mark(20));
    t.equal(ledger.lowWater.offset, 50);
    t.match(ledger.islands, [{ from: 60, end: { offset: 70 } }]);
    ledger.accept(10, mark(20));
    t.equal(ledger.lowWater.offset, 50, 'what is behind the mark changes nothing');
    ledger.accept(50, mark(60));
    t.equal(ledger.lowWater.offset, 70);
    t.same(ledger.islands, []);
  },
);

t.test('checkpoints that come while one is written share the next write', async (t) => {
  const written: unknown[] = [];
  const releases: (() => void)[] = [];
  const state = createMemoryState();
  const book = new CheckpointBook({
    ...state,
    set: (key, value) => {
      written.push(value);
      return new Promise((resolve) => {
        releases.push(() => resolve(state.set(key, value)));
      });
    },
  });
  const none = { bytes: 0, crc32: 0 };
  const save = (offset: number): Promise<void> => {
    const identity = { id: 'abc', path: '/a', key: '1:2', head: none };
    const place = { offset, given: offset, marker: none, islands: [], modifiedMs: 0 };
    return book.save({ version: 2, ...identity, ...place });
  };
  const saves = [1, 2, 3].map(save);
  t.match(written, [{ offset: 1 }]);
  releases.shift()?.();
  while (releases.length === 0) await new Promise((resolve) => setImmediate(resolve));
  t.match(written, [{ offset: 1 }, { offset: 3 }]);
  releases.shift()?.();
  await Promise.all(saves);
  await book.flush();
  t.match(state.get('abc'), { offset: 3 });
});

t.test('names of one rotation are known', async (t) => {
  const related = [
    ['app.log', 'app.log.1'],
    ['app.log', 'app.log.12.gz'],
    ['app.log', 'app-2026-01-31.log'],
    ['app.log', 'app.log-20260131'],
    ['app.log', 'app.1.log.gz'],
    ['app.log.1', 'app.log.2.gz'],
    ['app.log', 'app.log'],
  ] as const;
  for (const [left, right] of related) t.ok(areRotationsOfOne(left, right), `${left} ${right}`);
  const others = [
    ['a.log', 'b.log'],
    ['app-one.log', 'app-two.log'],
    ['app.log', 'web.log.1'],
  ] as const;
  for (const [left, right] of others) t.notOk(areRotationsOfOne(left, right), `${left} ${right}`);
});

t.test('a pool lends a fixed number of buffers and takes back its own', async (t) => {
  const pool = new BufferPool({ bufferBytes: 16, bufferCount: 2 });
  const abort = new AbortController();
  const first = await pool.take(abort.signal);
  await pool.take(abort.signal);
  const own = first?.buffer;
  if (first !== undefined) first.buffer = Buffer.alloc(99);
  const third = pool.take(abort.signal);
  first?.release();
  first?.release();
  t.equal((await third)?.buffer, own);
  const fourth = pool.take(abort.signal);
  abort.abort();
  t.equal(await fourth, undefined);
});

t.test('a file does not wait for one that left its path before it could be opened', async (t) => {
  const directory = t.testdir({});
  const [first, path, rotated] = ['first', 'app.log.1', 'app.log.2'].map(
    (name) => `${directory}/${name}`,
  ) as [string, string, string];
  const { log, metrics } = createTestContext();
  const files = new FileSet(
    {
      log,
      book: new CheckpointBook(createMemoryState()),
      figures: createFileFigures(metrics),
      framing: {
        encoding: 'utf-8',
        messageBytesMax: 1024,
        separator: '\\n',
        linesMax: 500,
      },
      batchBytesMax: 1024,
      longLine: 'cut',
      partialLineMs: 0,
      multilineTimeoutMs: 1000,
      isGrouping: false,
    },
    60_000,
  );
  t.teardown(() => files.close());
  await files.start([], 'beginning');
  writeFileSync(first, 'first\n');
  writeFileSync(path, 'old\n');
  const looking = files.look([first, path]);
  // The files are opened one after the other, so the second is not yet: its path will lead to another file.
  renameSync(path, rotated);
  writeFileSync(path, 'another one\n');
  await looking;
  await files.look([path]);
  const before = files.byPath.get(path)?.predecessor;
  t.type(before, 'object', 'what had the path before is to be read first');
  await files.look([rotated]);
  t.equal(files.byPath.get(rotated), before, 'it was found where it is now');
  const ready = (): string[] => [...files.ready()].map(({ file }) => file.path).sort();
  t.same(ready(), [rotated, first].sort());
  if (before !== undefined) before.file.hasMore = false;
  t.same(ready(), [path, first].sort());
});

import { createMemoryState } from '@chukcha/plugin-api/conformance';
import t from 'tap';
import { AckLedger } from '../src/ack-ledger.js';
import { BufferPool } from '../src/buffer-pool.js';
import { createCheckpoint, decideStart } from '../src/checkpoint.js';
import { CheckpointBook } from '../src/checkpoint-book.js';
import { expandBraces, parseExclude, parseGlob } from '../src/glob.js';
import { parsePathList } from '../src/path-list.js';

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

t.test('where to start in a file is decided by its size and its first bytes', async (t) => {
  const contents = Buffer.alloc(3000, 'line of the file\n');
  const long = createCheckpoint('/a', 2000, contents);
  const short = createCheckpoint('/a', 17, contents);
  t.match(long, { version: 1, path: '/a', offset: 2000, head: { bytes: 1024 } });
  t.match(short, { offset: 17, head: { bytes: 17 } });
  const file = (bytes: Buffer) => ({ size: bytes.length, head: bytes.subarray(0, 1024) });
  const changed = Buffer.from(contents);
  changed[1023] = 0;
  t.same(decideStart(undefined, file(contents), 'end'), { reason: 'unknown', startAt: 'end' });
  t.same(decideStart(long, file(contents), 'end'), { reason: 'resumed', offset: 2000 });
  t.same(decideStart(long, file(contents.subarray(0, 2000)), 'end'), {
    reason: 'resumed',
    offset: 2000,
  });
  t.same(decideStart(long, file(contents.subarray(0, 1999)), 'end'), { reason: 'truncated' });
  t.same(decideStart(long, file(changed), 'end'), { reason: 'replaced' });
  t.same(decideStart(short, file(changed), 'end'), { reason: 'resumed', offset: 17 });
  const empty = createCheckpoint('/a', 0, Buffer.alloc(0));
  t.same(decideStart(empty, file(contents), 'end'), { reason: 'resumed', offset: 0 });
});

t.test('the low-water mark moves over what is acknowledged without a hole', async (t) => {
  const ledger = new AckLedger(10);
  const [first, second, third] = [20, 30, 40].map((end) => ledger.add(end));
  t.equal(second?.(), false);
  t.equal(ledger.lowWater, 10);
  t.equal(first?.(), true);
  t.equal(ledger.lowWater, 30);
  t.equal(ledger.isSettled, false);
  t.equal(first?.(), false, 'a second ack does nothing');
  t.equal(third?.(), true);
  t.equal(ledger.lowWater, 40);
  t.equal(ledger.isSettled, true);
});

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
  const place = book.claim('1:2');
  const at = (offset: number) => createCheckpoint('/a', offset, Buffer.alloc(100));
  const saves = [1, 2, 3].map((offset) => place.save(at(offset)));
  t.match(written, [{ offset: 1 }]);
  releases.shift()?.();
  while (releases.length === 0) await new Promise((resolve) => setImmediate(resolve));
  t.match(written, [{ offset: 1 }, { offset: 3 }]);
  releases.shift()?.();
  await Promise.all(saves);
  await book.flush();
  t.match(state.get('1:2'), { offset: 3 });

  const newOwner = book.claim('1:2');
  t.match(newOwner.saved, { offset: 3 });
  await place.save(at(9));
  t.equal(written.length, 2, 'who lost the place writes no more');
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

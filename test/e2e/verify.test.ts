import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openIdentity } from '../../src/node/identity.js';
import { nodeDisk } from '../../src/storage/node-disk.js';
import type { Finding } from '../../src/storage/verify-directory.js';
import { CliNode, type CliResult, runCli } from '../support/cli.js';
import { SeededRandom } from '../support/seeded-random.js';
import { testDirectory } from '../support/test-directory.js';
import { append, openStore } from '../support/test-store.js';

const first = 'node1-chunk000000000';

interface Data {
  readonly directory: string;
  readonly chunk: string;
  readonly index: string;
  readonly indexDirectory: string;
}

/** A data directory with two batches in a chunk, that a node left as it was stopped or killed. */
async function makeData(t: Test, how: 'stop' | 'kill'): Promise<Data> {
  const directory = join(testDirectory(t), 'data');
  const store = await openStore({ directory });
  await openIdentity(nodeDisk, new SeededRandom(1), directory, 'node1');
  const category = await store.category('logs');
  for (const text of ['one\ntwo\n', 'three\n']) await append(category, text);
  if (how === 'stop') await store.close();
  const indexDirectory = join(directory, '.chukcha/logs/chunks');
  return {
    directory,
    chunk: join(directory, 'logs', first),
    index: join(indexDirectory, `${first}.batches`),
    indexDirectory,
  };
}

function verify({ directory }: Data, words: readonly string[] = []): Promise<CliResult> {
  return runCli(['verify', directory, ...words]);
}

function findingsOf({ stdout }: CliResult): Finding[] {
  const lines = stdout.toString().split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Finding);
}

function flip(path: string, place: number): void {
  const content = readFileSync(path);
  content[place] = (content[place] ?? 0) ^ 1;
  writeFileSync(path, content);
}

t.test('an intact directory ends with 0 and one sentence', async (t) => {
  const data = await makeData(t, 'stop');
  const plain = await verify(data);
  t.equal(plain.exit, 0, plain.stderr);
  t.equal(plain.stdout.toString(), '');
  t.equal(plain.stderr, '1 intact, 0 with a note, 0 damaged; 14 bytes checked.\n');
  const json = await verify(data, ['--json']);
  t.equal(json.exit, 0);
  t.same(findingsOf(json), [
    { category: 'logs', name: first, checkedBytes: 14, kind: 'intact', sentence: '' },
  ]);
});

t.test('what a kill leaves is a note, and no damage', async (t) => {
  const data = await makeData(t, 'kill');
  const open = await verify(data);
  t.equal(open.exit, 0);
  t.match(open.stdout.toString(), /^note: logs\/node1-chunk0{9} is whole, and was not sealed/);
  appendFileSync(data.chunk, 'torn');
  const torn = await verify(data);
  t.equal(torn.exit, 0);
  t.match(torn.stdout.toString(), /has 4 bytes behind its last batch, .* was not answered/);
  t.equal(readFileSync(data.chunk, 'latin1'), 'one\ntwo\nthree\ntorn', 'nothing is changed');
  rmSync(data.index);
  const [finding] = findingsOf(await verify(data, ['--json']));
  t.match(finding, { kind: 'note', checkedBytes: 0, sentence: /^has no index/ });
});

t.test('a flipped bit is damage, and the exit code says so', async (t) => {
  const changes: Readonly<Record<string, (data: Data) => void>> = {
    'in a chunk that was stopped': ({ chunk }) => flip(chunk, 2),
    'in the size that its seal says': ({ index }) => flip(index, indexOf(index, 'sealed ') + 8),
  };
  for (const [what, change] of Object.entries(changes)) {
    const data = await makeData(t, 'stop');
    change(data);
    const { exit, stdout, stderr } = await verify(data);
    t.equal(exit, 1, what);
    t.match(stdout.toString(), /^damage: logs\/node1-chunk0{9} is damaged: \d+ of its \d+ bytes/);
    t.match(stderr, /0 intact, 0 with a note, 1 damaged/);
  }
});

function indexOf(path: string, text: string): number {
  return readFileSync(path, 'latin1').indexOf(text);
}

t.test('every place of damage is told in one run', async (t) => {
  const data = await makeData(t, 'kill');
  // The first digit behind the header, where the first batch begins.
  flip(data.index, 18);
  writeFileSync(join(data.directory, 'logs', 'notes.txt'), 'mine');
  writeFileSync(join(data.directory, '.chukcha/logs/groups.json'), '{');
  writeFileSync(join(data.directory, '.chukcha/logs/next-chunk-index.json'), '{');
  const result = await verify(data, ['--json']);
  t.equal(result.exit, 1);
  t.match(findingsOf(result), [
    { name: 'groups.json', kind: 'damage', sentence: /restore it/ },
    { name: 'next-chunk-index.json', kind: 'damage', sentence: /write \{"version":1,"next":N\}/ },
    { name: first, kind: 'damage', sentence: /index that is damaged/ },
    { name: 'notes.txt', kind: 'note', sentence: /is not a chunk/ },
  ]);
  t.match(result.stderr, /^0 intact, 1 with a note, 3 damaged/);
});

t.test('a chunk that somebody has taken away is missed', async (t) => {
  const data = await makeData(t, 'stop');
  renameSync(data.chunk, join(data.directory, 'elsewhere'));
  const { exit, stdout } = await verify(data);
  t.equal(exit, 1);
  t.match(
    stdout.toString(),
    /^damage: logs\/node1-chunk0{9} is missing with its 14 bytes: restore/,
  );
});

t.test('what has the name of a chunk and is no file is no chunk', async (t) => {
  const data = await makeData(t, 'stop');
  mkdirSync(join(data.directory, 'logs/node1-chunk000000007'));
  symlinkSync('/nowhere', join(data.directory, 'logs/node1-chunk000000008'));
  const { exit, stdout } = await verify(data);
  t.equal(exit, 0);
  t.match(stdout.toString(), /^(note: logs\/node1-chunk0{8}[78] is not a chunk; .*\n){2}$/);
  renameSync(data.chunk, join(data.directory, 'elsewhere'));
  mkdirSync(data.chunk);
  const hidden = await verify(data);
  t.equal(hidden.exit, 1);
  t.match(hidden.stdout.toString(), /^damage: .* is missing with its 14 bytes/m);
});

t.test('what a node moved aside is noted', async (t) => {
  const data = await makeData(t, 'kill');
  flip(data.chunk, 1);
  const node = await CliNode.start(data.directory);
  await node.stop();
  const { exit, stdout } = await verify(data);
  t.equal(exit, 0);
  t.match(stdout.toString(), /^note: logs\/node1-chunk0{9} lies in .*quarantine.* remove it when/);
});

t.test('only a data directory that no node uses is looked at', async (t) => {
  const directory = testDirectory(t, { file: 'x' });
  const data = join(directory, 'data');
  const node = await CliNode.start(data);
  const running = await runCli(['verify', data]);
  t.equal(running.exit, 1);
  t.match(
    running.stderr,
    /^Error: Directory .* is in use by node node1, process \d+: stop that one/,
  );
  await node.stop();
  for (const [path, sentence] of [
    [directory, /is not the data directory of a node: it has no identity\.json; name the one/],
    [join(directory, 'nowhere'), /is not the data directory of a node/],
    [join(directory, 'file'), /is not the data directory of a node/],
  ] as const) {
    const { exit, stdout, stderr } = await runCli(['verify', path]);
    t.equal(exit, 1, path);
    t.match(stderr, sentence, path);
    t.notMatch(stderr, /^\s+at /m);
    t.equal(stdout.length, 0);
  }
  t.equal((await runCli(['verify'])).exit, 2, 'without a directory');
});

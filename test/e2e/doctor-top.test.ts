import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { judgeRoom } from '../../src/commands/shared/doctor/directory-checks.js';
import type { Finding } from '../../src/commands/shared/doctor/finding.js';
import { checkMachine } from '../../src/commands/shared/doctor/machine-checks.js';
import { checkGroups, checkNodes } from '../../src/commands/shared/doctor/node-checks.js';
import { formatTop } from '../../src/commands/shared/top/format-top.js';
import { drawFrame } from '../../src/commands/shared/top/top-screen.js';
import type { TopView } from '../../src/commands/shared/top/top-view.js';
import { RateMeter } from '../../src/common/rate-meter.js';
import type { MemberStatus, NodeStatus } from '../../src/protocol/http-api.js';
import type { PipelineStatus } from '../../src/protocol/pipeline-report.js';
import { CliNode, readUrl, runCli, startCli } from '../support/cli.js';
import { testDirectory } from '../support/test-directory.js';

function troubles(findings: readonly Finding[]): string[] {
  return findings
    .filter(({ result }) => result !== 'ok')
    .map(
      ({ about, result, fix }) => `${about} ${result}${fix === undefined ? ' WITHOUT FIX' : ''}`,
    );
}

t.test('what is wrong with a machine is found, each with a fix', async (t) => {
  const good = {
    nodeVersion: '20.19.0',
    nodeVersionMin: '20.19',
    openFilesMax: 65_536,
    inotifyWatchesMax: 524_288,
    inotifyInstancesMax: 128,
    isTerminal: true,
    terminalType: 'xterm',
    locale: 'C.UTF-8',
  };
  t.same(troubles(checkMachine(good)), []);
  t.same(troubles(checkMachine({ ...good, nodeVersion: '22.0.0' })), []);
  for (const [change, found] of [
    [{ nodeVersion: '20.18.3' }, ['Node.js failed']],
    [{ nodeVersion: '18.20.0' }, ['Node.js failed']],
    [{ openFilesMax: 1_024 }, ['open files warning']],
    [{ inotifyWatchesMax: 100 }, ['inotify warning']],
    [{ inotifyInstancesMax: 1 }, ['inotify warning']],
    [{ terminalType: 'dumb' }, ['terminal warning']],
    [{ locale: 'C' }, ['terminal warning']],
    [{ locale: 'C', isTerminal: false }, []],
    [{ openFilesMax: undefined }, []],
  ] as const) {
    t.same(troubles(checkMachine({ ...good, ...change })), found, JSON.stringify(change));
  }
  const room = { freeBytes: 1e11, totalBytes: 1e12, freeInodes: 1e6 };
  t.same(troubles(judgeRoom('data', '/d', room)), []);
  t.same(troubles(judgeRoom('data', '/d', { ...room, freeBytes: 1e10 })), ['data warning']);
  t.same(troubles(judgeRoom('data', '/d', { ...room, freeBytes: 1e6 })), ['data failed']);
  t.same(troubles(judgeRoom('data', '/d', { ...room, freeInodes: 5 })), ['data failed']);
  t.same(troubles(judgeRoom('data', '/d', { ...room, freeInodes: undefined })), []);
});

const nowMs = Date.parse('2026-01-01T12:00:00.000Z');

const healthy: NodeStatus = {
  node: 'node1',
  cluster: 'c1',
  version: '1.0.0',
  state: 'running',
  startedAt: '2026-01-01T11:00:00.000Z',
  uptimeSeconds: 3_600,
  bytesInFlight: 0,
  disk: { totalBytes: 1e12, freeBytes: 1e11, reserveBytes: 1e9, freeInodes: null, refusal: null },
  clusterStatus: null,
  lastScrub: null,
  categories: [],
  pipelines: [],
};

const peer: MemberStatus = {
  name: 'node2',
  url: 'http://n2:8080',
  state: 'active',
  drained: false,
  self: false,
  receiving: true,
  sending: true,
  behindBytes: 0,
  heardSecondsAgo: 0,
  problem: null,
};

t.test('what is wrong with nodes is found, each with a fix', async (t) => {
  const check = (change: Partial<NodeStatus>): string[] =>
    troubles(
      checkNodes([{ url: 'http://n1:8080', status: { ...healthy, ...change }, askedMs: nowMs }]),
    );
  const cluster = (member: MemberStatus, problem: string | null = null) => ({
    name: 'c',
    coordination: { available: problem === null, problem, answeredSecondsAgo: 0 },
    bytesHereOnly: 0,
    members: [member],
  });
  t.same(check({}), []);
  t.same(check({ uptimeSeconds: 3_603 }), []);
  t.same(check({ uptimeSeconds: 3_660 }), ['node node1 warning']);
  t.same(check({ uptimeSeconds: 3_540 }), ['node node1 warning']);
  t.same(check({ state: 'draining' }), ['node node1 warning']);
  t.same(check({ disk: { ...healthy.disk, refusal: 'No room.' } }), ['node node1 failed']);
  t.same(check({ clusterStatus: cluster(peer) }), []);
  t.same(check({ clusterStatus: cluster(peer, 'refused') }), ['node node1 failed']);
  t.same(check({ clusterStatus: cluster({ ...peer, receiving: false }) }), ['node node1 failed']);
  t.same(check({ clusterStatus: cluster({ ...peer, state: 'lost' }) }), ['node node1 failed']);
  const category = {
    name: 'logs',
    chunks: 1,
    bytes: 1,
    expiredBytes: 0,
    writtenBytes: 0,
    copiedBytes: 0,
    readBytes: 0,
    hiddenChunks: [],
    groups: [],
  };
  t.same(check({ categories: [category] }), []);
  t.same(check({ categories: [{ ...category, expiredBytes: 5 }] }), ['node node1 warning']);
  t.same(check({ categories: [{ ...category, hiddenChunks: ['x'] }] }), ['node node1 failed']);

  const two = [healthy, { ...healthy, node: 'node2', version: '1.1.0' }].map((status) => ({
    url: 'http://n',
    status,
    askedMs: nowMs,
  }));
  t.same(troubles(checkNodes(two)), ['versions warning']);
  const away = { url: 'http://n1:8080', problem: 'Nobody is there.', askedMs: nowMs };
  t.same(troubles(checkNodes([away])), ['node failed']);

  const pipeline: PipelineStatus = {
    name: 'machine1.web',
    kind: 'sink',
    category: 'logs',
    host: 'machine1',
    plugin: 'clickhouse',
    group: 'archive',
    state: 'running',
    bytesPerSecond: 1_024,
    backlogBytes: 2_048,
    secondsLeft: 120,
    lastError: 'There is no table logs.',
    lastErrorClass: 'operator',
    secondsSinceSuccess: 1,
    bytes: 10,
    messages: 1,
    retries: 0,
    deadLetters: 3,
    duplicates: 0,
    reportedSecondsAgo: 1,
  };
  const standing = (state: PipelineStatus['state']) => ({ pipelines: [{ ...pipeline, state }] });
  t.same(check(standing('running')), []);
  t.same(check(standing('standing by')), []);
  t.same(check(standing('retrying')), ['sink machine1.web warning']);
  t.same(check(standing('waiting')), ['sink machine1.web failed']);
  t.same(check(standing('stalled')), ['sink machine1.web failed']);
  const newest = [
    { ...healthy, ...standing('stalled') },
    { ...healthy, node: 'node2', pipelines: [{ ...pipeline, reportedSecondsAgo: 0 }] },
  ].map((status) => ({ url: 'http://n', status, askedMs: nowMs }));
  t.same(troubles(checkNodes(newest)), [], 'what a pipeline has said last counts');
  const shown = formatTop({
    at: '',
    nodes: [],
    groups: [],
    tasks: [],
    pipelines: standing('stalled').pipelines,
    problems: [],
  }).join('\n');
  t.match(
    shown,
    /machine1\.web +logs>clickhouse +stalled +1 KiB\/s +2 KiB, 2 m +3\n\n! sink machine1\.web: There is no table logs\./,
  );

  const held = (bytes: number): NodeStatus => ({
    ...healthy,
    categories: [{ ...category, groups: [{ group: 'g', chunks: 1, bytes }] }],
  });
  t.same(troubles(checkGroups(held(100), held(100), 100)), ['group g warning']);
  t.same(troubles(checkGroups(held(101), held(100), 100)), []);
  t.same(troubles(checkGroups(held(99), held(99), 100)), []);
});

t.test('doctor and top tell of a node, and of what is wrong here', async (t) => {
  const directory = testDirectory(t, { linked: {} });
  const env = {
    XDG_STATE_HOME: join(directory, 'state'),
    XDG_DATA_HOME: join(directory, 'share'),
    XDG_CACHE_HOME: join(directory, 'cache'),
  };
  const node = await CliNode.start(join(directory, 'data'));
  const server = ['--server', node.url];
  const doctor = async (words: readonly string[] = []) => {
    const { exit, stdout } = await runCli(
      ['doctor', ...server, '--watch', '0', '--json', ...words],
      { env },
    );
    return { exit, findings: JSON.parse(stdout.toString()) as Finding[] };
  };
  const found = (findings: readonly Finding[], about: string) =>
    findings.filter((finding) => finding.about === about && finding.result !== 'ok');

  const fine = await doctor();
  t.equal(fine.exit, 0);
  t.match(fine.findings, [{ about: 'Node.js', result: 'ok' }]);
  t.ok(fine.findings.some(({ about, result }) => about === 'node node1' && result === 'ok'));

  // A state that remembers nothing, a package that is gone, a group that nobody reads, an etcd that is not there.
  mkdirSync(join(directory, 'state', 'chukcha', 'ship-old-00000000'), { recursive: true });
  const root = join(directory, 'linked');
  writeFileSync(
    join(root, 'package.json'),
    '{"name":"gone","version":"1.0.0","type":"module","oclif":{"hooks":{"chukcha:plugins":"./hook.js"}}}',
  );
  writeFileSync(
    join(root, 'hook.js'),
    "export default async () => ({ apiVersion: 1, kind: 'output', name: 'gone', summary: '', options: { type: 'object', additionalProperties: false, properties: {} }, load: async () => ({}) });",
  );
  t.equal((await runCli(['plugins', 'link', root], { env })).exit, 0);
  rmSync(root, { recursive: true });
  await runCli(['groups', 'add', 'nobody', ...server]);
  await runCli(['write', 'one', ...server]);
  const ill = await doctor(['--held', '1', '--etcd', 'http://127.0.0.1:1']);
  t.equal(ill.exit, 1);
  t.match(found(ill.findings, 'state'), [
    { result: 'warning', fix: /^rm -r '.*ship-old-00000000'$/ },
  ]);
  t.match(found(ill.findings, 'plugins'), [
    { result: 'failed', fix: 'chukcha plugins uninstall gone' },
  ]);
  t.match(found(ill.findings, 'group nobody'), [{ result: 'warning', fix: /groups rm nobody/ }]);
  t.match(found(ill.findings, 'etcd'), [{ result: 'failed' }]);

  writeFileSync(join(directory, 'share', 'chukcha', 'package.json'), '{broken');
  t.match(found((await doctor()).findings, 'plugins'), [
    { result: 'failed', detail: /cannot be read/, fix: /^mend .*package\.json$/ },
  ]);
  rmSync(join(directory, 'share'), { recursive: true });

  const text = await runCli(['doctor', '--server', 'http://127.0.0.1:1', '--watch', '0'], { env });
  t.equal(text.exit, 1);
  t.match(text.stdout.toString(), /^FAILED {3}node: No chukcha node answers/m);
  for (const line of text.stdout.toString().split('\n')) {
    if (!line.includes('->') && !line.includes('/')) t.ok(line.length <= 80, line);
  }

  const view = await runCli(['top', '--once', '--interval', '1', '--json', ...server], { env });
  t.match(JSON.parse(view.stdout.toString()), {
    nodes: [{ name: 'node1', state: 'running' }],
    groups: [{ category: 'logs', group: 'nobody', backlogBytes: 4, writtenBytesPerSecond: 0 }],
    problems: [],
  });
  const table = await runCli(['top', '--once', '--interval', '1', ...server], { env });
  t.match(table.stdout.toString(), /^NODE +STATE.*\nnode1 +running/m);
  await node.stop();
  const gone = await runCli(['top', '--once', '--interval', '1', ...server], { env });
  t.equal(gone.exit, 1);
  t.match(gone.stderr, /^No node answered at http.*: name one that runs with --server\.$/m);
  t.match(gone.stdout.toString(), /no answer[\s\S]*! No chukcha node answers/);
});

t.test('top shows the tasks of a process that runs a file of pipelines', async (t) => {
  const directory = testDirectory(t, {
    'app.log': 'one\n',
    'pipelines.yaml': `
state: STATE
server: http://127.0.0.1:1
sinks:
  lost:
    to: stdout
    category: app
`,
  });
  const file = join(directory, 'pipelines.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace('STATE', join(directory, 'state')));
  const run = startCli(['run', file, '--monitor', '127.0.0.1:0']);
  t.teardown(async () => {
    run.child.kill('SIGTERM');
    await run.result;
  });
  const monitor = await readUrl(run.child.stderr);
  const words = ['top', '--once', '--interval', '1', '--json', '--server', 'http://127.0.0.1:1'];
  const view = await runCli([...words, '--monitor', monitor]);
  t.match(JSON.parse(view.stdout.toString()), { tasks: [{ kind: 'sink', name: 'lost' }] });
  const nobody = await runCli([...words, '--monitor', 'http://127.0.0.1:1']);
  t.match(JSON.parse(nobody.stdout.toString()).problems, [
    /No chukcha node/,
    /monitor.*not answer/,
  ]);
});

t.test('top gives the terminal back as it was', { skip: hasScript() }, async (t) => {
  const directory = testDirectory(t);
  const node = await CliNode.start(join(directory, 'data'));
  t.teardown(() => node.stop());
  // `script` gives the command a terminal of its own.
  const command = `stty rows 20 cols 70; ${process.execPath} bin/run.js top --server ${node.url}; stty -a`;
  const child = spawn('script', ['-qec', command, join(directory, 'typescript')], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, TERM: 'xterm' },
  });
  let seen = '';
  child.stdout.on('data', (piece: Buffer) => {
    seen += piece.toString();
    if (seen.includes('node1') && !child.stdin.writableEnded) child.stdin.end('q');
  });
  await once(child, 'close');
  const enter = seen.indexOf('\u001b[?1049h');
  const leave = seen.indexOf('\u001b[?25h\u001b[?1049l');
  t.ok(enter !== -1 && leave > enter, 'the second screen is entered and left');
  const after = seen.slice(leave);
  t.match(after, / icanon/);
  t.match(after, / echo /);
  t.notMatch(after, / -icanon/);
});

function hasScript(): string | false {
  return existsSync('/usr/bin/script') ? false : 'there is no `script` here';
}

t.test('a frame fits the terminal, whatever is in it', async (t) => {
  const frame = drawFrame(['one\u001b[2J', 'x'.repeat(100), 'three', 'four'], 10, 3);
  t.equal(
    frame,
    `\u001b[Hone?[2J\u001b[K\r\n${'x'.repeat(10)}\u001b[K\r\n... 2 more\u001b[K\u001b[J`,
  );
  t.equal(drawFrame(['a'], 10, 3), '\u001b[Ha\u001b[K\u001b[J');
});

t.test('paces and times left', async (t) => {
  const anew = new RateMeter(true);
  t.equal(anew.perSecond, null);
  anew.add(0, 0);
  anew.add(1_000, 500);
  t.equal(anew.perSecond, 500);
  anew.add(2_000, 100);
  t.equal(anew.perSecond, null);
  const noisy = new RateMeter(false);
  noisy.add(0, 0);
  noisy.add(1_000, 500);
  noisy.add(2_000, 490);
  t.equal(noisy.perSecond, 250);
  noisy.add(90_000, 1_000);
  t.equal(noisy.perSecond, null, 'only the last minute counts');

  const view: TopView = {
    at: '',
    nodes: [],
    groups: [
      {
        category: 'logs',
        group: 'g',
        heldBytes: 2048,
        writtenBytesPerSecond: 1024,
        backlogBytes: 2048,
        acknowledgedBytesPerSecond: 2048,
        secondsLeft: 120,
      },
    ],
    tasks: [
      {
        kind: 'ship',
        name: 'web',
        state: 'waiting',
        bytesPerSecond: null,
        restarts: 3,
        deadLetters: 1,
        lastError: 'It failed.',
      },
    ],
    pipelines: [],
    problems: ['Something is wrong.'],
  };
  t.match(formatTop(view).join('\n'), /logs +2 KiB +1 KiB\/s +g +2 KiB +2 KiB\/s +2 m\n/);
  t.match(
    formatTop(view).join('\n'),
    /ship web +waiting +- +3 +1\n\n! Something is wrong\.\n! ship web: It failed\./,
  );
});

import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { resolveBenchSizes } from '../../src/commands/shared/bench/bench-sizes.js';
import { Client } from '../../src/index.js';
import type { BenchReport } from '../../src/load/bench-report.js';
import { CliNode, runCli, startCli } from '../support/cli.js';
import { processesWith } from '../support/processes-with.js';
import { testDirectory } from '../support/test-directory.js';
import { until } from '../support/until.js';

t.setTimeout(120_000);

/** Small enough that a busy machine does several of them in a second. */
const small = ['--batch', '8KiB', '--writers', '2'];

function readReport(file: string): BenchReport {
  return JSON.parse(readFileSync(file, 'utf8')) as BenchReport;
}

t.test('a node of its own is measured phase by phase, and removed', async (t) => {
  const directory = testDirectory(t);
  const reportFile = join(directory, 'report.json');
  const words = ['--seconds', '1', '--data', directory, ...small, '--report', reportFile];
  const { exit, stdout, stderr } = await runCli(['bench', ...words], {
    // What is meant for the user's own node must not reach this one.
    env: { CHUKCHA_ETCD: 'http://127.0.0.1:1', CHUKCHA_LISTEN: '127.0.0.1:1' },
  });
  t.equal(exit, 0, `${stdout}${stderr}`);
  t.same(readdirSync(directory), ['report.json'], 'nothing but the report is left');
  const report = readReport(reportFile);
  t.match(report, {
    kind: 'phases',
    passed: true,
    problems: [],
    interrupted: false,
    versions: { node: process.version, chukcha: /^\d+\.\d+\.\d+/ },
    machine: / x /,
    target: { isOwn: true, version: /^\d/, category: /^bench_[0-9a-f]{8}$/ },
    options: { seconds: 1, writers: 2, batchBytes: 8192, lineBytes: 200, rate: '20%' },
    check: { lost: 0, duplicate: 0, corrupt: 0 },
    soak: null,
    left: [],
  });
  t.match(
    report.phases.map(({ name }) => name),
    [
      'write, 1 writer',
      'write, 2 writers',
      'read, 1 reader',
      'write, single lines',
      'write, sync_each_write',
      /^write and read, .*\/s$/,
    ],
  );
  for (const phase of report.phases) {
    const { name, bytes, messages, batchBytes, latencyMs, errors } = phase;
    t.ok(bytes > 0 && bytes % batchBytes === 0, `${name}: whole batches`);
    t.equal(messages, bytes / 200, `${name}: messages`);
    const { p50 = 0, p99 = 0, max = 0 } = latencyMs ?? {};
    t.ok(p50 > 0 && p50 <= p99 && p99 <= max, `${name}: ${p50}, ${p99}, ${max} ms`);
    t.same(errors, {}, `${name}: errors`);
    if (existsSync('/proc/self/status')) {
      t.ok((phase.node?.peakResidentBytes ?? 0) > 20 * 1024 ** 2, `${name}: memory of the node`);
      t.ok((phase.node?.descriptorCount ?? 0) > 5, `${name}: descriptors of the node`);
    }
  }
  const [, written, read, single] = report.phases;
  t.equal(read?.bytes, written?.bytes, 'all that was written is read');
  t.equal(single?.batchBytes, 200);
  const last = report.phases.at(-1);
  t.ok((last?.endToEndMs?.count ?? 0) > 0, 'from end to end');
  t.equal(
    report.check.checkedBatches,
    ((read?.bytes ?? 0) + (last?.bytes ?? 0)) / (last?.batchBytes ?? 1),
  );
  t.match(stdout.toString(), /^PHASE .* P99 MS/m);
  t.match(stdout.toString(), /^PASSED$/m);
});

t.test('a node that runs is loaded in a category of its own, of which nothing stays', async (t) => {
  const directory = testDirectory(t);
  const node = await CliNode.start(join(directory, 'data'));
  t.teardown(() => node.stop());
  const client = new Client({ server: node.url });
  t.teardown(() => client.close());
  await client.write('logs', [Buffer.from('mine\n')]);
  const words = ['--seconds', '1', '--rate', '100KiB/s', ...small, '--json'];
  const { exit, stdout, stderr } = await runCli(['bench', '--server', node.url, ...words]);
  t.equal(exit, 0, `${stdout}${stderr}`);
  const report = JSON.parse(stdout.toString()) as BenchReport;
  const { category } = report.target;
  t.match(report, {
    passed: true,
    target: { isOwn: false, servers: [node.url], disk: null },
    options: { rate: '100 KiB/s' },
    left: [new RegExp(`The name of category ${category} stays`)],
  });
  t.ok(
    report.phases.every(({ node: use }) => use === null),
    'of a node that it has not started it does not know the memory',
  );
  const paced = report.phases.at(-1);
  const perSecond = (paced?.bytes ?? 0) / (paced?.seconds ?? 1);
  t.ok(perSecond > 0 && perSecond < 130 * 1024, `${perSecond} bytes/s, and no more than asked for`);
  t.same(await client.listCategories(), [category, 'logs'].sort());
  t.same(await client.groups(category), []);
  const { categories } = await client.status();
  t.match(
    categories.map(({ name, chunks }) => ({ name, chunks })),
    [
      { name: category, chunks: 0 },
      { name: 'logs', chunks: 1 },
    ],
  );
});

t.test(
  'a soak holds a share of the maximal rate, checks all of it, and tells of each part',
  async (t) => {
    const directory = testDirectory(t);
    const reportFile = join(directory, 'soak.json');
    const words = ['--soak', '--seconds', '4', '--rate', '30%', '--sync-each-write'];
    const { exit, stdout, stderr } = await runCli([
      ...['bench', ...words, ...small, '--data', directory, '--report', reportFile],
    ]);
    t.equal(exit, 0, `${stdout}${stderr}`);
    const report = readReport(reportFile);
    t.match(report, {
      kind: 'soak',
      passed: true,
      options: { syncEachWrite: true, rate: '30%' },
      phases: [],
      check: { lost: 0, duplicate: 0, corrupt: 0 },
    });
    const { soak } = report;
    if (soak === null) throw new Error('There is no soak in the report');
    const { maximalBytesPerSecond, bytesPerSecond, total, periods, summary, growth } = soak;
    t.equal(bytesPerSecond, Math.round((maximalBytesPerSecond ?? 0) * 0.3));
    const batchCount = total.bytes / total.batchBytes;
    t.equal(total.latencyMs?.count, batchCount);
    t.equal(total.endToEndMs?.count, batchCount, 'all of it was read');
    t.ok(report.check.checkedBatches > batchCount, 'what was measured before is checked too');
    t.equal(periods.length, 4);
    t.equal(summary.length, 4);
    t.same(growth, [], 'four seconds tell nothing of growth');
    for (const { endSeconds, mibPerSecond, freeDiskBytes } of periods) {
      t.ok(mibPerSecond > 0, `until ${endSeconds} s: ${mibPerSecond} MiB/s`);
      t.ok((freeDiskBytes ?? 0) > 0);
    }
    t.match(stdout.toString(), /^UNTIL S .* BACKLOG MIB/m);
    t.match(stdout.toString(), /too short to tell/);
  },
);

t.test('Ctrl-C ends it early with a report of what was done', async (t) => {
  const directory = testDirectory(t);
  const words = ['--soak', '--seconds', '600', '--rate', '50KiB/s', ...small];
  const run = startCli(['bench', ...words, '--data', directory, '--json']);
  let said = '';
  run.child.stderr.on('data', (piece: Buffer) => {
    said += piece.toString();
  });
  while (!said.includes('holding')) await once(run.child.stderr, 'data');
  run.child.kill('SIGINT');
  const { exit, stdout, stderr } = await run.result;
  t.equal(exit, 0, `${stdout}${stderr}`);
  const report = JSON.parse(stdout.toString()) as BenchReport;
  t.match(report, { interrupted: true, passed: true, check: { lost: 0, corrupt: 0 } });
  t.same(readdirSync(directory), [], 'the directory of the node is removed');
});

t.test('a second signal ends it at once, and nothing of its node is left', async (t) => {
  const directory = testDirectory(t);
  const words = ['--soak', '--seconds', '600', '--rate', '50KiB/s', ...small];
  for (const [signals, code] of [
    // Of two that have come the system gives the one with the lower number first.
    [['SIGINT', 'SIGTERM'], 143],
    // The terminal is gone.
    [['SIGHUP'], 129],
  ] as const) {
    const run = startCli(['bench', ...words, '--data', directory]);
    let said = '';
    run.child.stderr.on('data', (piece: Buffer) => {
      said += piece.toString();
    });
    while (!said.includes('holding')) await once(run.child.stderr, 'data');
    t.equal(readdirSync(directory).length, 1);
    for (const signal of signals) run.child.kill(signal);
    const { exit, stderr } = await run.result;
    t.equal(exit, code, `${signals}: ${stderr}`);
    t.same(readdirSync(directory), [], `${signals}: the directory is removed`);
    await until(() => processesWith(directory).length === 0);
  }
});

t.test('sizes that cannot be meant are refused', (t) => {
  const given = { batch: '64KiB', line: '200', server: undefined, 'min-sync-replicas': 0 };
  t.same(resolveBenchSizes(given), { batchBytes: 65_536, lineBytes: 200 });
  for (const [flags, message] of [
    [{ batch: '0' }, /--batch is "0": expected a number of bytes/],
    [{ line: '10' }, /--line is 10: expected 64 bytes/],
    [{ line: '2MiB' }, /--line is 2MiB: expected 64 bytes, .* to 1 MiB, the largest message/],
    [{ batch: '100' }, /--batch is 100, and a line of it 200: expected room for at least one/],
    [{ 'min-sync-replicas': 1 }, /has no peers: expected --server with nodes of a cluster/],
  ] as const) {
    t.throws(() => resolveBenchSizes({ ...given, ...flags }), { code: 'invalid_option', message });
  }
  t.end();
});

t.test('mistakes are told in a sentence', async (t) => {
  for (const [words, exitExpected, sentence] of [
    ['--rate fast', 2, /--rate is "fast": expected bytes a second, as 100MiB\/s, or a share/],
    ['--batch 8MiB', 2, /--batch is 8 MiB, and the node takes batches of at most 4 MiB/],
    ['--data /nonexistent', 2, /No directory can be made in \/nonexistent .* expected --data/],
    ['--server http://127.0.0.1:1 --data /tmp', 2, /--data/],
    ['--sync-each-write', 2, /--soak/],
    ['--report /nonexistent/r.json', 2, /--report is \/nonexistent\/r\.json, which cannot be/],
    ['--server http://127.0.0.1:1', 1, /No chukcha node answers at http:\/\/127\.0\.0\.1:1/],
  ] as const) {
    const { exit, stdout, stderr } = await runCli(['bench', '--seconds', '1', ...words.split(' ')]);
    t.equal(exit, exitExpected, `${words}: ${stderr}`);
    t.match(stderr, sentence, words);
    t.notMatch(stderr, /^\s+at /m, 'no stack trace');
    t.equal(stdout.length, 0);
  }
});

import { readFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import { ConsumeStream } from '../../src/client/consume-stream.js';
import { ProduceStream } from '../../src/client/produce-stream.js';
import { formatTaskMetrics } from '../../src/commands/shared/monitor/task-metrics.js';
import { DurationCounts } from '../../src/node/duration-counts.js';
import { createNodeMetrics, createSyncHistogram } from '../../src/node/node-metrics.js';
import type { PipelineReport } from '../../src/protocol/pipeline-report.js';
import { RequestCounts } from '../../src/server/request-counts.js';
import { FaultDisk } from '../support/fault-disk.js';
import { RawConnection, writeRequest } from '../support/raw-connection.js';
import { testDirectory } from '../support/test-directory.js';
import { call, startServer } from '../support/test-server.js';
import { until } from '../support/until.js';

t.test('documents, alerts and the dashboard name the metrics that there are', async (t) => {
  const directory = testDirectory(t);
  const server = await startServer({ directory });
  t.teardown(() => server.close());
  const metrics = createNodeMetrics(server.ports.status, {
    counts: new RequestCounts(),
    store: server.store,
    dataDirectory: directory,
    writeSeconds: new DurationCounts(),
    syncSeconds: createSyncHistogram(),
  });
  t.teardown(() => metrics.close());
  const pipeline: PipelineReport = {
    host: 'h',
    plugin: 'p',
    group: 'g',
    state: 'running',
    bytesPerSecond: 1,
    backlogBytes: 1,
    secondsLeft: 1,
    lastError: null,
    lastErrorClass: null,
    secondsSinceSuccess: 1,
    bytes: 1,
    messages: 1,
    retries: 1,
    deadLetters: 1,
    duplicates: 1,
  };
  const common = { restarts: 0, lastError: undefined, bytes: 1, deadLetters: 1, readBytes: 1 };
  const tasks = (['node', 'ship', 'sink'] as const).map((kind) => ({
    ...common,
    kind,
    name: 'a"b\n',
    state: 'running',
    figures: [],
    category: 'logs',
    pipeline: kind === 'node' ? undefined : pipeline,
  }));
  const text = `${await metrics.read()}\n${await formatTaskMetrics(tasks)}`;
  t.match(text, 'chukcha_task_up{kind="node",name="a\\"b\\n"} 1\n', 'no name forges a line');
  const there = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(
    ([, name, kind]) => `${name} ${kind}`,
  );
  const rows = readFileSync('docs/metrics.md', 'utf8').matchAll(/^\| `(\w+)` \| (\w+) \|/gm);
  t.same([...rows].map(([, name, kind]) => `${name} ${kind}`).sort(), there.sort());
  const names = new Set(
    there.flatMap((line) => [line.split(' ')[0], `${line.split(' ')[0]}_bucket`]),
  );
  const alerts = parse(readFileSync('deploy/prometheus/alerts.yaml', 'utf8')) as {
    groups: { rules: { expr: string }[] }[];
  };
  const dashboard = JSON.parse(readFileSync('deploy/grafana/chukcha.json', 'utf8')) as {
    panels: { targets: { expr: string }[] }[];
  };
  const expressions = [
    ...alerts.groups.flatMap(({ rules }) => rules.map(({ expr }) => expr)),
    ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
  ];
  t.ok(expressions.length > 20);
  for (const name of expressions.join(' ').match(/chukcha_\w+/g) ?? []) t.ok(names.has(name), name);
});

t.test('requests and refusals are counted by what they are, in the lane too', async (t) => {
  const server = await startServer({ directory: testDirectory(t) });
  t.teardown(() => server.close());
  const stamp = { 'Chukcha-Producer': 'p', 'Chukcha-Sequence': 1 };
  for (let time = 0; time < 2; time += 1)
    await call(server.url, '/write?category=logs', { body: 'a\n', headers: stamp });
  await call(server.url, '/write?category=logs', { body: 'no newline' });
  for (let time = 0; time < 3; time += 1) await call(server.url, `/nothing${time}`);
  const text = (await call(server.url, '/metrics')).body.toString();
  for (const line of [
    'chukcha_requests_total{route="/write",status="200"} 2',
    'chukcha_requests_total{route="/write",status="400"} 1',
    'chukcha_requests_total{route="none",status="404"} 3',
    'chukcha_refusals_total{code="batch_unterminated"} 1',
    'chukcha_refusals_total{code="not_found"} 3',
    'chukcha_duplicates_total 1',
    'chukcha_series_left_out 0',
  ]) {
    t.ok(text.includes(`${line}\n`), line);
  }
});

t.test('connections are counted by what they are used for, until they are closed', async (t) => {
  const server = await startServer({ directory: testDirectory(t) });
  t.teardown(() => server.close());
  const { byKind } = server.ports.counts.connections;
  const { url } = server;
  const silent = new RawConnection(url);
  const writing = new RawConnection(url);
  writing.send(writeRequest('a\n'));
  await writing.answer();
  const asking = new RawConnection(url);
  asking.send('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
  await asking.answer();
  const options = { server: url, category: 'logs' };
  const produce = await ProduceStream.open(options);
  const consume = await ConsumeStream.open(options);
  await until(() => byKind.get('lane') === 2);
  const text = (await call(url, '/metrics')).body.toString();
  // The one that asks is of Node's server too.
  for (const [kind, count] of Object.entries({ lane: 2, http: 2, produce: 1, consume: 1 })) {
    t.match(text, `chukcha_connections{kind="${kind}"} ${count}\n`);
  }
  t.match(text, 'chukcha_connections{kind="replication"} 0\n');
  await t.rejects(produce.write([Buffer.from('no newline')]), { code: 'batch_unterminated' });
  for (const { socket } of [silent, writing, asking]) socket.destroy();
  await produce.close();
  consume.close();
  await until(() => [...byKind.values()].every((count) => count === 0));
  const later = (await call(url, '/metrics')).body.toString();
  t.match(later, 'chukcha_connections{kind="lane"} 0\n');
  t.match(later, 'chukcha_refusals_total{code="batch_unterminated"} 1\n', 'of a stream too');
});

t.test('what is damaged, and why no writes are taken, is in the metrics', async (t) => {
  const disk = new FaultDisk();
  const server = await startServer({ directory: testDirectory(t), disk });
  t.teardown(() => server.close());
  const read = async (): Promise<string> => (await call(server.url, '/metrics')).body.toString();
  t.match(await read(), 'chukcha_read_only{reason="storage_failed"} 0\n');
  Object.assign(server.store.damage, {
    quarantinedChunks: 1,
    salvagedBytes: 7,
    divergentChunks: 2,
  });
  server.store.damage.scrubFindings.missing = 3;
  disk.inject({ operation: 'sync', path: /chunk\d+$/, code: 'EIO' });
  const body = 'a\n';
  const failed = await call(server.url, '/write?category=logs&sync_each_write=true', { body });
  t.equal(failed.status, 503);
  const text = await read();
  for (const line of [
    'chukcha_ready 0',
    'chukcha_read_only{reason="storage_failed"} 1',
    'chukcha_read_only{reason="disk_full"} 0',
    'chukcha_quarantined_chunks_total 1',
    'chukcha_salvaged_bytes_total 7',
    'chukcha_divergent_chunks_total 2',
    'chukcha_scrub_findings_total{kind="missing"} 3',
  ]) {
    t.match(text, `${line}\n`);
  }
});

t.test('durations go into the buckets of a histogram', (t) => {
  const counts = new DurationCounts();
  for (const seconds of [0, 0.0001, 0.0002, 4, 6]) counts.observe(seconds);
  const text = counts.text('x', 'Some');
  for (const line of [
    '# TYPE x histogram',
    'x_bucket{le="0.0001"} 2',
    'x_bucket{le="0.0005"} 3',
    'x_bucket{le="1"} 3',
    'x_bucket{le="5"} 4',
    'x_bucket{le="+Inf"} 5',
    'x_sum 10.0003',
    'x_count 5',
  ]) {
    t.match(text, `${line}\n`);
  }
  t.end();
});

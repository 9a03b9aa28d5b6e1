import { readFileSync } from 'node:fs';
import { Registry } from 'prom-client';
import t from 'tap';
import { parse } from 'yaml';
import { ConsumeStream } from '../../src/client/consume-stream.js';
import { ProduceStream } from '../../src/client/produce-stream.js';
import { formatTaskMetrics } from '../../src/commands/shared/monitor/task-metrics.js';
import { DurationCounts } from '../../src/common/duration-counts.js';
import {
  createNodeMetrics,
  createSyncHistogram,
  createWriteDurations,
} from '../../src/node/node-metrics.js';
import { createReplicationMetrics } from '../../src/node/replication-metrics.js';
import type { PipelineReport } from '../../src/protocol/pipeline-report.js';
import { RequestCounts } from '../../src/server/request-counts.js';
import { FaultDisk } from '../support/fault-disk.js';
import { RawConnection, readRequest, writeRequest } from '../support/raw-connection.js';
import { testDirectory } from '../support/test-directory.js';
import { call, messageOf, startServer, write } from '../support/test-server.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;

t.test('documents, alerts and the dashboard name the metrics that there are', async (t) => {
  const directory = testDirectory(t);
  const server = await startServer({ directory });
  t.teardown(() => server.close());
  const metrics = createNodeMetrics(server.ports.status, {
    counts: new RequestCounts(),
    store: server.store,
    dataDirectory: directory,
    writeSeconds: createWriteDurations(),
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
  const common = {
    restarts: 0,
    lastError: undefined,
    bytes: 1,
    deadLetters: 1,
    readBytes: 1,
    secondsFailing: 1,
  };
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
  const rows = [
    ...readFileSync('docs/metrics.md', 'utf8').matchAll(/^\| `(\w+)` \| (\w+) \| ([^|]+) \|/gm),
  ];
  t.same(rows.map(([, name, kind]) => `${name} ${kind}`).sort(), there.sort());
  const labels = new Map(rows.map(([, name = '', , cell]) => [name, labelsIn(cell)]));
  for (const [, series = '', shown = ''] of text.matchAll(/^(chukcha_\w+)\{([^}]*)\} /gm)) {
    const found = [...shown.matchAll(/(\w+)="/g)].map(([, label]) => label);
    const name = series.replace(/_(?:bucket|sum|count)$/, '');
    t.same(found.filter((label) => label !== 'le').sort(), labels.get(name)?.toSorted(), series);
  }
  const names = new Set(
    there.flatMap((line) => [line.split(' ')[0], `${line.split(' ')[0]}_bucket`]),
  );
  const alerts = parse(readFileSync('deploy/prometheus/alerts.yaml', 'utf8')) as {
    groups: {
      rules: {
        expr: string;
        labels: { severity: string };
        annotations: { summary: string };
      }[];
    }[];
  };
  const rules = alerts.groups.flatMap((group) => group.rules);
  const dashboard = JSON.parse(readFileSync('deploy/grafana/chukcha.json', 'utf8')) as {
    panels: { targets: { expr: string }[] }[];
  };
  const expressions = [
    ...rules.map(({ expr }) => expr),
    ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
  ];
  t.ok(expressions.length > 20);
  for (const name of expressions.join(' ').match(/chukcha_\w+/g) ?? []) t.ok(names.has(name), name);
  const labelsOf = (expression: string): readonly string[] => [
    ...(expression.match(/chukcha_\w+/g) ?? []).flatMap(
      (name) => labels.get(name.replace(/_bucket$/, '')) ?? [],
    ),
    'instance',
    'le',
  ];
  for (const expression of expressions) {
    const selected = [...expression.matchAll(/\{([^}]*)\}/g)].flatMap(([, selectors = '']) =>
      [...selectors.matchAll(/(\w+)(?:=|!=|!~)/g)].map(([, label]) => label),
    );
    const grouped = [...expression.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list = '']) =>
      list.split(', '),
    );
    for (const label of [...selected, ...grouped]) {
      t.ok(labelsOf(expression).includes(label ?? ''), `${expression}: ${label}`);
    }
  }
  for (const { annotations, labels: set, expr } of rules) {
    for (const [, label = ''] of annotations.summary.matchAll(/\$labels\.(\w+)/g)) {
      t.ok(labelsOf(expr).includes(label), `${annotations.summary}: ${label}`);
    }
    t.ok(['page', 'ticket'].includes(set.severity), expr);
  }
});

/** The names of labels in a cell of the table; none for `-`. */
function labelsIn(cell = ''): readonly string[] {
  return cell === '-' ? [] : cell.split(', ');
}

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
  const counts = new DurationCounts([0.0001, 0.0005, 5]);
  for (const microseconds of [0, 100, 200, 4e6, 6e6]) counts.observe(microseconds);
  const lines = [
    'x_bucket{le="0.0001"} 2',
    'x_bucket{le="0.0005"} 3',
    'x_bucket{le="5"} 4',
    'x_bucket{le="+Inf"} 5',
    'x_sum 10.0003',
    'x_count 5',
  ];
  t.equal(counts.samples('x'), `${lines.join('\n')}\n`);
  const labelled = counts.samples('x', 'route="/a"');
  for (const line of [
    'x_bucket{route="/a",le="+Inf"} 5',
    'x_sum{route="/a"} 10.0003',
    'x_count{route="/a"} 5',
  ]) {
    t.ok(labelled.includes(`${line}\n`), line);
  }
  t.end();
});

/** How many answers of a route were measured, how many in less than 0.5 ms and 2 s, and how long all took. */
async function durationsOf(url: string, route: string): Promise<readonly (number | undefined)[]> {
  const text = (await call(url, '/metrics')).body.toString();
  const [shown, ...values] = ['_count{', '_bucket{', '_bucket{', '_sum{'].map((part, at) => {
    const bound = ['', ',le="0.0005"', ',le="2"', ''][at];
    const start = `\nchukcha_request_seconds${part}route="${route}"${bound}} `;
    const from = text.indexOf(start);
    return from === -1 ? undefined : Number.parseFloat(text.slice(from + start.length));
  });
  const answered = [
    ...text.matchAll(/^chukcha_requests_total\{route="([^"]+)",status="\d+"\} (\d+)$/gm),
  ].filter(([, name]) => name === route);
  const total = answered.reduce((sum, [, , count]) => sum + Number(count), 0);
  if (total !== (shown ?? 0)) throw new Error(`${total} answers, ${shown} durations of ${route}`);
  return [shown, ...values];
}

/** The same request, in a form that the lane leaves to the HTTP server. */
function forServer(request: string): string {
  return request.replace('Host: x\r\n', 'Host: x\r\nAccept-Charset: x\r\n');
}

for (const [way, form] of [
  ['the lane', (request: string) => request],
  ['the HTTP server', forServer],
] as const) {
  t.test(`${way} measures a write from its last byte to its answer`, async (t) => {
    const disk = new FaultDisk();
    const server = await startServer({ directory: testDirectory(t), disk });
    t.teardown(() => server.close());
    const connection = new RawConnection(server.url);
    t.teardown(() => connection.socket.destroy());
    const request = form(writeRequest('a\n').replace('=logs', '=logs&sync_each_write=true'));
    const held = disk.hold('sync', /chunk\d+$/);
    connection.send(request.slice(0, -1));
    // What the client takes for its body is not the node's time.
    await call(server.url, '/livez');
    server.clock.advance(5_000);
    connection.send(request.slice(-1));
    await held.reached;
    server.clock.advance(700);
    held.release();
    t.equal((await connection.answer()).status, 200);
    t.same(await durationsOf(server.url, '/write'), [1, 0, 1, 0.7]);
  });

  t.test(`${way} does not measure what it holds on purpose`, async (t) => {
    const server = await startServer({ directory: testDirectory(t) });
    t.teardown(() => server.close());
    await write(server, 'a\n');
    const connection = new RawConnection(server.url);
    t.teardown(() => connection.socket.destroy());
    const timer = server.clock.nextTimer();
    // The write behind the read waits for its turn.
    connection.send(
      form(readRequest('&off=2&wait_ms=50000')) + form(writeRequest('behind\n', 'b')),
    );
    await timer;
    // It is stored meanwhile; only its answer waits.
    await until(() => server.store.openCategory('b')?.view.held().bytes === 7);
    server.clock.advance(30_000);
    await write(server, 'b\n');
    t.match(await connection.answer(), { status: 200, body: 'b\n' });
    t.equal((await connection.answer()).status, 200);
    t.same(await durationsOf(server.url, '/read'), [1, 1, 1, 0]);
    t.same(await durationsOf(server.url, '/write'), [3, 3, 3, 0]);
    const again = server.clock.nextTimer();
    connection.send(form(readRequest('&off=4&wait_ms=50000')) + form(readRequest('&off=0')));
    await again;
    server.clock.advance(50_000);
    t.match(await connection.answer(), { status: 200, body: '' });
    t.match(await connection.answer(), { status: 200, body: 'a\nb\n' });
    t.same(await durationsOf(server.url, '/read'), [3, 3, 3, 0], 'also when nothing came');
  });

  t.test(`${way} does not measure how slowly a client reads`, async (t) => {
    const server = await startServer({ directory: testDirectory(t), chunkBytesMax: 64 * MIB });
    t.teardown(() => server.close());
    const message = messageOf(MIB);
    for (let count = 0; count < 16; count += 1) await write(server, message);
    const connection = new RawConnection(server.url);
    t.teardown(() => connection.socket.destroy());
    // What comes is thrown away, once it is asked for.
    connection.socket.removeAllListeners('data').pause();
    connection.send(form(readRequest(`&max_size=${16 * MIB}`)));
    await until(() => server.store.openCategory('logs')?.traffic.readBytes === 16 * MIB);
    server.clock.advance(20_000);
    connection.socket.resume();
    await until(() => server.ports.counts.requests.some(({ route }) => route === '/read'));
    t.same(await durationsOf(server.url, '/read'), [1, 1, 1, 0]);
  });
}

t.test('lists that are held and streams without end do not spoil the times', async (t) => {
  const server = await startServer({ directory: testDirectory(t) });
  t.teardown(() => server.close());
  const { url, clock } = server;
  await write(server, 'a\n');
  const { headers } = await call(url, '/listChunks?category=logs');
  const version = headers['chukcha-list-version'];
  const timer = clock.nextTimer();
  const list = call(url, `/listChunks?category=logs&version=${version}&wait_ms=50000`);
  await timer;
  clock.advance(50_000);
  t.equal((await list).status, 200);
  t.same(await durationsOf(url, '/listChunks'), [2, 2, 2, 0]);
  const idle = clock.nextTimer();
  const stream = call(url, '/stream?category=logs&wait_ms=40000');
  await idle;
  clock.advance(40_000);
  t.equal((await stream).body.toString(), 'a\n');
  t.same(await durationsOf(url, '/stream'), [1, 1, 1, 0]);
});

t.test('each stored batch of a stream is measured', async (t) => {
  const disk = new FaultDisk();
  const server = await startServer({ directory: testDirectory(t), disk });
  t.teardown(() => server.close());
  const produce = await ProduceStream.open({ server: server.url, category: 'logs' });
  server.clock.advance(60_000);
  await produce.write([Buffer.from('a\n')]);
  const held = disk.hold('sync', /chunk\d+$/);
  const written = produce.write([Buffer.from('b\n')], { sync: true });
  await held.reached;
  server.clock.advance(3_000);
  held.release();
  await written;
  await t.rejects(produce.write([Buffer.from('no newline')]), { code: 'batch_unterminated' });
  await produce.close();
  t.same(await durationsOf(server.url, '/produce'), [2, 1, 1, 3]);
});

t.test('bytes and open chunks of categories are counted, and what the process uses', async (t) => {
  const server = await startServer({ directory: testDirectory(t) });
  t.teardown(() => server.close());
  const chunk = await write(server, 'four\n');
  await call(server.url, `/read?category=logs&chunk=${chunk}`);
  const read = async (): Promise<string> => (await call(server.url, '/metrics')).body.toString();
  const open = await read();
  for (const line of [
    'chukcha_written_bytes_total{category="logs"} 5',
    'chukcha_read_bytes_total{category="logs"} 5',
    'chukcha_copied_bytes_total{category="logs"} 0',
    'chukcha_open_chunks{category="logs"} 1',
  ]) {
    t.ok(open.includes(`${line}\n`), line);
  }
  t.match(open, /^chukcha_info\{version="\d+\.\d+\.\d+[^"]*"\} 1$/m);
  t.match(open, /^chukcha_start_timestamp_seconds 1767225600$/m, 'as the clock of the test says');
  t.match(open, /^chukcha_cpu_seconds_total\{mode="user"\} \d*\.?\d+$/m);
  if (process.platform === 'linux') {
    t.match(open, /^chukcha_open_descriptors [1-9]\d*$/m);
    t.match(open, /^chukcha_open_descriptors_max (?:[1-9]\d*|\+Inf)$/m);
  }
  await call(server.url, '/seal?category=logs', { method: 'POST' });
  const [sealed, again] = await Promise.all([read(), read()]);
  for (const text of [sealed, again]) {
    t.match(text, 'chukcha_open_chunks{category="logs"} 0\n');
    t.match(text, 'chukcha_written_bytes_total{category="logs"} 5\n', 'looks at once count once');
  }
});

t.test('above the limit of series those of categories that lag most are shown', async (t) => {
  const registry = new Registry();
  const take = createReplicationMetrics(registry);
  const categories = Array.from({ length: 1_002 }, (_, at) => ({
    category: `c${at}`,
    bytesHereOnly: at,
    behind: [
      { peer: 'b', bytes: 2 * at },
      { peer: 'c', bytes: 0 },
    ],
  }));
  const pendingAcks = new Map([
    ['b', 3],
    ['c', 0],
  ]);
  t.equal(take(null, { categories, pendingAcks }), 2 + 1_004);
  const text = await registry.metrics();
  t.match(text, 'chukcha_unreplicated_bytes{category="c1001"} 1001\n');
  t.notMatch(text, 'chukcha_unreplicated_bytes{category="c1"}');
  t.match(text, 'chukcha_category_replication_lag_bytes{category="c1001",peer="b"} 2002\n');
  t.notMatch(text, 'peer="c"} 0\nchukcha_category');
  t.match(text, 'chukcha_acks_pending{peer="b"} 3\n');
  registry.resetMetrics();
  t.equal(take(null, { categories: categories.slice(0, 500), pendingAcks }), 0);
  t.equal(take(null, undefined), 0, 'a lone node has no peers');
});

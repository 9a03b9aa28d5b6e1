import { readFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import { formatTaskMetrics } from '../../src/commands/shared/monitor/task-metrics.js';
import { createNodeMetrics, createSyncHistogram } from '../../src/node/node-metrics.js';
import type { PipelineReport } from '../../src/protocol/pipeline-report.js';
import { RequestCounts } from '../../src/server/request-counts.js';
import { testDirectory } from '../support/test-directory.js';
import { call, startServer } from '../support/test-server.js';

t.test('documents, alerts and the dashboard name the metrics that there are', async (t) => {
  const directory = testDirectory(t);
  const server = await startServer({ directory });
  t.teardown(() => server.close());
  const metrics = createNodeMetrics(server.ports.status, {
    counts: new RequestCounts(),
    dataDirectory: directory,
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

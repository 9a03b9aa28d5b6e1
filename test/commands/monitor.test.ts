import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { request as requestTls } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type Output, PluginError } from '@chukcha/plugin-api';
import t, { type Test } from 'tap';
import { Client } from '../../src/client/client.js';
import { resolveMonitor } from '../../src/commands/shared/monitor/monitor-options.js';
import { type Monitor, startMonitor } from '../../src/commands/shared/monitor/start-monitor.js';
import type { TaskReport } from '../../src/commands/shared/monitor/task-report.js';
import { PipelineWatch } from '../../src/commands/shared/pipeline-watch.js';
import { openSink } from '../../src/commands/shared/sink-run.js';
import { silentLogger } from '../../src/common/logger.js';
import { PipelineReporter } from '../../src/pipeline/pipeline-reporter.js';
import { PipelineStanding } from '../../src/pipeline/pipeline-standing.js';
import { StateJournal } from '../../src/pipeline/state-journal.js';
import { ChukchaError } from '../../src/protocol/chukcha-error.js';
import type { NodeStatus } from '../../src/protocol/http-api.js';
import { type PipelineReport, pipelineReportMs } from '../../src/protocol/pipeline-report.js';
import { digestOf } from '../../src/server/access/access.js';
import { nodeDisk } from '../../src/storage/node-disk.js';
import { FakeClock } from '../support/fake-clock.js';
import { pipelineReport } from '../support/pipeline-report.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { TestAuthority } from '../support/test-certificates.js';
import { testDirectory } from '../support/test-directory.js';
import { startTestNode } from '../support/test-node.js';
import { call, json, startServer } from '../support/test-server.js';
import { until } from '../support/until.js';

const report = pipelineReport();

const task: TaskReport = {
  kind: 'sink',
  name: 'archive',
  state: 'running',
  restarts: 0,
  lastError: undefined,
  secondsFailing: undefined,
  bytes: 10,
  deadLetters: 0,
  readBytes: 0,
  figures: [],
  category: 'logs',
  pipeline: report,
};

interface Tasks {
  readonly tasks: [object];
}

async function start(
  t: Test,
  values: Readonly<Record<string, unknown>>,
  tasks: readonly TaskReport[] = [task],
): Promise<Monitor> {
  const options = resolveMonitor({ monitor: '127.0.0.1:0', ...values });
  if (options === undefined) throw new Error('no monitor was asked for');
  const monitor = await startMonitor(options, () => tasks, new RecordingLogger());
  t.teardown(() => monitor.close());
  return monitor;
}

t.test('a sink shows in its monitor and at its node: standing still, then mended', async (t) => {
  const directory = testDirectory(t);
  const node = await startTestNode(join(directory, 'data'));
  const client = new Client({ server: node.url });
  const state = await StateJournal.open(nodeDisk, join(directory, 'state'));
  t.teardown(async () => {
    await state.close();
    client.close();
    await node.close();
  });
  await client.write('logs', [Buffer.from('one\ntwo\n')]);
  let isMended = false;
  // A target of the test: it needs a person, then takes everything but one message.
  const output: Output = {
    write: async ({ messageCount }) => {
      if (!isMended) throw new PluginError('operator', 'There is no table\nlogs: create it.');
      return messageCount === 2 ? undefined : { failures: [{ index: 0, reason: 'It is odd.' }] };
    },
    close: async () => undefined,
  };
  const options = { type: 'object', additionalProperties: false, properties: {} } as const;
  const opened = await openSink(
    {
      plugin: {
        packageName: 'test',
        descriptor: {
          apiVersion: 1,
          kind: 'output',
          name: 'list',
          summary: '',
          options,
          load: async () => ({ open: async () => output }),
        },
      },
      pluginOptions: {},
      settings: { category: 'logs', group: 'archive', delivery: {} },
      client,
      once: false,
      state,
      log: silentLogger,
    },
    () => undefined,
  );
  const log = new RecordingLogger();
  const watch = await PipelineWatch.open(resolveMonitor({ monitor: '127.0.0.1:0' }), log);
  t.teardown(() => watch.close());
  const url = String(log.entries.find(({ fields }) => fields?.['url'])?.fields?.['url']);
  const empty = await call(url, '/readyz');
  t.match([empty.status, json(empty)], [503, { reasons: ['Nothing runs yet.'] }]);
  watch.add({ kind: 'sink', name: 'archive', server: node.url, watched: opened.watched });
  const stop = new AbortController();
  const running = opened.sink.run(stop.signal, 'stopped');
  const atNode = async () =>
    (json(await call(node.url, '/status')) as NodeStatus).pipelines[0] ?? { state: 'not there' };
  await until(async () => (await atNode()).state === 'stalled');
  const sentence = 'There is no table logs: create it.';
  t.match(await atNode(), {
    kind: 'sink',
    category: 'logs',
    group: 'archive',
    plugin: 'list',
    lastError: sentence,
    lastErrorClass: 'operator',
    backlogBytes: 8,
  });
  const ready = await call(url, '/readyz');
  t.match([ready.status, json(ready)], [503, { reasons: [/^The sink archive is stalled: There/] }]);
  t.match(json(await call(url, '/status')), {
    tasks: [
      { name: 'archive', state: 'stalled', secondsFailing: Number, pipeline: { retries: /\d/ } },
    ],
  });
  const figures = (await call(url, '/metrics')).body.toString();
  t.match(figures, /chukcha_task_failing\{kind="sink",name="archive",class="operator"\} 1\n/);
  t.match(figures, /chukcha_task_failing\{kind="sink",name="archive",class="transient"\} 0\n/);

  isMended = true;
  await until(async () => (await atNode()).state === 'running');
  // The chunk is open and so not acknowledged, yet nothing of it is still to be delivered.
  await until(async () => ((await atNode()) as PipelineReport).backlogBytes === 0);
  t.match(await atNode(), { bytes: 8, messages: 2, lastError: sentence });
  t.equal((await call(url, '/readyz')).status, 200);
  t.notOk('secondsFailing' in (json(await call(url, '/status')) as Tasks).tasks[0]);
  await client.write('logs', [Buffer.from('odd\n')]);
  await until(async () => ((await atNode()) as PipelineReport).deadLetters === 1);
  t.match(await atNode(), { state: 'running', lastError: 'It is odd.', lastErrorClass: 'data' });
  const later = (await call(url, '/metrics')).body.toString();
  const labels = 'name="archive",category="logs",group="archive"';
  for (const line of [
    `chukcha_sink_delivered_bytes_total{${labels}} 12`,
    `chukcha_sink_dead_letters_total{${labels}} 1`,
    `chukcha_sink_backlog_bytes{${labels}} 0`,
    `chukcha_sink_standing_by{${labels}} 0`,
    'chukcha_task_failing{kind="sink",name="archive",class="data"} 0',
  ]) {
    t.ok(later.includes(`${line}\n`), line);
  }
  stop.abort();
  await running;
  await opened.close();
});

t.test(
  'what passes by itself is no news for a minute, and then a reason not to be ready',
  async (t) => {
    const clock = new FakeClock();
    const standing = new PipelineStanding(clock);
    const now = (): TaskReport => ({
      ...task,
      state: standing.state,
      lastError: standing.lastFailure?.sentence,
      secondsFailing: standing.secondsFailing,
    });
    const options = resolveMonitor({ monitor: '127.0.0.1:0' });
    if (options === undefined) throw new Error('a monitor was asked for');
    const monitor = await startMonitor(options, () => [now()], new RecordingLogger());
    t.teardown(() => monitor.close());
    const ready = async (): Promise<unknown> => {
      const [answer, live] = await Promise.all([
        call(monitor.url, '/readyz'),
        call(monitor.url, '/livez'),
      ]);
      t.equal(live.status, 200, 'nothing of it is mended by a restart');
      const metrics = (await call(monitor.url, '/metrics')).body.toString();
      const isReady = metrics.includes('chukcha_task_ready{kind="sink",name="archive"} 1\n');
      t.equal(isReady, answer.status === 200);
      return (json(answer) as { reasons: unknown }).reasons;
    };
    const away = new ChukchaError('server_unreachable', 'No node answers.');
    t.same(await ready(), []);
    standing.noteRetry(away, 'bus');
    clock.advance(59_000);
    standing.noteRetry(away, 'bus');
    t.same([standing.state, await ready()], ['retrying', []]);
    clock.advance(16_000);
    const reason = 'The sink archive has failed and been tried again for 75 s: No node answers.';
    t.same(await ready(), [reason]);
    standing.noteBusAnswer();
    t.same(await ready(), []);
    standing.noteRetry(away, 'bus');
    clock.advance(60_000);
    t.same(await ready(), [], 'it counts from the last success on');
    // That the bus answers says nothing of the target.
    standing.noteRetry(new PluginError('transient', 'The target is busy.'), 'plugin');
    standing.noteBusAnswer();
    clock.advance(1_000);
    t.match(await ready(), [/for 61 s: The target is busy\.$/]);
    standing.isStandingBy = true;
    t.same(await ready(), [], 'another one does the work');
    standing.isStandingBy = false;
    standing.noteSuccess();
    t.same(await ready(), []);
    standing.noteRetry(new PluginError('operator', 'There is no table.'), 'plugin');
    t.match(await ready(), [/^The sink archive is stalled: There is no table\.$/], 'at once');
  },
);

t.test('an address that others reach needs TLS and tokens, as that of a node does', async (t) => {
  const refuse = (values: Readonly<Record<string, unknown>>, message: RegExp): void => {
    t.throws(() => resolveMonitor(values), { code: 'invalid_option', message }, String(message));
  };
  t.equal(resolveMonitor({}), undefined);
  refuse({ monitor: '0.0.0.0:1' }, /see what runs here.*--monitor-tls-cert.*--monitor-tokens/);
  refuse({ monitor: '[::]:1' }, /Other machines can reach ::,/);
  refuse({ monitor: 'example.com:1', 'monitor-tokens': 'f' }, /give TLS \(--monitor-tls-cert/);
  refuse({ monitor: '127.0.0.1' }, /expected HOST:PORT/);
  refuse({ monitor: '127.0.0.1:70000' }, /expected HOST:PORT/);
  refuse({ monitor: '127.0.0.1:1', 'monitor-tls-cert': 'f' }, /--monitor-tls-key one is missing/);
  refuse({ 'monitor-tokens': 'f' }, /--monitor-tokens is for a monitor, and none is asked for/);
  t.ok(resolveMonitor({ monitor: '[::1]:1' }));
  t.ok(resolveMonitor({ monitor: '0.0.0.0:1', 'monitor-insecure-listen': true }));
  const security = { 'monitor-tokens': 'f', 'monitor-tls-cert': 'f', 'monitor-tls-key': 'f' };
  t.ok(resolveMonitor({ monitor: '0.0.0.0:1', ...security }));
});

t.test('tokens guard what is told, and not whether it lives; TLS hides it', async (t) => {
  const directory = testDirectory(t);
  const authority = new TestAuthority(directory, 'ca');
  const { certPath, keyPath } = authority.issue('monitor');
  const entryOf = (name: string, rights: string): string =>
    `  - name: ${name}\n    sha256: ${digestOf(`chukcha_${name}_0123456789`).toString('hex')}\n    ${rights}\n`;
  const tokens = join(directory, 'tokens.yaml');
  writeFileSync(
    tokens,
    `tokens:\n${entryOf('watcher', "observe: ['*']")}${entryOf('writer', "write: ['*']")}`,
  );
  const stalled = { ...task, state: 'stalled', lastError: 'A secret name.' };
  const files = { 'monitor-tls-cert': certPath, 'monitor-tls-key': keyPath };
  const monitor = await start(t, { ...files, 'monitor-tokens': tokens }, [stalled]);
  t.match(monitor.url, /^https:/);
  const ask = (path: string, name?: string): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const headers =
        name === undefined ? {} : { Authorization: `Bearer chukcha_${name}_0123456789` };
      requestTls(monitor.url + path, { ca: authority.ca, headers }, (answer) => {
        let text = '';
        answer.on('data', (piece) => {
          text += piece;
        });
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      })
        .on('error', reject)
        .end();
    });
  t.equal((await ask('/livez')).status, 200);
  t.same(await ask('/readyz'), { status: 503, text: '{"ready":false}\n' });
  for (const path of ['/status', '/metrics']) {
    t.equal((await ask(path)).status, 401, path);
    t.equal((await ask(path, 'unknown')).status, 401, path);
    t.equal((await ask(path, 'writer')).status, 403, path);
    t.equal((await ask(path, 'watcher')).status, 200, path);
  }
  writeFileSync(tokens, `tokens:\n${entryOf('writer', "observe: ['*']")}`);
  await monitor.reload();
  t.equal((await ask('/status', 'watcher')).status, 401, 'a token that is withdrawn');
  t.equal((await ask('/status', 'writer')).status, 200);
  await t.rejects(start(t, { 'monitor-tokens': join(directory, 'none') }), {
    code: 'invalid_option',
  });
});

t.test('a monitor answers what it has, and nothing else', async (t) => {
  const { url } = await start(t, {});
  t.match(json(await call(url, '/status')), { reasons: [], tasks: [{ name: 'archive' }] });
  t.equal((await call(url, '/status?x=1')).status, 200);
  t.same((await call(url, '/metrics', { method: 'HEAD' })).body.length, 0);
  const posted = await call(url, '/status', { method: 'POST', body: 'x'.repeat(100_000) });
  t.match([posted.status, posted.headers.allow], [405, 'GET, HEAD']);
  for (const path of ['/', '/statusx', '//status', '/__proto__', '/%00']) {
    t.equal((await call(url, path)).status, 404, path);
  }
  await t.rejects(start(t, { monitor: new URL(url).host }), { code: 'invalid_option' });
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  let answer = '';
  socket.on('data', (piece) => {
    answer += piece.toString();
  });
  socket.write(`GET /${'x'.repeat(40_000)} HTTP/1.1\r\n\r\n`);
  await until(() => /^HTTP\/1\.1 4\d\d/.test(answer));
  socket.destroy();
  t.equal((await call(url, '/livez')).status, 200);
});

t.test('a node that wants no reports is asked seldom, and the others get them', async (t) => {
  const server = await startServer({ directory: testDirectory(t) });
  t.teardown(() => server.close());
  let askedCount = 0;
  // A fake of a node of an earlier version.
  const older = createServer((request, response) => {
    askedCount += 1;
    request.resume();
    response.writeHead(404, { 'Content-Type': 'application/json' });
    response.end('{"error":{"code":"not_found","message":"There is nothing."}}');
  });
  await new Promise<void>((resolve) => older.listen(0, '127.0.0.1', resolve));
  t.teardown(() => older.close());
  const { port } = older.address() as { port: number };
  const clock = new FakeClock();
  let reportCount = 0;
  const servers = [server.url, `http://127.0.0.1:${port}`, 'http://127.0.0.1:1'];
  const reporter = new PipelineReporter({
    kind: 'ship',
    name: 'p',
    category: 'logs',
    clock,
    openClient: async () => new Client({ server: servers }),
    report: async () => {
      reportCount += 1;
      if (reportCount === 2) throw new Error('A look that went wrong.');
      return { ...report, bytes: reportCount };
    },
  });
  reporter.start();
  const bytesAtNode = async (): Promise<number | undefined> =>
    (json(await call(server.url, '/status')) as NodeStatus).pipelines[0]?.bytes;
  await until(async () => (await bytesAtNode()) === 1 && askedCount === 1);
  for (let round = 2; round <= 19; round += 1) {
    await until(() => {
      // The next turn begins when its time has come, and the answers of the last one are there.
      if (reportCount < round) clock.advance(pipelineReportMs / 4);
      return reportCount >= round;
    });
    if (round > 2) await until(async () => (await bytesAtNode()) === round);
  }
  t.equal(askedCount, 1, 'for most of a minute');
  await until(() => {
    clock.advance(pipelineReportMs);
    return askedCount === 2;
  });
  await reporter.close();
  await reporter.close();
});

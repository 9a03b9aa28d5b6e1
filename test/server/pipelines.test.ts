import t, { type Test } from 'tap';
import { Client } from '../../src/client/client.js';
import type { NodeStatus } from '../../src/protocol/http-api.js';
import {
  parsePipelineReport,
  pipelineErrorLengthMax,
  pipelineReportBytesMax,
  pipelineReportHoldsMs,
  toPipelineName,
  toReportText,
} from '../../src/protocol/pipeline-report.js';
import { pipelineCountMax } from '../../src/server/pipeline-board.js';
import { pipelineReport } from '../support/pipeline-report.js';
import { testDirectory } from '../support/test-directory.js';
import { call, errorOf, json, startServer, type TestServer } from '../support/test-server.js';

const report = pipelineReport({
  plugin: 'clickhouse',
  bytesPerSecond: 12.5,
  backlogBytes: 10,
  secondsLeft: null,
});

async function start(t: Test): Promise<TestServer & { readonly client: Client }> {
  const server = await startServer({ directory: testDirectory(t) });
  const client = new Client({ server: server.url });
  t.teardown(async () => {
    client.close();
    await server.close();
  });
  return { ...server, client };
}

async function pipelinesOf({ url }: TestServer): Promise<NodeStatus['pipelines']> {
  return (json(await call(url, '/status')) as NodeStatus).pipelines;
}

t.test('a pipeline is in the status until it was silent for three reports', async (t) => {
  const server = await start(t);
  const { client, clock } = server;
  t.same(await pipelinesOf(server), []);
  await client.reportPipeline({ kind: 'sink', name: 'b', category: 'logs' }, report);
  await client.reportPipeline({ kind: 'sink', name: 'a', category: 'logs' }, report);
  const ship = { ...report, group: null, plugin: 'file' };
  await client.reportPipeline({ kind: 'ship', name: 'b', category: 'logs' }, ship);
  t.same(await pipelinesOf(server), [
    { name: 'b', kind: 'ship', category: 'logs', ...ship, reportedSecondsAgo: 0 },
    { name: 'a', kind: 'sink', category: 'logs', ...report, reportedSecondsAgo: 0 },
    { name: 'b', kind: 'sink', category: 'logs', ...report, reportedSecondsAgo: 0 },
  ]);
  await clock.advance(4_000);
  await client.reportPipeline(
    { kind: 'sink', name: 'b', category: 'logs' },
    { ...report, state: 'stalled', lastError: 'No such table.', lastErrorClass: 'operator' },
  );
  t.match(await pipelinesOf(server), [
    { kind: 'ship', reportedSecondsAgo: 4 },
    { kind: 'sink', name: 'a', reportedSecondsAgo: 4 },
    { kind: 'sink', name: 'b', state: 'stalled', reportedSecondsAgo: 0 },
  ]);
  await clock.advance(pipelineReportHoldsMs - 4_000);
  t.match(await pipelinesOf(server), [{ kind: 'sink', name: 'b' }]);
  await clock.advance(4_000);
  t.same(await pipelinesOf(server), []);
});

t.test('what is not a report is refused with a reason, and shown nowhere', async (t) => {
  const server = await start(t);
  const put = (body: string | Buffer, path = '/pipelines/p?kind=sink&category=logs') =>
    call(server.url, path, { method: 'PUT', body });
  const whole = JSON.stringify(report);
  for (const [change, reason] of [
    [{ lastError: 'two\nlines' }, /lastError has to be a text/],
    [{ lastError: '\u001b[2J' }, /lastError has to be a text/],
    [{ host: 'a\u202eb' }, /host has to be a text/],
    [{ host: 'x'.repeat(129) }, /host has to be a text/],
    [{ host: 5 }, /host has to be a text/],
    [{ group: undefined }, /group has to be a text/],
    [{ lastError: 'x'.repeat(pipelineErrorLengthMax + 1) }, /lastError has to be a text/],
    [{ lastError: '\ud800' }, /lastError has to be a text/],
    [{ state: 'on fire' }, /state has to be one of starting, running/],
    [{ state: 'constructor' }, /state has to be one of/],
    [{ lastErrorClass: '__proto__' }, /lastErrorClass has to be one of/],
    [{ bytes: -1 }, /bytes has to be a number/],
    [{ bytes: 1e300 }, /bytes has to be a number/],
    [{ retries: '1' }, /retries has to be a number/],
    [{ backlogBytes: [] }, /backlogBytes has to be a number/],
  ] as const) {
    const answer = await put(JSON.stringify({ ...report, ...change }));
    t.match(errorOf(answer), { status: 400, code: 'invalid_request', message: reason });
  }
  for (const text of ['', 'x', '[]', 'null', '"report"', '{', `${whole}${whole}`, '1'.repeat(99)]) {
    t.match(errorOf(await put(text)), { status: 400, code: 'invalid_request' }, text);
  }
  const notText = Buffer.from(whole);
  notText[20] = 0xff;
  t.match(errorOf(await put(notText)), { status: 400, message: /not UTF-8/ });
  const large = JSON.stringify({ ...report, more: 'x'.repeat(pipelineReportBytesMax) });
  t.match(errorOf(await put(large)), { status: 413, message: /more than 4096 bytes/ });
  t.match(
    errorOf(
      await call(server.url, '/pipelines/p?kind=sink&category=logs', {
        method: 'PUT',
        body: [Buffer.from(whole.slice(0, 9)), Buffer.alloc(pipelineReportBytesMax, ' ')],
      }),
    ),
    { status: 413 },
    'also when it comes in parts',
  );
  for (const [path, status] of [
    ['/pipelines/p?category=logs', 400],
    ['/pipelines/p?kind=node&category=logs', 400],
    ['/pipelines/p?kind=sink', 400],
    ['/pipelines/p?kind=sink&category=a%2Fb', 400],
    ['/pipelines/a%20b?kind=sink&category=logs', 400],
    [`/pipelines/${'x'.repeat(129)}?kind=sink&category=logs`, 400],
    ['/pipelines/..%2f?kind=sink&category=logs', 400],
    ['/pipelines/p?kind=sink&category=logs&name=q', 400],
    ['/pipelines/?kind=sink&category=logs', 404],
    ['/pipelines?kind=sink&category=logs', 404],
  ] as const) {
    t.equal((await put(whole, path)).status, status, path);
  }
  t.equal((await call(server.url, '/pipelines/p?kind=sink&category=logs')).status, 405);
  t.same(await pipelinesOf(server), []);
  t.equal(server.ports.budget.usedBytes, 0, 'nothing of what was refused is kept');
});

t.test('a newer pipeline may say more than the node knows', async (t) => {
  const server = await start(t);
  const body = JSON.stringify({ ...report, mood: 'good', __proto__: null, name: 'other' });
  const path = '/pipelines/web.1_a-b?kind=ship&category=logs';
  t.same(json(await call(server.url, path, { method: 'PUT', body })), {
    kind: 'ship',
    name: 'web.1_a-b',
    category: 'logs',
  });
  const [shown] = await pipelinesOf(server);
  t.equal(shown?.name, 'web.1_a-b');
  t.notOk('mood' in (shown ?? {}));
});

t.test('no more pipelines are kept than there is room for, and room comes back', async (t) => {
  const server = await start(t);
  const { pipelines } = server.ports;
  const key = (name: string) => ({ kind: 'ship', category: 'logs', name }) as const;
  for (let count = 0; count < pipelineCountMax; count += 1) pipelines.put(key(`p${count}`), report);
  const one = server.client.reportPipeline(key('more'), report);
  await t.rejects(one, { code: 'too_many_pipelines', status: 429, retryable: true });
  await server.client.reportPipeline(key('p0'), { ...report, bytes: 11 });
  t.equal((await pipelinesOf(server)).length, pipelineCountMax);
  await server.clock.advance(pipelineReportHoldsMs);
  await server.client.reportPipeline(key('more'), report);
  t.match(await pipelinesOf(server), [{ name: 'more' }]);
});

t.test('whatever an error says, a pipeline makes a report of it that a node takes', async (t) => {
  const texts = [
    'two\nlines\tand\u0000more',
    `${'😀'.repeat(400)}`,
    '\ud83d alone',
    `\u202e${'x'.repeat(2_000)}`,
    '',
    'é'.repeat(499),
  ];
  for (const text of texts) {
    const lastError = toReportText(text);
    const sent = JSON.stringify({ ...report, lastError });
    t.ok(Buffer.byteLength(sent) < pipelineReportBytesMax);
    t.equal(parsePipelineReport(Buffer.from(sent).toString()).lastError, lastError);
  }
  t.equal(toReportText('two\nlines\u0000\u0001 more'), 'two lines more');
  t.equal(toPipelineName('my host/./ä'), 'my-host-.-');
  t.equal(toPipelineName(''), 'pipeline');
});

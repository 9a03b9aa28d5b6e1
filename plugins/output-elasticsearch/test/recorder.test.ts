// The protocol of _bulk against the recorder, a fake: what a real server cannot be brought to do on demand.
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { type Output, type OutputBatch, pluginErrorKind } from '@chukcha/plugin-api';
import { outputConformance } from '@chukcha/plugin-api/conformance';
import t from 'tap';
import { readBulkResult } from '../src/bulk-result.js';
import { createModule } from '../src/elasticsearch-output.js';
import listPlugins from '../src/hook.js';
import { BulkRecorder } from './support/bulk-recorder.js';
import { messageOf } from './support/document-bytes.js';
import { createBatch, createContext, never, openOutput } from './support/open-output.js';

type Test = typeof t;

async function start(t: Pick<Test, 'teardown'>): Promise<BulkRecorder> {
  const recorder = await BulkRecorder.start();
  t.teardown(() => recorder.close());
  return recorder;
}

/** The kind and the sentence that a write ends with. */
async function failureOf(
  output: Output,
  batch: OutputBatch,
): Promise<{ kind: string; message: string }> {
  try {
    const outcome = await output.write(batch, never);
    return { kind: 'resolved', message: JSON.stringify(outcome) };
  } catch (error) {
    return { kind: pluginErrorKind(error), message: (error as Error).message };
  }
}

t.test('conformance', async (t) => {
  const createTarget = async () => {
    const recorder = await BulkRecorder.start();
    return {
      open: () => openOutput({ hosts: recorder.host, index: 'logs' }),
      received: async () =>
        Buffer.concat(recorder.documents.map(({ source }) => messageOf(source))),
      close: () => recorder.close(),
    };
  };
  for (const { name, run } of outputConformance({ createTarget })) t.test(name, run);
});

t.test('the package offers both names, and their modules open and check', async (t) => {
  const plugins = await listPlugins();
  t.same(
    plugins.map(({ name }) => name),
    ['elasticsearch', 'opensearch'],
  );
  for (const plugin of plugins) {
    t.equal(plugin.options.properties['password']?.['writeOnly'], true);
    t.equal(plugin.options.properties['api_key']?.['writeOnly'], true);
    const module = await plugin.load();
    t.type(module.open, 'function');
  }
});

t.test('messages that are objects pass as they are, with an id of their place', async (t) => {
  const recorder = await start(t);
  const output = await openOutput({ hosts: recorder.host, index: 'logs' });
  const lines = ['{"b" : 1.50, "a":"\\u00e9"}', ' {"x":{}}\t', '{"a":1}'];
  await output.write(createBatch(`${lines.join('\n')}\n`, 90), never);
  t.same(
    recorder.documents.map(({ source }) => source.toString()),
    lines,
  );
  const [first = '', ...others] = recorder.documents.map(({ id }) => id);
  t.match(first, /^[A-Za-z0-9_-]{16}-90$/);
  t.same(others, [`${first.slice(0, 17)}117`, `${first.slice(0, 17)}128`], 'also with more digits');
  await output.write({ ...createBatch('{"a":2}\n', 90), category: 'other' }, never);
  await output.write({ ...createBatch('{"a":2}\n', 90), cluster: 'c2' }, never);
  await output.write(createBatch('{"a":2}\n', 90, 'node2-chunk000000000'), never);
  t.equal(recorder.documents.length, 6, 'another category, cluster or chunk has other ids');
  await output.close();
});

t.test('bodies are the same however long messages are and however bodies are cut', async (t) => {
  const recorder = await start(t);
  const lengths = [8, 30, 61, 200, 399, 401, 3_000];
  const lines = Array.from({ length: 3_000 }, (_, index) => {
    const length = lengths[(index * 7) % lengths.length] ?? 8;
    const text = `${index}`.padStart(length, 'é');
    return index % 11 === 0 ? text : `{"n":${JSON.stringify(text)}}`;
  });
  for (const kind of ['all', 'short']) {
    const chosen = lines.filter((line) => kind === 'all' || Buffer.byteLength(line) < 300);
    const bytes = Buffer.from(`${chosen.join('\n')}\n`);
    const offset = 2 ** 31 - Math.floor(bytes.length / 2);
    for (const body_bytes_max of [64 * 1024, 200_000, 64 * 1024 * 1024]) {
      recorder.clear();
      recorder.requests.length = 0;
      const output = await openOutput({ hosts: recorder.host, index: 'logs', body_bytes_max });
      t.equal(await output.write(createBatch(bytes, offset), never), undefined);
      const received = recorder.documents.map(({ source }) => messageOf(source));
      t.ok(
        Buffer.concat(received).equals(bytes),
        `${kind} messages in bodies of ${body_bytes_max}`,
      );
      let expected = offset;
      const wrong = recorder.documents.filter(({ id }, index) => {
        const isWrong = id.slice(17) !== String(expected);
        expected += received[index]?.length ?? 0;
        return isWrong;
      });
      t.equal(wrong.length, 0, 'every id has the offset of its message');
      const largest = Math.max(...recorder.requests.map(({ byteCount }) => byteCount));
      t.ok(largest <= body_bytes_max, `${largest} bytes at most`);
      await output.close();
    }
  }
});

t.test('text becomes a field, and bytes that are no text are kept as base64', async (t) => {
  const recorder = await start(t);
  const content = Buffer.concat([
    Buffer.from('plain "text"\t\n\n{not json\n'),
    Buffer.from([0xfe, 0x0a]),
  ]);
  const output = await openOutput({ hosts: recorder.host, index: 'logs', text_field: 'line' });
  await output.write(createBatch(content), never);
  t.same(
    recorder.documents.map(({ source }) => JSON.parse(source.toString())),
    [{ line: 'plain "text"\t' }, { line: '' }, { line: '{not json' }, { line_base64: '/g==' }],
  );
  const textOutput = await openOutput({ hosts: recorder.host, index: 'text', format: 'text' });
  await textOutput.write(createBatch('{"a":1}\n'), never);
  t.equal(recorder.documents.at(-1)?.source.toString(), '{"message":"{\\"a\\":1}"}');
  const jsonOutput = await openOutput({ hosts: recorder.host, index: 'json', format: 'json' });
  const outcome = await jsonOutput.write(createBatch('{"a":1}\nplain\n{"a":2}\n'), never);
  t.match(outcome, {
    failures: [{ index: 1, kind: 'data', reason: /not a JSON object: "plain"/ }],
  });
  t.equal(outcome?.failures.length, 1);
  t.equal(recorder.documents.filter(({ index }) => index === 'json').length, 2);
});

t.test('id and index come from fields, and messages without them are named', async (t) => {
  const recorder = await start(t);
  const output = await openOutput({
    hosts: recorder.host,
    index: '{category}-{yyyy.MM.dd}',
    time_field: 'event.time',
    id_field: 'key',
  });
  const messages = [
    '{"event":{"time":"2026-01-31T23:59:59.9Z"},"key":"a"}',
    '{"event.time":1769904000,"key":7}',
    '{"event":{"time":1769904000123},"key":"c"}',
    '{"event":{"time":"2026-01-31T23:30:00-0100"},"key":"d"}',
    '{"event":{"time":"yesterday"},"key":"e"}',
    '{"key":"f"}',
    '{"event":{"time":0},"key":""}',
    '{"event":{"time":0}}',
    '{"event":{"time":0},"key":9007199254740993}',
    '{"event":{"time":0},}',
  ];
  const outcome = await output.write(createBatch(`${messages.join('\n')}\n`), never);
  t.same(
    recorder.documents.map(({ index, id }) => [index, id]),
    [
      ['logs-2026.01.31', 'a'],
      ['logs-2026.02.01', '7'],
      ['logs-2026.02.01', 'c'],
      ['logs-2026.02.01', 'd'],
    ],
  );
  t.same(
    outcome?.failures.map(({ index, kind }) => [index, kind]),
    [4, 5, 6, 7, 8, 9].map((index) => [index, 'data']),
  );
  t.match(outcome?.failures[0]?.reason, /event\.time is "yesterday": expected the time/);
  t.match(outcome?.failures[3]?.reason, /key is missing/);
  t.match(outcome?.failures[5]?.reason, /not valid JSON/);
});

t.test(
  'a batch that comes again is stored once, and replaced where that is asked for',
  async (t) => {
    const recorder = await start(t);
    const output = await openOutput({ hosts: recorder.host, index: 'logs' });
    const batch = createBatch('{"a":1}\n{"a":2}\n');
    t.equal(await output.write(batch, never), undefined);
    t.equal(await output.write(batch, never), undefined, '409 is success');
    t.equal(recorder.documents.length, 2);
    const automatic = await openOutput({ hosts: recorder.host, index: 'auto', id: 'auto' });
    await automatic.write(batch, never);
    await automatic.write(batch, never);
    t.equal(recorder.documents.length, 6, 'without ids everything is stored again');
    const replacing = await openOutput({
      hosts: recorder.host,
      index: 'byid',
      id_field: 'id',
      action: 'index',
    });
    await replacing.write(createBatch('{"id":1,"v":1}\n{"id":1,"v":2}\n'), never);
    t.same(
      recorder.documents.slice(6).map(({ source }) => source.toString()),
      ['{"id":1,"v":2}'],
    );
  },
);

t.test('an answer that is lost after storing leaves one copy', async (t) => {
  const recorder = await start(t);
  const output = await openOutput({ hosts: recorder.host, index: 'logs' });
  const batch = createBatch('{"a":1}\n{"a":2}\n');
  const losses: ((response: import('node:http').ServerResponse, answer: string) => void)[] = [
    (response) => response.destroy(),
    (response, answer) => {
      response.writeHead(200, { 'content-length': answer.length });
      response.write(answer.slice(0, 30), () => response.destroy());
    },
    (response, answer) => response.end(answer.slice(0, -5)),
    (response) => response.end('<html>ok</html>'),
    (response) => response.end('{"errors":false,"items":[{"create":{"status":201}}]}'),
    (response) =>
      response.end(
        '{"errors":false,"items":[{"create":{"status":201}},{"delete":{"status":201}}]}',
      ),
    (response) =>
      response.end('{"errors":false,"items":[{"create":{"status":201}},{"create":{}}]}'),
    (response) => response.end('null'),
  ];
  for (const afterStoring of losses) {
    // The first may be tried again on a connection that was open before, so both are lost.
    recorder.script.splice(0, 2, { afterStoring }, { afterStoring });
    const { kind, message } = await failureOf(output, batch);
    t.equal(kind, 'transient', message);
    recorder.script.length = 0;
    t.equal(await output.write(batch, never), undefined);
    t.equal(recorder.documents.length, 2);
  }
});

t.test('each item of an answer is handled on its own', async (t) => {
  const recorder = await start(t);
  const output = await openOutput({ hosts: recorder.host, index: 'logs' });
  const batch = createBatch('{"n":0}\n{"n":1}\n{"n":2}\n{"n":3}\n{"n":4}\n{"n":5}\n');
  recorder.script.push({
    items: {
      1: {
        status: 400,
        error: {
          type: 'mapper_parsing_exception',
          reason: 'failed to parse',
          caused_by: { type: 'number_format', reason: 'x' },
        },
      },
      2: { status: 409, error: { type: 'version_conflict_engine_exception', reason: 'there' } },
      3: {
        status: 429,
        error: { type: 'es_rejected_execution_exception', reason: 'queue is full' },
      },
      5: {
        status: 503,
        error: { type: 'unavailable_shards_exception', reason: 'primary is not active' },
      },
    },
  });
  const outcome = await output.write(batch, never);
  t.same(
    outcome?.failures.map(({ index, kind }) => [index, kind]),
    [
      [1, 'data'],
      [3, 'transient'],
      [5, 'transient'],
    ],
  );
  t.match(
    outcome?.failures[0]?.reason,
    /400: mapper_parsing_exception: failed to parse; caused by number_format: x/,
  );
  t.equal(await output.write({ ...batch, only: [3, 5] }, never), undefined);
  t.same(
    recorder.documents.map(({ source }) => source.toString()),
    ['{"n":0}', '{"n":4}', '{"n":3}', '{"n":5}'],
  );
  const ids = recorder.documents.map(({ id }) => Number(id.slice(17)));
  t.same(ids, [0, 32, 24, 40], 'with the ids of their own places');
});

t.test(
  'a refusal that only a person can mend stops the batch, unless some of it was taken',
  async (t) => {
    const recorder = await start(t);
    const output = await openOutput({ hosts: recorder.host, index: 'logs' });
    const batch = createBatch('{"n":0}\n{"n":1}\n');
    const refusals = [
      { status: 404, error: { type: 'index_not_found_exception', reason: 'no such index [logs]' } },
      { status: 403, error: { type: 'security_exception', reason: 'action is unauthorized' } },
      { status: 403, error: { type: 'cluster_block_exception', reason: 'index is read-only' } },
      { status: 400, error: { type: 'index_closed_exception', reason: 'closed' } },
      {
        status: 400,
        error: {
          type: 'illegal_argument_exception',
          reason: 'only write ops with an op_type of create are allowed in data streams',
        },
      },
    ];
    for (const refusal of refusals) {
      recorder.script.push({ items: { 0: refusal, 1: refusal } });
      const { kind, message } = await failureOf(output, batch);
      t.equal(kind, 'operator', message);
      t.match(message, refusal.error.reason);
    }
    recorder.script.push({ items: { 1: refusals[0] as (typeof refusals)[0] } });
    const outcome = await output.write(batch, never);
    t.match(outcome, { failures: [{ index: 1, kind: 'transient' }] });
  },
);

t.test('answers to whole requests are sorted by who can do something', async (t) => {
  const recorder = await start(t);
  const output = await openOutput({ hosts: recorder.host, index: 'logs' });
  const expected = {
    429: 'transient',
    408: 'transient',
    500: 'transient',
    503: 'transient',
    504: 'transient',
    401: 'operator',
    403: 'operator',
    404: 'operator',
    400: 'operator',
    405: 'operator',
    302: 'operator',
  };
  for (const [status, kind] of Object.entries(expected)) {
    recorder.script.push({
      instead: {
        status: Number(status),
        body: '{"error":{"type":"some_type","reason":"some reason"}}',
      },
    });
    const failure = await failureOf(output, createBatch('{"a":1}\n'));
    t.equal(failure.kind, kind, `${status}: ${failure.message}`);
    t.match(failure.message, /some_type: some reason/);
  }
  t.equal(recorder.documents.length, 0);
});

t.test('what was taken before a request failed is not given again', async (t) => {
  const recorder = await start(t);
  const output = await openOutput({
    hosts: recorder.host,
    index: 'logs',
    id: 'auto',
    body_bytes_max: 64 * 1024,
  });
  const lines = Array.from({ length: 4 }, (_, index) =>
    JSON.stringify({ index, text: 'x'.repeat(30_000) }),
  );
  const batch = createBatch(`${lines.join('\n')}\n`);
  recorder.script.push({}, { instead: { status: 500, body: '' } });
  const outcome = await output.write(batch, never);
  t.same(
    outcome?.failures.map(({ index, kind }) => [index, kind]),
    [
      [2, 'transient'],
      [3, 'transient'],
    ],
  );
  await output.write({ ...batch, only: [2, 3] }, never);
  t.equal(recorder.documents.length, 4);
});

t.test('a request that is too large is split, and the smaller size is remembered', async (t) => {
  const recorder = await start(t);
  recorder.bodyBytesMax = 300_000;
  const output = await openOutput({ hosts: recorder.host, index: 'logs' });
  const lines = Array.from({ length: 1_000 }, (_, index) =>
    JSON.stringify({ index, text: 'x'.repeat(1_000) }),
  );
  lines[500] = JSON.stringify({ text: 'x'.repeat(400_000) });
  const outcome = await output.write(createBatch(`${lines.join('\n')}\n`), never);
  t.match(outcome, {
    failures: [{ index: 500, kind: 'data', reason: /takes no request of 400\d{3} bytes/ }],
  });
  t.equal(outcome?.failures.length, 1);
  t.equal(recorder.documents.length, 999);
  t.equal(new Set(recorder.documents.map(({ id }) => id)).size, 999);
  lines.splice(500, 1);
  recorder.requests.length = 0;
  t.equal(
    await output.write(createBatch(`${lines.join('\n')}\n`, 0, 'node1-chunk000000001'), never),
    undefined,
  );
  t.ok(
    recorder.requests.every(({ byteCount }) => byteCount <= 300_000),
    'no later request is too large',
  );
  recorder.bodyBytesMax = 10;
  const { kind, message } = await failureOf(
    output,
    createBatch('{"a":1}\n', 0, 'node1-chunk000000002'),
  );
  t.equal(kind, 'operator', 'a target that takes nothing makes no dead letters');
  t.match(message, /raise http\.max_content_length/);
});

t.test('credentials are sent and never shown', async (t) => {
  const recorder = await start(t);
  const forms = [
    {
      options: { username: 'me', password: 'secret-1' },
      header: `Basic ${Buffer.from('me:secret-1').toString('base64')}`,
    },
    { options: { api_key: 'c2VjcmV0LTI=' }, header: 'ApiKey c2VjcmV0LTI=' },
    {
      options: { api_key: 'id:secret-3' },
      header: `ApiKey ${Buffer.from('id:secret-3').toString('base64')}`,
    },
  ];
  for (const { options, header } of forms) {
    recorder.authorization = header;
    const output = await openOutput({ hosts: recorder.host, index: 'logs', ...options });
    t.equal(await output.write(createBatch('{"a":1}\n'), never), undefined);
    recorder.authorization = 'something else';
    const failure = await failureOf(output, createBatch('{"a":1}\n'));
    t.equal(failure.kind, 'operator');
    t.match(failure.message, /401.*unable to authenticate/);
    const opening = await openOutput({ hosts: recorder.host, ...options }).catch(
      (error: Error) => error,
    );
    const steps = [];
    for await (const step of createModule('X').check?.(
      { hosts: recorder.host, ...options },
      createContext(),
    ) ?? [])
      steps.push(step);
    t.match(steps.at(-1), {
      name: 'authentication',
      result: 'failed',
      fix: /^curl .*_security\/api_key/,
    });
    const shown = `${failure.message}${(opening as Error).message}${JSON.stringify(steps)}`;
    for (const secret of ['secret-1', 'c2VjcmV0LTI', 'secret-3', header.split(' ')[1] ?? '']) {
      t.notOk(shown.includes(secret), `${shown} does not show it`);
    }
  }
});

t.test('environment variables fill in what options leave out', async (t) => {
  const recorder = await start(t);
  recorder.authorization = `Basic ${Buffer.from('me:p@ss').toString('base64')}`;
  t.intercept(process, 'env', {
    value: { ...process.env, CHUKCHA_TEST_URL: `http://me:p%40ss@${recorder.host}/` },
  });
  const output = await openOutput({ index: 'logs' });
  t.equal(await output.write(createBatch('{"a":1}\n'), never), undefined);
});

t.test('requests go to the next server when one is away', async (t) => {
  const first = await start(t);
  const second = await start(t);
  const output = await openOutput({ hosts: `${first.host},${second.host}`, index: 'logs' });
  for (const chunk of [0, 1, 2, 3]) await output.write(createBatch('{"a":1}\n', chunk), never);
  t.ok(first.documents.length > 0 && second.documents.length > 0, 'both get something');
  const { port } = first;
  await first.close();
  second.clear();
  for (const chunk of [4, 5, 6])
    t.equal(await output.write(createBatch('{"a":1}\n', chunk), never), undefined);
  t.equal(second.documents.length, 3);
  await second.close();
  const failure = await failureOf(output, createBatch('{"a":1}\n', 7));
  t.equal(failure.kind, 'transient');
  t.match(failure.message, /No server took POST \/logs\/_bulk.*ECONNREFUSED.*ECONNREFUSED/);
  const again = await BulkRecorder.start(port);
  t.equal(await output.write(createBatch('{"a":1}\n', 7), never), undefined, 'and come back');
  t.equal(again.documents.length, 1);
  await again.close();
});

t.test(
  'a server that says nothing is given up after the time-out, and at once by an abort',
  async (t) => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const recorder = await start(t);
    const { port } = silent.address() as { port: number };
    const output = await openOutput({
      hosts: `${recorder.host},127.0.0.1:${port}`,
      index: 'logs',
      request_timeout_ms: 150,
    });
    t.equal(
      await output.write(createBatch('{"a":1}\n'), never),
      undefined,
      'the other one answers',
    );
    const opening = openOutput({ hosts: `127.0.0.1:${port}`, request_timeout_ms: 150 });
    t.match(await opening.catch((error: unknown) => error), {
      kind: 'transient',
      message: /150 ms|timeout/,
    });
    const stuck = await openOutput({ hosts: `${recorder.host},127.0.0.1:${port}`, index: 'logs' });
    const abort = new AbortController();
    const write = stuck.write(createBatch('{"a":1}\n'), abort.signal);
    setImmediate(() => abort.abort());
    await t.rejects(write);
  },
);

t.test('gzip says so, and the batch is kept apart from the request', async (t) => {
  const recorder = await start(t);
  const output = await openOutput({ hosts: recorder.host, index: 'logs', gzip: true });
  const bytes = Buffer.from('{"a":"some text that repeats"}\n'.repeat(1_000));
  await output.write(createBatch(bytes), never);
  t.equal(recorder.documents.length, 1_000);
  const { headers, byteCount } = recorder.requests.at(-1) ?? { byteCount: 0 };
  t.equal(headers?.['content-encoding'], 'gzip');
  t.ok(byteCount < bytes.length / 3);
});

t.test('addresses and options that cannot be used are refused with a sentence', async (t) => {
  const [plugin] = await listPlugins();
  const parse = (rest: string) => plugin?.parseAddress?.(rest);
  t.same(parse('//host:9200/logs'), { hosts: 'host:9200', index: 'logs' });
  t.same(parse('//a:1,b:2,[::1]:3/'), { hosts: 'a:1,b:2,[::1]:3' });
  t.same(parse('https://me:p%40ss@host/logs-%7Byyyy.MM%7D'), {
    hosts: 'https://host',
    index: 'logs-{yyyy.MM}',
    username: 'me',
    password: 'p@ss',
  });
  for (const rest of [
    '',
    'host',
    '//',
    '//host/a/b',
    'ftp://host',
    '//u:secret@/x',
    '//u:%zz@host',
  ]) {
    t.throws(() => parse(rest), /expected \/\/host:9200\/index|two hexadecimal digits/, rest);
    try {
      parse(rest);
    } catch (error) {
      t.notMatch((error as Error).message, /secret/);
    }
  }
  const refused = async (options: object, pattern: RegExp): Promise<void> => {
    const thrown = await openOutput({ ...options }).catch((error: unknown) => error);
    t.match(thrown, { kind: 'operator', message: pattern });
  };
  await refused({}, /No server was named.*CHUKCHA_TEST_URL/);
  await refused({ hosts: 'secret@:x' }, /Host ":x" is not valid/);
  await refused({ hosts: 'h', index: 'Upper' }, /small letters/);
  await refused({ hosts: 'h', index: 'a-{dd}' }, /dates as \{yyyy\.MM\.dd\}/);
  await refused({ hosts: 'h', ca_file: '/does/not/exist' }, /of option ca_file cannot be read/);
});

t.test('a server that is none, or too old, is refused', async (t) => {
  const answers: [number, string][] = [
    [200, '<html>'],
    [200, '{}'],
    [404, 'nothing'],
    [200, '{"version":{"number":"6.8.0"},"tagline":"You Know, for Search"}'],
  ];
  for (const [status, body] of answers) {
    const server = (await import('node:http')).createServer((_request, response) => {
      response.writeHead(status);
      response.end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const thrown = await openOutput({ hosts: `127.0.0.1:${port}` }).catch(
      (error: unknown) => error,
    );
    t.match(thrown, {
      kind: 'operator',
      message: /neither Elasticsearch nor OpenSearch|expected 7 or later/,
    });
    server.closeAllConnections();
    server.close();
  }
});

t.test('TLS checks servers, shows a certificate, and says what is missing', async (t) => {
  const path = (name: string): string =>
    new URL(`../../test/fixtures/localhost-${name}.pem`, import.meta.url).pathname;
  const certificate = readFileSync(path('certificate'));
  const key = readFileSync(path('key'));
  const recorder = await BulkRecorder.start(0, {
    key,
    cert: certificate,
    ca: certificate,
    requestCert: true,
    rejectUnauthorized: true,
    // Later versions refuse a client only when it has sent its first request.
    maxVersion: 'TLSv1.2',
  });
  t.teardown(() => recorder.close());
  const plain = await start(t);
  const client = {
    client_certificate_file: path('certificate'),
    client_key_file: path('key'),
    ca_file: path('certificate'),
  };
  for (const address of [
    { hosts: recorder.host, tls: true },
    { hosts: `https://${recorder.host}` },
  ]) {
    const output = await openOutput({ ...address, ...client, index: 'logs' });
    t.equal(await output.write(createBatch('{"a":1}\n'), never), undefined);
    await output.close();
  }
  t.equal(recorder.documents.length, 1);
  const refused = async (options: object, kind: string, pattern: RegExp): Promise<void> => {
    const thrown = await openOutput({ ...options }).catch((error: unknown) => error);
    t.equal(pluginErrorKind(thrown), kind, String(thrown));
    t.match(thrown, { message: pattern });
  };
  const hosts = `https://${recorder.host}`;
  const open = await BulkRecorder.start(0, { key, cert: certificate });
  t.teardown(() => open.close());
  await refused(
    { hosts: `https://${open.host}` },
    'operator',
    /certificate is not trusted.*ca_file=PATH/,
  );
  await refused(
    { hosts, ca_file: client.ca_file },
    'operator',
    /refuses the TLS connection.*client_certificate_file=PATH/,
  );
  await refused({ hosts: `https://${plain.host}` }, 'operator', /does not speak TLS/);
  await refused({ hosts: recorder.host }, 'transient', /write https:\/\/ in front of the host/);
});

t.test('an answer is read the same whether it repeats itself or not', async (t) => {
  const read = (text: string, count: number): unknown => {
    try {
      return readBulkResult(
        Buffer.from(text),
        Uint32Array.from({ length: count }, (_, n) => n),
        true,
      );
    } catch (error) {
      return { kind: pluginErrorKind(error) };
    }
  };
  const item = (status: number): string => `{"create":{"status":${status}}}`;
  const answer = (items: readonly string[]): string =>
    `{"errors":false,"items":[${items.join(',')}]}`;
  const statuses = [201, 200, 409, 429, 400, 503];
  for (const common of statuses) {
    for (const odd of statuses) {
      for (const count of [1, 2, 5]) {
        for (let at = 0; at < count; at += 1) {
          const items = Array.from({ length: count }, (_, n) => item(n === at ? odd : common));
          // A blank behind it is read item by item.
          const slow = read(`${answer(items)} `, count);
          t.same(read(answer(items), count), slow, `${odd} at ${at} of ${count} times ${common}`);
        }
      }
    }
  }
  const ok = { failures: [], operatorReason: undefined, duplicateCount: 0 };
  t.same(read(answer(Array(8).fill(item(201))), 8), ok);
  const pair = `${item(201)},${item(201)}`;
  for (const [items, count] of [
    [Array(4).fill(pair), 4],
    [Array(8).fill(item(201)), 4],
    [Array(4).fill(item(201)), 8],
    [Array(7).fill(item(201)), 8],
    [Array(4).fill('{}'), 4],
    [Array(4).fill('{"delete":{"status":200}}'), 4],
    [Array(4).fill('"create"'), 4],
  ] as [string[], number][]) {
    t.same(read(answer(items), count), { kind: 'transient' }, `${items[0]} for ${count}`);
  }
  t.same(read('{"items":1,"more":[1,1,1,1]}', 4), { kind: 'transient' });
  t.same(read('[1,1,1,1]}', 4), { kind: 'transient' });
});

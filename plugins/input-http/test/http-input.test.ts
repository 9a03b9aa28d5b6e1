import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request as startRequest } from 'node:http';
import type { HttpDoor } from '@chukcha/http-door';
import { defaultOptions } from '@chukcha/http-door/testing';
import { type InputBatch, type InputContext, pluginErrorKind } from '@chukcha/plugin-api';
import {
  createTestContext,
  createTestLog,
  type InputSource,
  inputConformance,
  soon,
} from '@chukcha/plugin-api/conformance';
import t, { type Test } from 'tap';
import listPlugins from '../src/hook.js';
import { open } from '../src/http-input.js';
import { plugin } from '../src/index.js';

const optionsDefault = defaultOptions(plugin.options);

/** An input that listens; `next` is the host that takes a batch. */
async function startInput(
  t: Test,
  context: Partial<InputContext> = {},
  options: Readonly<Record<string, unknown>> = {},
) {
  const input = await open({ ...optionsDefault, ...options }, createTestContext(context));
  const abort = new AbortController();
  const iterator = input.batches(abort.signal)[Symbol.asyncIterator]();
  t.teardown(async () => {
    abort.abort();
    await input.close();
  });
  const next = async (): Promise<InputBatch> => {
    const result = await soon(iterator.next(), 'a batch');
    if (result.done === true) throw new Error('The input has ended.');
    return result.value;
  };
  return { input, abort, iterator, next };
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

async function post(
  url: string,
  body: string | Uint8Array,
  init: RequestInit = {},
): Promise<Answer> {
  const response = await fetch(url, { method: 'POST', body, ...init });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** A request whose body is still to come, and its answer. */
function startPost(url: string, headers: Record<string, string | number> = {}) {
  const request: ClientRequest = startRequest(url, { method: 'POST', headers });
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
  });
  return { request, answer };
}

/** What the input says to a body of this size before it is sent: 100 to go on, or a refusal. */
async function probe(url: string, byteCount: number): Promise<number> {
  const headers = { Expect: '100-continue', 'Content-Length': byteCount };
  const { request, answer } = startPost(url, headers);
  request.flushHeaders();
  const status = Promise.race([
    once(request, 'continue').then(() => 100),
    answer.then((response) => response.statusCode ?? 0),
  ]);
  try {
    return await soon(status, 'an answer to the head of a request');
  } finally {
    answer.catch(() => undefined);
    request.destroy();
  }
}

/** Sends all lines in each run, in requests of at most 8 KiB, one after the other. */
function createSource(lines: readonly Uint8Array[]): InputSource {
  let input: HttpDoor | undefined;
  const send = async (url: string): Promise<void> => {
    let body: Uint8Array[] = [];
    let size = 0;
    for (const [index, line] of lines.entries()) {
      body.push(line, Buffer.from('\n'));
      size += line.length + 1;
      if (size < 4096 && index < lines.length - 1) continue;
      await post(url, Buffer.concat(body));
      body = [];
      size = 0;
    }
  };
  return {
    open: async (context) => {
      input = await open(optionsDefault, context);
      return input;
    },
    // The input may close before all was sent; that is for the suite to judge.
    feed: () => void send(input?.url ?? '').catch(() => undefined),
    close: async () => input?.close(),
  };
}

t.test('conformance', async (t) => {
  const suite = {
    remembers: false,
    endless: true,
    createSource: async (lines: readonly Uint8Array[]) => createSource(lines),
  };
  for (const { name, run } of inputConformance(suite)) t.test(name, run);
});

t.test('the package offers the plugin', async (t) => {
  const [found, ...others] = await listPlugins();
  t.same(others, []);
  t.equal(found, plugin);
});

t.test('addresses name a host and a port', async (t) => {
  for (const [rest, expected] of [
    ['', {}],
    ['8088', { port: 8088 }],
    ['0.0.0.0:80', { host: '0.0.0.0', port: 80 }],
    ['//logs.example.org:8088/', { host: 'logs.example.org', port: 8088 }],
    ['[::1]:0', { host: '::1', port: 0 }],
  ] as const) {
    t.same(plugin.parseAddress?.(rest), expected, rest);
  }
  for (const rest of ['localhost', ':', '99999', '127.0.0.1:', 'a:b', '::1:80', 'host:80/path']) {
    t.throws(() => plugin.parseAddress?.(rest), /^Expected http:<port>/, rest);
  }
});

t.test('a request is answered when the bus has accepted its lines, and not before', async (t) => {
  const log = createTestLog();
  const { input, next } = await startInput(t, { log });
  t.same((await log.waitFor('Listening.')).fields, { url: input.url });
  let answered = false;
  const answer = post(input.url, 'one\ntwo\n').finally(() => {
    answered = true;
  });
  const batch = await next();
  t.equal(Buffer.from(batch.bytes).toString(), 'one\ntwo\n');
  t.equal(batch.category, undefined);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(answered, false);
  await batch.ack();
  t.match(await answer, { status: 200, body: { accepted: true, bytes: 8 } });
});

t.test('the path names the category, and a missing newline is added', async (t) => {
  const { input, next } = await startInput(t);
  const answer = post(`${input.url}/access_Log-1`, '{"a":1}\n{"a":2}', {
    headers: { 'Content-Type': 'application/x-ndjson; charset=utf-8' },
  });
  const batch = await next();
  t.equal(batch.category, 'access_Log-1');
  t.equal(Buffer.from(batch.bytes).toString(), '{"a":1}\n{"a":2}\n');
  await batch.ack();
  t.match(await answer, { status: 200, body: { accepted: true, bytes: 16 } });
});

t.test('NDJSON is checked line by line, and all or nothing is accepted', async (t) => {
  const { input, next } = await startInput(t, { messageBytesMax: 32 });
  const headers = { 'Content-Type': 'application/x-ndjson' };
  const body = `{"a":1}\n{"a":}\n\n"b"\r\n{"long":"${'x'.repeat(40)}"}\n`;
  const refused = await post(input.url, body, { headers });
  t.equal(refused.status, 400);
  t.match(refused.body, {
    error: {
      code: 'invalid_lines',
      message: /^2 of 4 lines cannot be taken, the first of them is line 2: .*Nothing was accepted/,
      lines_refused: 2,
      lines: [
        { line: 2, reason: /expected a value at byte 5, found "}"/ },
        { line: 5, reason: /it has 52 bytes with its newline, more than the 32/ },
      ],
    },
  });
  const partly = post(`${input.url}/?partial=true`, body, { headers });
  const batch = await next();
  t.equal(Buffer.from(batch.bytes).toString(), '{"a":1}\n"b"\r\n', 'lines stay as they are');
  await batch.ack();
  t.match(await partly, {
    status: 200,
    body: {
      accepted: true,
      lines: 2,
      blank_lines_left_out: 1,
      lines_refused: 2,
      refused: [{ line: 2 }, { line: 5 }],
    },
  });
  const nothingGood = await post(`${input.url}/?partial=true`, '{\n', { headers });
  t.equal(nothingGood.status, 400, 'a request without a good line is refused');
  const noJson = await post(input.url, 'x\n'.repeat(100_000), { headers });
  t.match(noJson.body, { error: { message: /^1000 lines up to line 1000 .*the rest was not/ } });
});

t.test('an array becomes lines, compact and with every digit', async (t) => {
  const { input, next } = await startInput(t);
  const headers = { 'Content-Type': 'application/json' };
  const body =
    '[ {"id": 12345678901234567890, "id": 1.50,\n "text": "a\\n \\" b"} ,\n "plain", 7, null, [ ] ]';
  const answer = post(input.url, body, { headers });
  const batch = await next();
  t.equal(
    Buffer.from(batch.bytes).toString(),
    '{"id":12345678901234567890,"id":1.50,"text":"a\\n \\" b"}\n"plain"\n7\nnull\n[]\n',
  );
  await batch.ack();
  t.match(await answer, { status: 200, body: { lines: 5 } });
  const single = post(input.url, '{\n  "a": [ 1 ]\n}', { headers });
  const one = await next();
  t.equal(Buffer.from(one.bytes).toString(), '{"a":[1]}\n', 'a value that is no array is one line');
  await one.ack();
  t.equal((await single).status, 200);
});

t.test('an Idempotency-Key is passed on, in characters that the host takes', async (t) => {
  const { input, next } = await startInput(t);
  const keyFor = async (key: string): Promise<string | undefined> => {
    const answer = post(input.url, 'x\n', { headers: { 'Idempotency-Key': key } });
    const batch = await next();
    await batch.ack();
    t.equal((await answer).status, 200);
    return batch.idempotencyKey;
  };
  const uuid = '8e03978e-40d5-43e8-bc93-6894a57f9324';
  t.equal(await keyFor(uuid), uuid);
  t.equal(await keyFor(`"${uuid}"`), uuid, 'quotes of the standard mean nothing');
  const long = 'k'.repeat(65);
  t.match(await keyFor(long), /^[A-Za-z0-9_-]{43}$/);
  t.equal(await keyFor(long), await keyFor(long), 'the same for each try');
  t.not(await keyFor('a b'), await keyFor('a/b'));
});

t.test('lines that the bus does not accept are answered with 503', async (t) => {
  const { input, next } = await startInput(t);
  const answer = post(input.url, 'one\n');
  await (await next()).nack(new Error('the password of the bus is secret'));
  const { status, headers, body } = await answer;
  t.equal(status, 503);
  t.equal(headers.get('retry-after'), '1');
  t.match(body, { error: { code: 'not_accepted', message: /did not accept/ } });
  t.notMatch(JSON.stringify(body), /secret/);
});

t.test('what cannot be taken is refused with the reason', async (t) => {
  const { input } = await startInput(t, { messageBytesMax: 16, batchBytesMax: 64 });
  const json = { headers: { 'Content-Type': 'application/json' } };
  const cases: [
    string,
    string,
    string | Uint8Array | undefined,
    RequestInit,
    number,
    string,
    RegExp,
  ][] = [
    ['an empty body', '/', '', {}, 400, 'batch_empty', /expected one line/],
    ['a bad category', '/a.b', 'x\n', {}, 400, 'invalid_name', /"a\.b" is not valid/],
    ['a category too long', `/${'a'.repeat(129)}`, 'x\n', {}, 400, 'invalid_name', /1 to 128/],
    ['another path', '/a/b', 'x\n', {}, 404, 'not_found', /POST \/<category>/],
    ['another method', '/', undefined, { method: 'GET' }, 405, 'method_not_allowed', /GET/],
    ['a long body', '/', 'x\n'.repeat(33), {}, 413, 'batch_too_large', /more than 64 bytes/],
    ['a body full without newline', '/', `${'x\n'.repeat(31)}xx`, {}, 413, 'batch_too_large', /64/],
    ['a long line', '/', `a\nb\n${'c'.repeat(16)}\n`, {}, 413, 'message_too_large', /line 3: .*16/],
    [
      'another encoding',
      '/',
      'x',
      { headers: { 'Content-Encoding': 'zstd' } },
      415,
      'unsupported_encoding',
      /"zstd"/,
    ],
    [
      'another type',
      '/',
      '<a/>',
      { headers: { 'Content-Type': 'application/xml' } },
      415,
      'unsupported_content_type',
      /application\/x-ndjson/,
    ],
    ['an unknown parameter', '/?parital=true', 'x', {}, 400, 'invalid_request', /"parital"/],
    ['a strange parameter', '/?partial=yes', 'x', {}, 400, 'invalid_request', /"yes"/],
    [
      'an idempotency key without characters',
      '/',
      'x',
      { headers: { 'Idempotency-Key': '""' } },
      400,
      'invalid_idempotency_key',
      /1 to 1024/,
    ],
    [
      'broken JSON',
      '/',
      '[{"a":1},',
      json,
      400,
      'invalid_json',
      /a value at byte 10, found the end; nothing was/,
    ],
    ['JSON with a rest', '/', '{} {}', json, 400, 'invalid_json', /nothing more at byte 3/],
    ['an array of nothing', '/', '[]', json, 400, 'batch_empty', /no lines/],
    [
      'JSON that is not UTF-8',
      '/',
      Buffer.from([0x22, 0xff, 0x22]),
      json,
      400,
      'invalid_json',
      /UTF-8/,
    ],
    [
      'an array that is too large',
      '/',
      `[${'12345678,'.repeat(8)}1]`,
      json,
      413,
      'batch_too_large',
      /64/,
    ],
  ];
  for (const [name, path, body, init, status, code, message] of cases) {
    const request = body === undefined ? init : { method: 'POST', body, ...init };
    const response = await fetch(`${input.url}${path}`, request);
    t.equal(response.status, status, name);
    t.match(await response.json(), { error: { code, message } }, name);
    if (status === 405) t.equal(response.headers.get('allow'), 'POST');
  }
});

t.test('the longest line and the largest body that are allowed pass', async (t) => {
  const { input, next } = await startInput(t, { messageBytesMax: 16, batchBytesMax: 64 });
  const body = `${'x'.repeat(15)}\n`.repeat(4).slice(0, -1);
  const answer = post(input.url, body);
  await (await next()).ack();
  t.match(await answer, { status: 200, body: { bytes: 64 } });
});

t.test(
  'a body without a length is refused once it is too large, and the client sees it',
  async (t) => {
    const { input } = await startInput(t, { batchBytesMax: 1024 * 1024 });
    const { request, answer } = startPost(input.url);
    const piece = Buffer.alloc(256 * 1024, 'x\n');
    for (let count = 0; count < 16; count += 1) request.write(piece);
    request.end();
    const response = await soon(answer, 'an answer');
    t.equal(response.statusCode, 413);
    response.resume();
  },
);

t.test('Expect: 100-continue is answered before the body is sent', async (t) => {
  const { input, next } = await startInput(t);
  const { request, answer } = startPost(input.url, { Expect: '100-continue', 'Content-Length': 4 });
  request.flushHeaders();
  await soon(once(request, 'continue'), '100 Continue');
  request.end('one\n');
  await (await next()).ack();
  t.equal((await answer).statusCode, 200);

  t.equal(await probe(input.url, 99_000_000), 413);
});

t.test(
  'more bytes in flight than allowed are refused with 429 until some are settled',
  async (t) => {
    const { input, next } = await startInput(t, {}, { in_flight_bytes_max: 1024 });
    const body = Buffer.alloc(600, 'x\n');
    const first = post(input.url, body);
    const batch = await next();
    for (const transfer of ['declared', 'chunked']) {
      const { request, answer } = startPost(
        input.url,
        transfer === 'declared' ? { 'Content-Length': body.length } : {},
      );
      request.end(body);
      const response = await soon(answer, 'an answer');
      t.equal(response.statusCode, 429, transfer);
      t.equal(response.headers['retry-after'], '1');
      response.resume();
    }
    t.equal((await post(input.url, Buffer.alloc(1025, 'x\n'))).status, 413, 'it would never fit');
    await batch.ack();
    t.equal((await first).status, 200);
    const second = post(input.url, body);
    await (await next()).ack();
    t.equal((await second).status, 200);
  },
);

t.test('a client that goes away while it waits takes its lines back', async (t) => {
  const { input, next } = await startInput(t, {}, { in_flight_bytes_max: 1024 });
  const gone = new AbortController();
  const taken = post(input.url, 'taken\n');
  const first = await next();
  const waiting = post(input.url, Buffer.alloc(1000, 'x\n'), { signal: gone.signal });
  while ((await probe(input.url, 100)) !== 429);
  gone.abort();
  await t.rejects(waiting);
  while ((await probe(input.url, 100)) !== 100);
  const last = post(input.url, 'last\n');
  const second = await next();
  t.equal(Buffer.from(second.bytes).toString(), 'last\n');
  await Promise.all([first.ack(), second.ack()]);
  t.equal((await taken).status, 200);
  t.equal((await last).status, 200);
});

t.test(
  'after an abort what waits is refused, and what the host has is still answered',
  async (t) => {
    const { input, abort, next, iterator } = await startInput(t);
    const first = post(input.url, 'first\n');
    const batch = await next();
    const late = startPost(input.url, { 'Content-Length': 5 });
    late.request.write('la');
    abort.abort();
    t.equal((await soon(iterator.next(), 'the end')).done, true);
    late.request.end('te\n');
    const refused = await late.answer;
    t.equal(refused.statusCode, 503);
    t.equal(refused.headers['retry-after'], '1');
    refused.resume();
    const closed = input.close();
    await batch.ack();
    t.equal((await first).status, 200);
    await soon(closed, 'close to resolve');
    await t.rejects(post(input.url, 'x\n'), 'nobody listens any more');
  },
);

t.test('an address that cannot be listened on is an error that says what to do', async (t) => {
  const { input } = await startInput(t);
  const { port } = new URL(input.url);
  for (const [options, message] of [
    [{ port: Number(port) }, /Another process listens on 127\.0\.0\.1:\d+ already/],
    [{ host: '203.0.113.1' }, /203\.0\.113\.1:0 is not an address of this machine/],
  ] as const) {
    const opened = open({ ...optionsDefault, ...options }, createTestContext());
    const error = await opened.catch((thrown: unknown) => thrown);
    t.equal(pluginErrorKind(error), 'operator');
    t.match(error, { message });
  }
});

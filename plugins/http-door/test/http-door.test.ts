import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as startTlsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { type InputBatch, pluginErrorKind } from '@chukcha/plugin-api';
import { createTestContext, soon } from '@chukcha/plugin-api/conformance';
import t, { type Test } from 'tap';
import {
  categoryOfIndex,
  compactJson,
  type DoorProtocol,
  type DoorTimes,
  HttpDoor,
  JsonReader,
  LineBatches,
  writeItems,
} from '../src/index.js';
import { describeItems } from '../src/item-ranges.js';
import { doorOptions } from '../src/listening.js';
import { PieceCollector } from '../src/piece-collector.js';
import { defaultOptions, type OpenDoor, TestDoor } from '../src/test-door.js';

/** Each line of the body is an item. */
const itemsProtocol: DoorProtocol = {
  name: 'items',
  answer: async (request) => {
    const body = await request.readBody();
    const lines = new LineBatches(request.limits, (byteCount) => request.reserve(byteCount));
    const texts = body.toString('latin1').split('\n').slice(0, -1);
    for (const [index, text] of texts.entries()) lines.add(index, undefined, Buffer.from(text));
    await writeItems(request, lines.finish());
    return { status: 200, body: { items: texts.length } };
  },
};

const options = defaultOptions({
  type: 'object',
  properties: doorOptions(1),
  additionalProperties: false,
});

function opener(times: Partial<DoorTimes> = {}): OpenDoor {
  return (given, context) => HttpDoor.open(itemsProtocol, given, context, times);
}

function startDoor(t: Test, given: object = {}, context: object = {}): Promise<TestDoor> {
  return TestDoor.start(t, opener(), { ...options, ...given }, context);
}

function testDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'chukcha-door-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  return directory;
}

t.test('a packed body is unpacked', async (t) => {
  const door = await startDoor(t);
  const text = 'line\n'.repeat(50_000);
  for (const [encoding, body] of [
    ['gzip', gzipSync(text)],
    ['GZIP', Buffer.concat([gzipSync(text.slice(0, 100_000)), gzipSync(text.slice(100_000))])],
    ['deflate', deflateSync(text)],
    ['deflate', deflateRawSync(text)],
    ['br', brotliCompressSync(text)],
    ['identity', Buffer.from(text)],
  ] as const) {
    const answer = door.send('/', body, { 'Content-Encoding': encoding });
    t.ok((await door.accept()) === text, encoding);
    t.match(await answer, { status: 200, body: { items: 50_000 } });
  }
});

t.test('a packed body that is broken is refused with the reason', async (t) => {
  const door = await startDoor(t);
  const packed = gzipSync('line\n'.repeat(50_000));
  const damaged = Buffer.from(packed);
  damaged[20] = (damaged[20] ?? 0) ^ 0xff;
  for (const [name, encoding, body, reason] of [
    ['cut', 'gzip', packed.subarray(0, -10), /unexpected end of file/],
    ['damaged', 'gzip', damaged, /as gzip \(/],
    ['with a rest', 'gzip', Buffer.concat([packed, Buffer.from('rest')]), /as gzip \(/],
    [
      'with a rest',
      'deflate',
      Buffer.concat([deflateSync('line\n'), Buffer.from('rest')]),
      /4 bytes follow its end/,
    ],
    ['plain', 'gzip', Buffer.from('plain\n'), /incorrect header check/],
    ['plain', 'br', Buffer.from('plain\n'.repeat(9)), /as br \(/],
  ] as const) {
    const { status, body: answer } = await door.send('/', body, { 'Content-Encoding': encoding });
    t.equal(status, 400, name);
    t.match(answer, { error: { code: 'body_corrupt', message: reason } }, name);
  }
  t.equal(door.metrics.values.get('refused_requests_total'), 6);
  const nothing = await door.send('/', '', { 'Content-Encoding': 'gzip' });
  t.match(nothing, { status: 400, body: { error: { code: 'batch_empty' } } });
});

t.test(
  'a small body that unpacks to a large one is refused without unpacking it all',
  async (t) => {
    const door = await startDoor(t, {
      body_bytes_max: 64 * 1024,
      in_flight_bytes_max: 1024 * 1024,
    });
    const bombs = [
      ['gzip', gzipSync(Buffer.alloc(80 * 1024 * 1024, '\n'))],
      ['br', brotliCompressSync(Buffer.alloc(80 * 1024 * 1024, '\n'))],
    ] as const;
    const before = process.memoryUsage().rss;
    for (const [encoding, bomb] of bombs) {
      const answer = await door.send('/', bomb, { 'Content-Encoding': encoding });
      t.equal(answer.status, 413, encoding);
      t.match(answer.body, { error: { message: /more than 65536 bytes, unpacked/ } });
    }
    t.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024, 'memory stays small');
    t.match((await door.send('/health', undefined, {}, { method: 'GET' })).body, {
      in_flight_bytes: 0,
    });
  },
);

t.test(
  'a flood is admitted by bytes: the rest is told to come again, and nothing is lost',
  async (t) => {
    const door = await startDoor(t, { in_flight_bytes_max: 64 * 1024 });
    const body = Buffer.alloc(4000, 'x\n');
    const accepted: number[] = [];
    const held: InputBatch[] = [];
    let isSlow = true;
    const ackHeld = (): void => {
      isSlow = false;
      for (const batch of held.splice(0)) void batch.ack();
    };
    const taking = (async () => {
      for (;;) {
        const { value: batch, done } = await door.iterator.next();
        if (done === true) return;
        accepted.push(batch.bytes.length);
        held.push(batch);
        if (!isSlow) ackHeld();
      }
    })();
    const statuses = new Map<number, number>();
    const client = async (): Promise<void> => {
      for (let count = 0; count < 8; count += 1) {
        const { status, headers } = await door.send('/', body);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (status !== 429) continue;
        t.equal(headers.get('retry-after'), '1');
        // The bus is slow until it has been too much for the input.
        ackHeld();
      }
    };
    await Promise.all(Array.from({ length: 30 }, client));
    t.ok((statuses.get(200) ?? 0) > 0, `${statuses.get(200)} were accepted`);
    t.ok((statuses.get(429) ?? 0) > 0, `${statuses.get(429)} were told to come again`);
    t.equal((statuses.get(200) ?? 0) + (statuses.get(429) ?? 0), 240);
    t.equal(accepted.length, statuses.get(200), 'what was answered with 200 was accepted');
    door.abort();
    await taking;
  },
);

t.test('health is told without credentials', async (t) => {
  const door = await startDoor(t, { tokens: ['secret'], in_flight_bytes_max: 2047 });
  const health = (): ReturnType<TestDoor['send']> =>
    door.send('/health', undefined, {}, { method: 'GET' });
  t.match(await health(), { status: 200, body: { status: 'ok', in_flight_bytes: 0 } });
  const sent = door.send('/', Buffer.alloc(1023, 'x'), { Authorization: 'Bearer secret' });
  const batch = await door.next();
  t.match(await health(), { status: 503, body: { status: 'full', in_flight_bytes_max: 2047 } });
  await batch.ack();
  t.equal((await sent).status, 200);
  door.abort();
  await door.iterator.next();
  t.match(await health(), { status: 503, body: { status: 'stopping' } });
});

t.test('credentials are asked for when there are some', async (t) => {
  const file = join(testDirectory(t), 'tokens');
  writeFileSync(file, '# agents\nfrom-file\n\n');
  const door = await startDoor(t, {
    tokens: ['first', 'second'],
    tokens_file: file,
    users: ['log:pass:word'],
  });
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  const statusOf = async (header?: string): Promise<number> => {
    const headers = header === undefined ? {} : { Authorization: header };
    const answer = await door.send('/', '', headers);
    if (answer.status === 401) t.match(answer.headers.get('www-authenticate'), /^Bearer .*Basic/);
    t.notMatch(answer.text, /first|second|from-file|pass:word/);
    return answer.status;
  };
  // An empty body is answered with 400 by whoever has been let in.
  for (const good of [
    'Bearer first',
    'bearer second',
    'Bearer from-file',
    'Splunk second',
    basic('log:pass:word'),
    basic('anybody:second'),
    'ApiKey second',
    `ApiKey ${Buffer.from('second').toString('base64')}`,
  ]) {
    t.equal(await statusOf(good), 400, good);
  }
  for (const bad of [
    undefined,
    'Bearer',
    'Bearer ',
    'Bearer firs',
    'Bearer # agents',
    'Digest first',
    basic('log:password'),
    basic('log:'),
    'first',
    `Bearer ${'x'.repeat(10_000)}`,
  ]) {
    t.equal(await statusOf(bad), 401, bad ?? 'none');
  }
});

t.test('options that cannot be used are errors that say what to do', async (t) => {
  const directory = testDirectory(t);
  const empty = join(directory, 'empty');
  writeFileSync(empty, '# none\n');
  for (const [given, message] of [
    [{ tokens_file: join(directory, 'missing') }, /missing of the option tokens_file could not be/],
    [{ tokens_file: empty }, /has no token: expected one in a line/],
    [{ tls_cert: empty }, /needs both tls_cert and tls_key/],
    [{ tls_cert: empty, tls_key: empty }, /cannot be used together/],
  ] as const) {
    const opened = HttpDoor.open(itemsProtocol, { ...options, ...given }, createTestContext());
    const error = await opened.catch((thrown: unknown) => thrown);
    t.equal(pluginErrorKind(error), 'operator');
    t.match(error, { message });
  }
});

t.test('a warning says that everybody may send from other machines', async (t) => {
  const door = await startDoor(t, { host: '0.0.0.0' });
  t.equal(
    (
      await door.log.waitFor(
        'Everybody who reaches this address may send: set tokens, users or tls_client_ca.',
      )
    ).level,
    'warn',
  );
});

/** An authority, and certificates of a server and of a client that it has signed. */
function makeCertificates(directory: string): (name: string) => string {
  const path = (name: string): string => join(directory, name);
  const openssl = (...words: string[]): unknown =>
    execFileSync('openssl', words, { cwd: directory, stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-subj',
    '/CN=ca',
    '-days',
    '2',
  );
  writeFileSync(path('names'), 'subjectAltName=IP:127.0.0.1\n');
  for (const name of ['server', 'client']) {
    openssl(
      'req',
      ...newKey,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
    );
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-out',
      `${name}.pem`,
      '-days',
      '2',
      '-extfile',
      'names',
    );
  }
  return path;
}

t.test('with TLS, clients without a certificate of the authority do not get in', async (t) => {
  const path = makeCertificates(testDirectory(t));
  const door = await startDoor(t, {
    tls_cert: path('server.pem'),
    tls_key: path('server.key'),
    tls_client_ca: path('ca.pem'),
  });
  t.match(door.url, /^https:\/\/127\.0\.0\.1:\d+$/);
  const ca = readFileSync(path('ca.pem'));
  const send = (tls: object): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const request = startTlsRequest(door.url, { method: 'POST', ca, agent: false, ...tls });
      request.once('response', (response) => resolve(response.resume().statusCode));
      request.once('error', reject);
      request.end('one\n');
    });
  const cert = { cert: readFileSync(path('client.pem')), key: readFileSync(path('client.key')) };
  const sent = send(cert);
  t.equal(await door.accept(), 'one\n');
  t.equal(await sent, 200);
  await t.rejects(send({}), 'no certificate');
});

/** A connection, what it has received, and when it is closed. */
function openSocket(t: Test, url: string): { socket: Socket; closed: Promise<string> } {
  const { port, hostname } = new URL(url);
  const socket = connect(Number(port), hostname);
  t.teardown(() => socket.destroy());
  let received = '';
  socket.on('data', (piece) => {
    received += piece.toString();
  });
  socket.on('error', () => undefined);
  const closed = new Promise<string>((resolve) => {
    socket.once('close', () => resolve(received));
  });
  return { socket, closed };
}

t.test('clients that are too slow with head or body are cut off and hold nothing', async (t) => {
  const open = opener({ requestHeadMsMax: 100, requestMsMax: 200, checkMs: 20 });
  const door = await TestDoor.start(t, open, options);
  for (const text of [
    'POST / HTTP/1.1\r\nHost: x\r\n',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegin',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n\x1f\x8b\x08',
  ]) {
    const { socket, closed } = openSocket(t, door.url);
    socket.write(text, 'latin1');
    t.match(await soon(closed, 'the connection to be closed'), /^HTTP\/1\.1 408/);
  }
  const health = await door.send('/health', undefined, {}, { method: 'GET' });
  t.match(health.body, { in_flight_bytes: 0 });
});

t.test('a client that does not read its answer is cut off', async (t) => {
  const large: DoorProtocol = {
    name: 'large',
    answer: async (request) => {
      request.reserve(1000);
      // More than the buffers of the system between the two ends.
      return { status: 200, body: 'x'.repeat(64 * 1024 * 1024) };
    },
  };
  const times = { requestHeadMsMax: 100, requestMsMax: 100, checkMs: 20 };
  const open: OpenDoor = (given, context) => HttpDoor.open(large, given, context, times);
  const door = await TestDoor.start(t, open, { ...options, answer_ms_max: 200 });
  const { socket } = openSocket(t, door.url);
  socket.pause();
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  const inFlightBytes = async (): Promise<unknown> => {
    const { body } = await door.send('/health', undefined, {}, { method: 'GET' });
    // On a busy machine this request can be too slow itself, and has no such answer then.
    return (body as Record<string, unknown> | undefined)?.['in_flight_bytes'];
  };
  const becomes = async (expected: number): Promise<void> => {
    while ((await inFlightBytes()) !== expected);
  };
  await soon(becomes(1000), 'the request to be in flight');
  await soon(becomes(0), 'the client to be cut off');
});

t.test('a request does not wait for ever for the bus', async (t) => {
  const door = await startDoor(t, { answer_ms_max: 50 });
  const away = await door.send('/', 'one\n');
  t.match(away, { status: 503, body: { error: { code: 'bus_away', message: /within 50 ms/ } } });
  t.equal(away.headers.get('retry-after'), '1');
  const sent = door.send('/', 'two\n');
  const batch = await door.next();
  t.equal(Buffer.from(batch.bytes).toString(), 'two\n', 'the first was taken back');
  t.match(await sent, { status: 504, body: { error: { code: 'outcome_unknown' } } });
  const health = (): ReturnType<TestDoor['send']> =>
    door.send('/health', undefined, {}, { method: 'GET' });
  t.not((await health()).body, { in_flight_bytes: 0 }, 'the host still has the bytes');
  await batch.ack();
  t.match((await health()).body, { in_flight_bytes: 0 });
});

t.test('what one batch cannot hold becomes several, and a part that fails is named', async (t) => {
  const door = await startDoor(t, {}, { batchBytesMax: 16, messageBytesMax: 16 });
  const body = 'aaaa\n'.repeat(7);
  const headers = { 'Idempotency-Key': 'request-1' };
  const sent = door.send('/', body, headers);
  const batches = [await door.next(), await door.next(), await door.next()];
  t.same(
    batches.map(({ bytes }) => bytes.length),
    [15, 15, 5],
  );
  const keys = batches.map(({ idempotencyKey }) => idempotencyKey);
  t.ok(keys.every((key) => /^[A-Za-z0-9_-]{43}$/.test(key ?? '')));
  await batches[0]?.ack();
  await batches[1]?.nack(new Error('refused'));
  await batches[2]?.ack();
  t.match(await sent, {
    status: 503,
    body: {
      error: {
        code: 'partly_accepted',
        message: /0-2, 6 were accepted, 3-5 were not accepted: send those again/,
      },
    },
  });
});

t.test('a key that other content had before is refused, and not to be tried again', async (t) => {
  const door = await startDoor(t);
  const sent = door.send('/', 'b\n', { 'Idempotency-Key': 'request-1' });
  const batch = await door.next();
  await batch.nack(Object.assign(new Error('Another batch had it.'), { code: 'sequence_reused' }));
  const answer = await sent;
  t.match(answer, { status: 409, body: { error: { code: 'idempotency_key_reused' } } });
  t.equal(answer.headers.get('retry-after'), null);
});

t.test('batches of several categories stay apart, and limits are kept', async (t) => {
  const lines = new LineBatches({ messageBytesMax: 8, batchBytesMax: 10 }, () => undefined);
  t.ok(lines.add(0, 'a', Buffer.from('1234567')));
  t.notOk(lines.add(1, 'a', Buffer.from('12345678')), 'too long with its newline');
  t.ok(lines.add(2, 'b', Buffer.from('x'), Buffer.from('y')));
  t.ok(lines.add(3, 'a', Buffer.from('z')));
  t.ok(lines.add(4, 'a', Buffer.from('z')));
  t.same(
    lines.finish().map(({ bytes, category, items }) => [bytes.toString(), category, items]),
    [
      ['1234567\nz\n', 'a', [0, 3]],
      ['xy\n', 'b', [2]],
      ['z\n', 'a', [4]],
    ],
  );
  const many = new LineBatches({ messageBytesMax: 8, batchBytesMax: 10 }, () => undefined);
  t.throws(() => {
    for (let index = 0; index < 200; index += 1) many.add(index, `c${index}`, Buffer.from('x'));
  }, /more than 100 categories/);
  t.equal(describeItems([0, 1, 2, 5, 7, 8]), '0-2, 5, 7-8');
  t.match(
    describeItems(Array.from({ length: 50 }, (_, index) => index * 2)),
    /38 and 30 more ranges$/,
  );
});

t.test('the names of indexes become categories', async (t) => {
  t.equal(categoryOfIndex('filebeat-8.19.2-2026.11.25', false), 'filebeat-8_19_2');
  t.equal(categoryOfIndex('filebeat-8.19.2-2026.11.25', true), 'filebeat-8_19_2-2026_11_25');
  t.equal(categoryOfIndex('logs-2026.11-000001', false), 'logs');
  t.equal(categoryOfIndex('2026.11.25', false), '2026_11_25');
  t.equal(categoryOfIndex('x'.repeat(200), true)?.length, 128);
  t.equal(categoryOfIndex('', true), undefined);
});

/** A generator of numbers from 0 to 1, the same for each seed (mulberry32). */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function readWhole(text: string): string {
  const bytes = Buffer.from(text);
  const reader = new JsonReader(bytes);
  const extent = reader.value();
  reader.expectEnd();
  return compactJson(bytes, extent).toString();
}

t.test(
  'JSON is judged as JSON.parse judges it, and means the same when it is compact',
  async (t) => {
    const seed = Number(process.env['CHUKCHA_SEED'] ?? 7);
    const random = createRandom(seed);
    const pick = (items: string): string => items[Math.floor(random() * items.length)] ?? '';
    const samples = [
      '{"a":[1,-2.5e+10,true,null,"x\\u00e9\\n"],"b":{"c":""}}',
      ' [ 0 , { } , [ ] , "\\\\" , false ] ',
      '"\u{1f600}"',
      '{"k": "v" , "k":-0.0E-7}',
    ];
    let valid = 0;
    const roundCount = 10_000;
    for (let round = 0; round < roundCount; round += 1) {
      let text = samples[round % samples.length] ?? '';
      for (let change = Math.floor(random() * 4); change > 0; change -= 1) {
        const at = Math.floor(random() * (text.length + 1));
        const cut = Math.floor(random() * 2);
        text = text.slice(0, at) + pick('{}[]:,"\\0123eE+-. \ntu\u0001a') + text.slice(at + cut);
      }
      // Half of a pair has no bytes in UTF-8.
      if (/\p{Surrogate}/u.test(text)) continue;
      let expected: unknown;
      try {
        expected = JSON.parse(text);
        valid += 1;
      } catch {
        if (passes(text)) t.fail(`${JSON.stringify(text)} was taken (seed ${seed})`);
        continue;
      }
      if (!passes(text)) t.fail(`${JSON.stringify(text)} was refused (seed ${seed})`);
      else {
        const compact = readWhole(text);
        if (JSON.stringify(JSON.parse(compact)) !== JSON.stringify(expected)) t.fail(compact);
        if (/^[^"]*\s/.test(compact)) t.fail(`${compact} is not compact`);
      }
    }
    t.ok(valid > roundCount / 10, `${valid} were valid`);
    t.ok(valid < (roundCount * 9) / 10);
    const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    t.ok(passes(deep(256)));
    t.notOk(passes(deep(257)), 'nested too deep');
    t.throws(() => readWhole(deep(100_000)), /at most 256 deep/);
  },
);

function passes(text: string): boolean {
  try {
    readWhole(text);
    return true;
  } catch {
    return false;
  }
}

t.test('a body in many small pieces is collected as it is', async (t) => {
  const collector = new PieceCollector();
  const expected: Buffer[] = [];
  for (let index = 0; index < 40_000; index += 1) {
    const piece = Buffer.alloc(index % 5000 === 4999 ? 20_000 : index % 7, index);
    expected.push(piece);
    collector.add(piece);
  }
  const tail = Uint8Array.of(0x0a);
  t.equal(collector.lastByte(), expected.findLast((piece) => piece.length > 0)?.at(-1));
  t.ok(Buffer.concat([...expected, tail]).equals(collector.join(tail)));
});

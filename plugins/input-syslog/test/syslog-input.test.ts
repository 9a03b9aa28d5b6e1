import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { defaultOptions } from '@chukcha/http-door/testing';
import { type InputBatch, type InputContext, pluginErrorKind } from '@chukcha/plugin-api';
import {
  createTestContext,
  createTestLog,
  createTestMetrics,
  inputConformance,
  soon,
} from '@chukcha/plugin-api/conformance';
import t, { type Test } from 'tap';
import { FrameSplitter, type Framing } from '../src/frame-splitter.js';
import listPlugins from '../src/hook.js';
import { plugin } from '../src/index.js';
import { parseSyslog } from '../src/parse-syslog.js';
import { open, type SyslogInput } from '../src/syslog-input.js';

const options = defaultOptions(plugin.options);

async function startInput(t: Test, given: object = {}, context: Partial<InputContext> = {}) {
  const log = createTestLog();
  const metrics = createTestMetrics();
  const all = createTestContext({ log, metrics, ...context });
  const input = await open({ ...options, ...given }, all);
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
  /** Accepts batches until there are that many lines. */
  const lines = async (count: number): Promise<string[]> => {
    const taken: string[] = [];
    while (taken.length < count) {
      const batch = await next();
      taken.push(...Buffer.from(batch.bytes).toString().split('\n').slice(0, -1));
      await batch.ack();
    }
    return taken;
  };
  return { input, iterator, abort, next, lines, log, metrics };
}

function openStream(t: Test, input: SyslogInput): Socket {
  const socket = connect(input.port, '127.0.0.1');
  socket.on('error', () => undefined);
  t.teardown(() => socket.destroy());
  return socket;
}

/** Also of a connection that fails. */
function isClosed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
  });
}

function sendDatagram(input: SyslogInput, bytes: string | Buffer): Promise<void> {
  const socket = createSocket('udp4');
  return new Promise((resolve, reject) => {
    socket.send(bytes, input.port, '127.0.0.1', (error) => {
      socket.close();
      if (error === null) resolve();
      else reject(error);
    });
  });
}

t.test('conformance, with raw lines over TCP', async (t) => {
  const given = { ...options, form: 'raw', transport: 'tcp', framing: 'newline' };
  const suite = {
    remembers: false,
    endless: true,
    createSource: async (lines: readonly Uint8Array[]) => {
      let input: SyslogInput | undefined;
      let socket: Socket | undefined;
      return {
        open: async (context: InputContext) => {
          input = await open(given, context);
          return input;
        },
        feed: () => {
          socket = connect(input?.port ?? 0, '127.0.0.1');
          socket.on('error', () => undefined);
          socket.end(Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')])));
        },
        close: async () => {
          socket?.destroy();
          await input?.close();
        },
      };
    },
  };
  for (const { name, run } of inputConformance(suite)) t.test(name, run);
});

t.test('the package offers the plugin', async (t) => {
  t.same(await listPlugins(), [plugin]);
  t.same(plugin.parseAddress?.('0.0.0.0:514'), { host: '0.0.0.0', port: 514 });
  t.throws(() => plugin.parseAddress?.('x'), /syslog:<port>/);
});

t.test('messages are read into their parts', async (t) => {
  const rfc5424 = { facility: 'auth', severity: 'crit', priority: 34 };
  for (const [text, expected] of [
    [
      "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \uFEFF'su root' failed",
      {
        ...rfc5424,
        timestamp: '2003-10-11T22:14:15.003Z',
        host: 'mymachine.example.com',
        app: 'su',
        message_id: 'ID47',
        message: "'su root' failed",
      },
    ],
    [
      '<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 evntslog 8710 - [a@1 iut="3" q="say \\"hi\\" [x\\]" iut="4"][b] two  spaces',
      {
        facility: 'local4',
        severity: 'notice',
        priority: 165,
        timestamp: '2003-08-24T05:14:15.000003-07:00',
        host: '192.0.2.1',
        app: 'evntslog',
        process_id: '8710',
        structured_data: { 'a@1': { iut: ['3', '4'], q: 'say "hi" [x]' }, b: {} },
        message: 'two  spaces',
      },
    ],
    ['<34>1 - - - - - -', { ...rfc5424, message: '' }],
    [
      "<34>Oct 11 22:14:15 mymachine su[12]: 'su root' failed\nfor lonvick",
      {
        ...rfc5424,
        timestamp: 'Oct 11 22:14:15',
        host: 'mymachine',
        app: 'su',
        process_id: '12',
        message: "'su root' failed\nfor lonvick",
      },
    ],
    [
      '<13>2026-11-25T15:30:00.123456+00:00 box kernel: up',
      {
        facility: 'user',
        severity: 'notice',
        priority: 13,
        timestamp: '2026-11-25T15:30:00.123456+00:00',
        host: 'box',
        app: 'kernel',
        message: 'up',
      },
    ],
    ['<34>%ASA-6-302013: Built', { ...rfc5424, message: '%ASA-6-302013: Built', unparsed: true }],
    ['<34>1 - - - - - [a b', { ...rfc5424, message: '1 - - - - - [a b', unparsed: true }],
    ['<192>1 - - - - - -', { message: '<192>1 - - - - - -', unparsed: true }],
    ['plain text', { message: 'plain text', unparsed: true }],
    ['', { message: '', unparsed: true }],
  ] as const) {
    t.same(parseSyslog(text), expected, text);
  }
  const evil = `<34>1 - - - - - [a ${'b="\\'.repeat(20_000)}`;
  const start = performance.now();
  parseSyslog(evil);
  parseSyslog(`<34>${'[a b="c"]'.repeat(10_000)}`);
  t.ok(performance.now() - start < 1000, 'no text takes long');
});

/** What a splitter makes of pieces. */
function split(framing: Framing, limit: number, pieces: readonly string[]): string[] {
  const frames: string[] = [];
  const splitter = new FrameSplitter(framing, limit, (bytes, isCut) => {
    frames.push(`${bytes.toString('latin1')}${isCut ? ' (cut)' : ''}`);
  });
  for (const piece of pieces) splitter.push(Buffer.from(piece, 'latin1'));
  splitter.finish();
  return frames;
}

t.test('streams are split by newlines or lengths, however they come in pieces', async (t) => {
  const stream = "<1>one\n7 <2>t\nwo<3>three\n12 o'clock\n5 <4>xy2026 year\n9 <5>12\n456<6>last";
  const expected = [
    '<1>one',
    '<2>t\nwo',
    '<3>three',
    "12 o'clock",
    '<4>xy',
    '2026 year',
    '<5>12\n456',
    '<6>last',
  ];
  t.same(split('auto', 100, [stream]), expected);
  t.same(split('auto', 100, stream.split('')), expected, 'byte by byte');
  for (let size = 2; size < 20; size += 1) {
    const pieces = stream.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
    t.same(split('auto', 100, pieces), expected, `${size} bytes at a time`);
  }
  t.same(split('newline', 100, ['5 <4>xy\n\nz']), ['5 <4>xy', '', 'z']);
  t.same(split('octets', 100, ['3 a\nb1 c0 4 de']), ['a\nb', 'c', '', 'de (cut)']);
  t.throws(() => split('octets', 100, ['<1>one\n']), /Expected the length of a message .*"<1>one/);
  t.throws(() => split('octets', 100, ['12345678 x']), /Expected the length/);
});

t.test('what is longer than the limit is cut, and the stream goes on behind it', async (t) => {
  const text = `aaaa\n${'b'.repeat(30)}\ncc\n12 <1>dddddddddee\n`;
  const expected = ['aaaa', 'bbbbbbbb (cut)', 'cc', '<1>ddddd (cut)', 'ee'];
  t.same(split('auto', 8, [text]), expected);
  for (let size = 1; size < 40; size += 1) {
    const pieces = text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
    t.same(split('auto', 8, pieces), expected, `${size} bytes at a time`);
  }
});

t.test('TCP and UDP give lines of JSON with the address of the sender', async (t) => {
  const { input, lines, metrics } = await startInput(t);
  const socket = openStream(t, input);
  socket.write('<13>1 - h a - - - one\n\n21 <13>1 - h a - - - t\no');
  t.same(
    (await lines(2)).map((line) => JSON.parse(line) as unknown),
    ['one', 't\no'].map((message) => ({
      facility: 'user',
      severity: 'notice',
      priority: 13,
      host: 'h',
      app: 'a',
      message,
      peer: '127.0.0.1',
    })),
  );
  await sendDatagram(input, '<13>Oct 11 22:14:15 h a: datagram\n\0');
  t.match(JSON.parse((await lines(1))[0] ?? ''), { app: 'a', message: 'datagram' });
  await sendDatagram(input, Buffer.from([0x3c, 0x31, 0x3e, 0xe9]));
  t.same(JSON.parse((await lines(1))[0] ?? ''), {
    facility: 'kern',
    severity: 'alert',
    priority: 1,
    message: '\u00e9',
    unparsed: true,
    peer: '127.0.0.1',
    encoding: 'latin1',
  });
  t.equal(metrics.values.get('messages_total'), 4);
  t.equal(metrics.values.get('empty_messages_total'), 1);
});

t.test('a message over the limit is cut, marked and counted, and its line fits', async (t) => {
  const limits = { messageBytesMax: 4096, batchBytesMax: 8192 };
  const { input, lines, metrics, log } = await startInput(t, {}, limits);
  const socket = openStream(t, input);
  socket.write(`<13>1 - - - - - - ${'\u0001'.repeat(3000)}\n<13>1 - - - - - - after\n`);
  await sendDatagram(input, 'x'.repeat(3000));
  const three = await lines(3);
  t.ok(three.every((line) => line.length < 4096));
  const parsed = three.map((line) => JSON.parse(line) as { cut?: true; message: string });
  t.equal(parsed.filter(({ cut }) => cut === true).length, 2);
  t.equal(parsed.filter(({ message }) => message === 'after').length, 1);
  t.equal(metrics.values.get('cut_messages_total'), 2);
  await log.waitFor('A message was longer than message_bytes_max and was cut.');
});

t.test('raw messages stay as they are, on one line', async (t) => {
  const { input, lines, metrics } = await startInput(t, { form: 'raw' });
  const socket = openStream(t, input);
  socket.write('<1>a\tb\r\n8 <1>c\nd\ne<');
  socket.end();
  t.same(await lines(3), ['<1>a\tb\r', '<1>c\\nd\\ne', '<']);
  t.equal(metrics.values.get('joined_messages_total'), 1);
});

t.test(
  'when the bus is behind, TCP waits without loss, and UDP is dropped and counted',
  async (t) => {
    const { input, iterator, next, metrics, log } = await startInput(t, {
      in_flight_bytes_max: 64 * 1024,
      form: 'raw',
    });
    const socket = openStream(t, input);
    const lineCount = 200_000;
    let sent = 0;
    const write = (): void => {
      while (sent < lineCount) {
        sent += 1;
        if (!socket.write(`<13>line ${sent} ${'x'.repeat(80)}\n`)) break;
      }
      if (sent === lineCount) socket.end();
    };
    socket.on('drain', write);
    write();
    const first = await next();
    // The input is full with what it has read until something is settled.
    while (metrics.values.get('dropped_datagrams_total') === undefined) {
      await sendDatagram(input, '<13>datagram');
      await new Promise((resolve) => setImmediate(resolve));
    }
    await log.waitFor(
      'Datagrams are dropped: the bus is behind; senders that must not lose any use TCP.',
    );
    t.ok(sent < lineCount, `the sender waits after ${sent} lines`);
    await first.ack();
    let expected = 1;
    const check = (batch: InputBatch): void => {
      for (const line of Buffer.from(batch.bytes).toString().split('\n').slice(0, -1)) {
        if (line === '<13>datagram') continue;
        if (!line.startsWith(`<13>line ${expected} x`)) throw new Error(`${line}, not ${expected}`);
        expected += 1;
      }
    };
    check(first);
    while (expected <= lineCount) {
      const batch = await next();
      check(batch);
      setImmediate(() => void batch.ack());
    }
    t.equal(expected, lineCount + 1, 'every line came, in order');
    t.ok(iterator);
  },
);

t.test(
  'a stop gives what has come, and what the bus does not take is counted as lost',
  async (t) => {
    const { input, iterator, abort, next, metrics, log } = await startInput(t, { form: 'raw' });
    const socket = openStream(t, input);
    socket.write('one\n');
    const first = await next();
    socket.write('two\nthr');
    while (metrics.values.get('messages_total') !== 2) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    abort.abort();
    const rest: string[] = [];
    for (;;) {
      const { value, done } = await soon(iterator.next(), 'the end');
      if (done === true) break;
      rest.push(Buffer.from(value.bytes).toString());
      await value.nack(new Error('stopped'));
      await value.nack(new Error('stopped'));
    }
    t.match(rest.join(''), /^two\n/);
    await first.ack();
    t.ok((metrics.values.get('lost_messages_total') ?? 0) >= 1);
    await log.waitFor(
      'Messages are lost: the bus did not take them, and syslog cannot ask for them again.',
    );
    await soon(input.close(), 'close to resolve');
  },
);

t.test('a stream that is framed in another way is closed, and the log says why', async (t) => {
  const { input, log, metrics } = await startInput(t, { framing: 'octets', transport: 'tcp' });
  const socket = openStream(t, input);
  socket.write('<13>no length\n');
  await soon(isClosed(socket), 'the connection to be closed');
  const entry = await log.waitFor('A connection was closed because of an error.');
  t.match(entry.fields, { error: /set framing=auto/ });
  t.equal(metrics.values.get('broken_connections_total'), 1);
});

t.test(
  'TLS is spoken with a certificate, and by clients that have one when it is asked for',
  async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'chukcha-syslog-'));
    t.teardown(() => rmSync(directory, { recursive: true }));
    const path = (name: string): string => join(directory, name);
    const words = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
    ];
    const names = [
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=IP:127.0.0.1',
      '-days',
      '2',
    ];
    execFileSync('openssl', [...words, '-keyout', path('key'), '-out', path('cert'), ...names], {
      stdio: 'pipe',
    });
    const tls = { tls_cert: path('cert'), tls_key: path('key'), tls_client_ca: path('cert') };
    const { input, lines, metrics } = await startInput(t, {
      ...tls,
      transport: 'tcp',
      form: 'raw',
    });
    const cert = readFileSync(path('cert'));
    const key = readFileSync(path('key'));
    const trusted = connectTls({ port: input.port, host: '127.0.0.1', ca: cert, cert, key });
    t.teardown(() => trusted.destroy());
    trusted.write('<13>secret\n');
    t.same(await lines(1), ['<13>secret']);
    const stranger = connectTls({ port: input.port, host: '127.0.0.1', ca: cert });
    stranger.on('error', () => undefined);
    await soon(isClosed(stranger), 'the stranger to be refused');
    const plain = openStream(t, input);
    plain.write('<13>plain\n');
    await soon(isClosed(plain), 'the plain connection to be refused');
    t.ok((metrics.values.get('broken_connections_total') ?? 0) >= 2);
  },
);

t.test('what cannot be listened on is an error that says what to do', async (t) => {
  const { input } = await startInput(t);
  for (const [given, message] of [
    [{ port: input.port }, /Another process listens on 127\.0\.0\.1:\d+ already/],
    [{ port: input.port, transport: 'udp' }, /Another process listens/],
    [{ host: '203.0.113.1' }, /not an address of this machine/],
    [{ tls_cert: 'x', tls_key: 'y' }, /set transport=tcp/],
    [{ tls_cert: 'x', transport: 'tcp' }, /needs both/],
  ] as const) {
    const opened = open({ ...options, ...given }, createTestContext());
    const error = await opened.catch((thrown: unknown) => thrown);
    t.equal(pluginErrorKind(error), 'operator');
    t.match(error, { message });
  }
});

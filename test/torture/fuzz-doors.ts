import type { SeededRandom } from '../../src/common/seeded-random.js';

/** What is sent to the inputs that are servers, by their names. */
interface DoorWords {
  readonly paths: readonly string[];
  readonly types: readonly string[];
  readonly bodies: readonly string[];
}

const records = (body: string): string =>
  `{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"stringValue":"b"}}]},"scopeLogs":[{"logRecords":[${body}]}]}]}`;

const doors: Readonly<Record<string, DoorWords>> = {
  http: {
    paths: ['/', '/logs', '/?partial=true', '/logs?partial=x', '/health', '/a/b', '/%00', '/..'],
    types: ['', 'text/plain', 'application/x-ndjson', 'application/json', 'image/png'],
    bodies: ['a\n', '{"a":1}\n{"b":', '[{"a":1},2,"x"]', '[1e999,{"__proto__":1}]', '[[[['],
  },
  elasticsearch: {
    paths: [
      ...['/_bulk', '/logs/_bulk', '/logs/_doc', '/logs/_create/1', '/', '/_cluster/health'],
      ...['/_license', '/_template/x', '/logs/_doc/%ff', '/%2e%2e/_bulk', '/_nodes/http'],
    ],
    types: ['application/json', 'application/x-ndjson', 'text/plain', ''],
    bodies: [
      '{"index":{}}\n{"a":1}\n',
      '{"create":{"_index":"logs-2026.11.25","_id":"1"}}\n{"a":1}\n',
      '{"delete":{"_id":"1"}}\n',
      '{"index":{"_index":"../x"}}\n{"a":1}\n',
      '{"index":{}}\n',
      '{"index":null}\n{}\n',
      '{"update":{}}\n{"doc":{}}\n',
      '{"a":"\ud800"}',
      '[]',
    ],
  },
  splunk: {
    paths: [
      ...['/services/collector', '/services/collector/event', '/services/collector/raw'],
      ...['/services/collector/event/1.0', '/services/collector/ack', '/services/collector/health'],
      '/services/collector/raw?index=x&channel=%00',
    ],
    types: ['', 'application/json'],
    bodies: [
      '{"event":"a"}',
      '{"event":{"a":1},"time":1e400,"fields":{"b":[1]}}{"event":"c"}',
      '{"event":""}',
      '{"time":1}',
      '{"event":null}',
      '{"event":"a","index":"../x"}',
      '[{"event":"a"}]',
      'a\nb\n',
    ],
  },
  otlp: {
    paths: ['/v1/logs', '/v1/traces', '/v1/logs/', '/health'],
    types: ['application/json', 'application/x-protobuf', ''],
    bodies: [
      records('{"timeUnixNano":"1","body":{"stringValue":"a"}}'),
      records('{"timeUnixNano":"x","body":{"bytesValue":"%%"},"traceId":"zz"}'),
      records('{"body":{"kvlistValue":{"values":[{"key":"a"}]}}},null'),
      records(`{"body":${'{"arrayValue":{"values":['.repeat(300)}`),
      '{"resourceLogs":{}}',
      '{"resourceLogs":[null]}',
      '{}',
    ],
  },
};

export const doorNames: readonly string[] = Object.keys(doors);

const bodiesOfAny: readonly string[] = [
  ...['', 'a', '\0', '{', '"', '\n\n\n', '\xff\xfe\n', '{"a":"\xff"}\n', '\x1f\x8b\x08\0'],
  ...['2\r\na\n\r\n0\r\n\r\n', 'zz\r\n', `${'['.repeat(10_000)}`, `"${'x'.repeat(70_000)}"\n`],
  `${'{"a":1}\n'.repeat(3_000)}`,
];

const lineSets: readonly string[] = [
  ...['Content-Encoding: gzip', 'Content-Encoding: br', 'Content-Encoding: deflate'],
  ...['Content-Encoding: zstd', 'Content-Encoding: gzip, gzip', 'Expect: 100-continue'],
  ...['Transfer-Encoding: chunked', 'Transfer-Encoding: gzip, chunked', 'Content-Length: 1'],
  ...['Content-Length: 99999999999', 'Connection: Upgrade\r\nUpgrade: h2c', 'Connection: close'],
  ...['Idempotency-Key: a', 'Idempotency-Key: \x80', `Idempotency-Key: ${'x'.repeat(1_025)}`],
  ...['Authorization: Basic eA==', 'Authorization: Splunk x', 'Authorization: ApiKey %%'],
  ...['X-Splunk-Request-Channel: x', 'X: a\nX-Evil: 1', ' folded', 'Host: b'],
  `X: ${'y'.repeat(17_000)}`,
];

/** A request for one of the inputs over HTTP. */
export function fuzzDoorRequest(random: SeededRandom, door: string): string {
  const { paths, types, bodies } = doors[
    random.integer(0, 9) === 0 ? random.pick(doorNames) : door
  ] as DoorWords;
  const method = random.pick(['POST', 'POST', 'POST', 'PUT', 'GET', 'HEAD', 'OPTIONS', 'DELETE']);
  const type = random.pick(random.integer(0, 2) === 0 ? types : types.slice(0, 1));
  const body = mutated(random, random.pick(random.integer(0, 3) === 0 ? bodiesOfAny : bodies));
  const lines = [`${method} ${random.pick(paths)} HTTP/1.1`, 'Host: door'];
  if (type !== '') lines.push(`Content-Type: ${type}`);
  if (random.integer(0, 9) > 0) lines.push(`Content-Length: ${body.length}`);
  if (random.integer(0, 3) === 0)
    lines.push(`Idempotency-Key: ${random.pick(['a', random.hex(8)])}`);
  if (random.integer(0, 2) === 0) lines.push(random.pick(lineSets));
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

const syslogLines: readonly string[] = [
  '<34>1 2026-11-25T10:00:00Z host app 1 ID [a b="c"] text\n',
  '<13>Nov 25 10:00:00 host app[1]: text\n',
  '47 <34>1 2026-11-25T10:00:00Z host app 1 - - text a',
  '<999>1 - - - - - -\n',
  '<34>1 2026-99-99T99:99:99Z h a p m [x y="\\"]"] t\n',
  '<34>1 - - - - - [',
  '99999999999 <34>x',
  '5 <1>ab',
  '0 ',
  '<\n',
  '\0\0\n',
  '\xff\xfe\n',
  'no priority\n',
  `<34>${'x'.repeat(70_000)}\n`,
  '\x16\x03\x01\x02\x00',
];

/** Messages for the input of syslog, of which some are none. */
export function fuzzSyslog(random: SeededRandom): string {
  const count = random.integer(1, 8);
  return Array.from({ length: count }, () => mutated(random, random.pick(syslogLines))).join('');
}

/** The text with a byte changed, left out, or with its end cut off, now and then. */
function mutated(random: SeededRandom, text: string): string {
  if (text === '' || random.integer(0, 3) > 0) return text;
  const at = random.integer(0, text.length - 1);
  switch (random.integer(0, 3)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + text.slice(at + 1);
    case 2:
      return text.slice(0, at) + String.fromCharCode(random.integer(0, 255)) + text.slice(at + 1);
    default:
      return text + text.slice(0, at);
  }
}

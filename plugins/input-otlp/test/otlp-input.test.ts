import { createDoorSource, defaultOptions, TestDoor } from '@chukcha/http-door/testing';
import type { InputContext } from '@chukcha/plugin-api';
import { inputConformance } from '@chukcha/plugin-api/conformance';
import t, { type Test } from 'tap';
import listPlugins from '../src/hook.js';
import { plugin } from '../src/index.js';
import { open } from '../src/otlp-input.js';

const options = defaultOptions(plugin.options);
const json = { 'Content-Type': 'application/json' };

function startInput(
  t: Test,
  given: object = {},
  context: Partial<InputContext> = {},
): Promise<TestDoor> {
  return TestDoor.start(t, open, { ...options, ...given }, context);
}

/** A request whose records have these bodies. */
function logsOf(...bodies: readonly string[]): string {
  const logRecords = bodies.map((stringValue) => ({ body: { stringValue } }));
  return JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
}

/** As for the documents of other inputs: the suite's lines travel within records. */
t.test('conformance, with each line in a record', async (t) => {
  interface Line {
    readonly body: { readonly stringValue: string };
  }
  const newline = Buffer.from('\n');
  const unwrap = (text: string): Buffer =>
    Buffer.concat(
      text
        .split('\n')
        .filter((line) => line !== '')
        .flatMap((line) => [
          Buffer.from((JSON.parse(line) as Line).body.stringValue, 'base64'),
          newline,
        ]),
    );
  const suite = {
    remembers: false,
    endless: true,
    createSource: async (lines: readonly Uint8Array[]) => {
      const source = createDoorSource(open, options, '/v1/logs', lines, (some) =>
        Buffer.from(logsOf(...some.map((line) => Buffer.from(line).toString('base64')))),
      );
      return {
        ...source,
        open: async (context: InputContext) => {
          // Records are longer than the lines of the suite, so the input has higher limits than the suite.
          const input = await source.open({
            ...context,
            messageBytesMax: context.messageBytesMax * 2,
          });
          return {
            async *batches(signal: AbortSignal) {
              for await (const batch of input.batches(signal)) {
                yield { ...batch, bytes: unwrap(Buffer.from(batch.bytes).toString()) };
              }
            },
            close: () => input.close(),
          };
        },
      };
    },
  };
  for (const { name, run } of inputConformance(suite)) t.test(name, run);
});

t.test('the package offers the plugin', async (t) => {
  t.same(await listPlugins(), [plugin]);
  t.same(plugin.parseAddress?.(''), {});
  t.throws(() => plugin.parseAddress?.('x'), /otlp:<port>/);
});

t.test('each record becomes a line with its resource and its scope, digit by digit', async (t) => {
  const door = await startInput(t);
  const body = `{"resourceLogs": [
    {"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
     "schemaUrl": "https://example.org/1",
     "scopeLogs": [
       {"scope": {"name": "lib"}, "schemaUrl": "https://example.org/2", "logRecords": [
         {"timeUnixNano": "1764000000000000000", "attributes": [{"key":"n","value":{"intValue": 12345678901234567890}}]},
         {}
       ]},
       {"logRecords": []}
     ]},
    {"resource": null, "scope_logs": [{"log_records": [{"body": {"stringValue": "last"}}]}]}
  ]}`;
  const sent = door.send('/v1/logs', body, json);
  const start =
    '{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"resourceSchemaUrl":"https://example.org/1","scope":{"name":"lib"},"scopeSchemaUrl":"https://example.org/2"';
  t.equal(
    await door.accept(),
    `${start},"timeUnixNano":"1764000000000000000","attributes":[{"key":"n","value":{"intValue":12345678901234567890}}]}\n` +
      `${start}}\n` +
      '{"resource":{},"scope":{},"body":{"stringValue":"last"}}\n',
  );
  t.match(await sent, { status: 200, text: '{}\n' });
  t.match(await door.send('/v1/logs', '{}', json), { status: 200, text: '{}\n' }, 'no records');
});

t.test('records that are too long are rejected, and the others are stored', async (t) => {
  const door = await startInput(t, {}, { messageBytesMax: 80 });
  const sent = door.send('/v1/logs', logsOf('a', 'x'.repeat(80), 'b', 'y'.repeat(90)), json);
  t.equal((await door.accept()).split('\n').length, 3);
  t.match(await sent, {
    status: 200,
    body: {
      partialSuccess: { rejectedLogRecords: '2', errorMessage: /more than 80 bytes.*: 1, 3\.$/ },
    },
  });
  const none = await door.send('/v1/logs', logsOf('x'.repeat(80)), json);
  t.match(none, { status: 200, body: { partialSuccess: { rejectedLogRecords: '1' } } });
});

t.test('what cannot be taken is refused with the reason', async (t) => {
  const door = await startInput(t, { body_bytes_max: 1024 });
  for (const [name, path, body, type, status, code, message] of [
    ['protobuf', '/v1/logs', 'x', 'application/x-protobuf', 415, 3, /http\/json/],
    ['another type', '/v1/logs', 'x', 'text/plain', 415, 3, /expected application\/json/],
    ['nothing', '/v1/logs', '', 'application/json', 400, 3, /empty/],
    ['no JSON', '/v1/logs', '{"resourceLogs":', 'application/json', 400, 3, /a value at byte/],
    ['an array', '/v1/logs', '[]', 'application/json', 400, 3, /an object at byte 0/],
    ['no list', '/v1/logs', '{"resourceLogs":{}}', 'application/json', 400, 3, /an array/],
    [
      'a record that is none',
      '/v1/logs',
      '{"resourceLogs":[{"scopeLogs":[{"logRecords":[1]}]}]}',
      'application/json',
      400,
      3,
      /a log record/,
    ],
    ['not UTF-8', '/v1/logs', Buffer.from([0x7b, 0xff]), 'application/json', 400, 3, /UTF-8/],
    ['too large', '/v1/logs', ' '.repeat(2000), 'application/json', 413, 8, /1024/],
    ['traces', '/v1/traces', '{}', 'application/json', 404, 5, /only logs are taken/],
    ['another path', '/v2/logs', '{}', 'application/json', 404, 5, /POST \/v1\/logs/],
  ] as const) {
    const answer = await door.send(path, body, { 'Content-Type': type });
    t.equal(answer.status, status, name);
    t.match(answer.body, { code, message }, name);
  }
  const get = await door.send('/v1/logs', undefined, {}, { method: 'GET' });
  t.match(get, { status: 405, body: { code: 12 } });
});

t.test('a small request cannot fill the memory with copies of its resource', async (t) => {
  const door = await startInput(t, { in_flight_bytes_max: 1024 * 1024 });
  const resource = { attributes: [{ key: 'k', value: { stringValue: 'x'.repeat(100_000) } }] };
  const logRecords = Array.from({ length: 1000 }, () => ({}));
  const body = JSON.stringify({ resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] });
  const answer = await door.send('/v1/logs', body, json);
  t.match(answer, { status: 413, body: { code: 8, message: /what is made of it/ } });
});

t.test('a refusal that passes says when to come again', async (t) => {
  const door = await startInput(t);
  const sent = door.send('/v1/logs', logsOf('a'), json);
  await (await door.next()).nack(new Error('no'));
  const answer = await sent;
  t.match(answer, { status: 503, body: { code: 14 } });
  t.equal(answer.headers.get('retry-after'), '1');
});

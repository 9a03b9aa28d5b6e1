import { gzipSync } from 'node:zlib';
import { createDoorSource, defaultOptions, TestDoor } from '@chukcha/http-door/testing';
import type { InputContext } from '@chukcha/plugin-api';
import { inputConformance } from '@chukcha/plugin-api/conformance';
import t, { type Test } from 'tap';
import { open } from '../src/elasticsearch-input.js';
import listPlugins from '../src/hook.js';
import { plugin } from '../src/index.js';

const options = defaultOptions(plugin.options);

function startInput(
  t: Test,
  given: object = {},
  context: Partial<InputContext> = {},
): Promise<TestDoor> {
  return TestDoor.start(t, open, { ...options, ...given }, context);
}

/** A body of `_bulk` from its lines. */
function bulk(...lines: readonly (object | string)[]): string {
  return lines
    .map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`)
    .join('');
}

interface BulkAnswer {
  readonly errors: boolean;
  readonly items: readonly Readonly<Record<string, unknown>>[];
}

/**
 * The suite's lines are no documents, so this turns each into one and back: what it shows is that requests are
 * batches that are settled as they have to be.
 */
t.test('conformance, with each line in a document', async (t) => {
  const wrap = (line: Uint8Array): string => `{"line":"${Buffer.from(line).toString('base64')}"}`;
  const unwrap = (text: string): Buffer =>
    Buffer.concat(
      text
        .split('\n')
        .filter((line) => line !== '')
        .flatMap((line) => [
          Buffer.from((JSON.parse(line) as { line: string }).line, 'base64'),
          Buffer.from('\n'),
        ]),
    );
  const suite = {
    remembers: false,
    endless: true,
    createSource: async (lines: readonly Uint8Array[]) => {
      const source = createDoorSource(open, options, '/_bulk', lines, (some) =>
        Buffer.from(some.map((line) => `{"index":{}}\n${wrap(line)}\n`).join('')),
      );
      return {
        ...source,
        open: async (context: InputContext) => {
          // Documents are longer than the lines of the suite, so the input has higher limits than the suite.
          const input = await source.open({
            ...context,
            messageBytesMax: context.messageBytesMax * 2,
            batchBytesMax: context.batchBytesMax / 2,
          });
          return {
            async *batches(signal: AbortSignal) {
              for await (const batch of input.batches(signal)) {
                const bytes = unwrap(Buffer.from(batch.bytes).toString());
                yield { ...batch, bytes };
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
  t.same(plugin.parseAddress?.('0.0.0.0:9200'), { host: '0.0.0.0', port: 9200 });
  t.throws(() => plugin.parseAddress?.('x'), /elasticsearch:<port>/);
});

t.test('documents of _bulk go on as they are, and each has a result', async (t) => {
  const door = await startInput(t);
  const document = '{ "id": 12345678901234567890, "a":"\u00e9" }';
  const body = bulk({ index: { _index: 'logs', _id: 7 } }, document, { create: {} }, '{}');
  const sent = door.send('/_bulk', gzipSync(body), { 'Content-Encoding': 'gzip' });
  t.equal(await door.accept(), `${document}\n{}\n`);
  const { status, headers, body: answer } = await sent;
  t.equal(status, 200);
  t.equal(headers.get('x-elastic-product'), 'Elasticsearch');
  t.match(answer, {
    errors: false,
    items: [
      { index: { _index: 'logs', _id: '7', status: 201, result: 'created' } },
      { create: { _id: /^[\w-]{14}/, status: 201 } },
    ],
  });
});

t.test(
  'items that cannot be taken are answered one by one, and the others are stored',
  async (t) => {
    const door = await startInput(t, {}, { messageBytesMax: 64 });
    const body = bulk(
      { index: {} },
      { good: 1 },
      { index: {} },
      '{"bad":}',
      { index: {} },
      '[1]',
      { update: { _id: '1' } },
      { doc: {} },
      { delete: { _id: '1' } },
      { create: {} },
      { long: 'x'.repeat(64) },
      { create: {} },
      { good: 2 },
      '',
    );
    const sent = door.send('/things/_bulk', body);
    t.equal(await door.accept(), '{"good":1}\n{"good":2}\n');
    const { errors, items } = (await sent).body as BulkAnswer;
    t.equal(errors, true);
    t.match(items, [
      { index: { _index: 'things', status: 201 } },
      { index: { status: 400, error: { type: 'document_parsing_exception', reason: /byte 7/ } } },
      { index: { status: 400, error: { reason: /expected an object/ } } },
      { update: { status: 400, error: { reason: /update is not possible/ } } },
      { delete: { status: 400, error: { reason: /delete is not possible/ } } },
      { create: { status: 413, error: { type: 'document_too_large', reason: /more than 64/ } } },
      { create: { status: 201 } },
    ]);
    t.equal(items.length, 7);
    const short = await door.send('/_bulk?filter_path=errors,items.*.error', bulk({ delete: {} }));
    t.same(Object.keys((short.body as BulkAnswer).items[0]?.['delete'] ?? {}), ['status', 'error']);
  },
);

t.test(
  'when a part of the documents is not accepted, its items are to be sent again',
  async (t) => {
    const door = await startInput(t, {}, { messageBytesMax: 16, batchBytesMax: 16 });
    const action = { index: {} };
    const sent = door.send('/_bulk', bulk(action, '{"n":10001}', action, '{"n":10002}'));
    const batches = [await door.next(), await door.next()];
    await batches[0]?.nack(new Error('no'));
    await batches[1]?.ack();
    const { body } = await sent;
    t.match(body, {
      errors: true,
      items: [
        { index: { status: 429, error: { type: 'es_rejected_execution_exception' } } },
        { index: { status: 201 } },
      ],
    });
    const all = door.send('/_bulk', bulk(action, '{}'));
    await (await door.next()).nack(new Error('no'));
    const refused = await all;
    t.equal(refused.status, 503);
    t.equal(refused.headers.get('retry-after'), '1');
    t.match(refused.body, {
      status: 503,
      error: { type: 'unavailable_exception', root_cause: [{}] },
    });
  },
);

t.test('a body whose lines cannot be told apart is refused as a whole', async (t) => {
  const door = await startInput(t, { body_bytes_max: 1024 });
  const good = bulk({ index: {} }, '{}');
  for (const [name, body, status, reason] of [
    ['nothing', '', 400, /empty/],
    ['blank lines', '\n\n', 400, /no items/],
    ['no action', `${good}{"a":1}\n{}\n`, 400, /^Line 3 of the body is not an action/],
    ['another action', '{"upsert":{}}\n{}\n', 400, /its action is "upsert"/],
    ['two actions', '{"index":{},"create":{}}\n{}\n', 400, /one action only/],
    ['no JSON', `${good}plain\n`, 400, /Line 3/],
    ['no document', `${good}{"index":{}}\n`, 400, /Line 3 .*no document follows/],
    ['not UTF-8', Buffer.from([0x7b, 0xff, 0x0a]), 400, /UTF-8/],
    ['too large', good.repeat(100), 413, /more than 1024 bytes/],
  ] as const) {
    const answer = await door.send('/_bulk', body);
    t.equal(answer.status, status, name);
    t.match(answer.body, { status, error: { reason } }, name);
  }
});

t.test(
  'a category can come from the index, and the action can stay with the document',
  async (t) => {
    const given = { category_from: 'index_without_date', keep_action: true };
    const door = await startInput(t, given);
    const body = bulk(
      { create: { _index: 'nginx-2026.11.25', _id: 'a"b' } },
      '{"x":1}',
      { create: { _index: 'app.log' } },
      '{}',
      { create: { _index: 'nginx-2026.11.26' } },
      '{ }',
    );
    const sent = door.send('/_bulk', body);
    const batches = [await door.next(), await door.next()];
    t.same(
      batches.map(({ category, bytes }) => [category, Buffer.from(bytes).toString()]),
      [
        [
          'nginx',
          '{"_index":"nginx-2026.11.25","_id":"a\\"b","x":1}\n{"_index":"nginx-2026.11.26" }\n',
        ],
        ['app_log', '{"_index":"app.log"}\n'],
      ],
    );
    for (const batch of batches) await batch.ack();
    t.match((await sent).body, { errors: false });
  },
);

t.test('single documents are taken, also over several lines', async (t) => {
  const door = await startInput(t, {}, { messageBytesMax: 32 });
  for (const [method, path] of [
    ['POST', '/logs/_doc'],
    ['PUT', '/logs/_doc/1'],
    ['PUT', '/logs/_create/1'],
    ['POST', '/system/events'],
  ] as const) {
    const sent = door.send(path, '{\n  "a": 1\n}', {}, { method });
    t.equal(await door.accept(), '{"a":1}\n', path);
    t.match(await sent, { status: 201, body: { _index: /logs|system/, result: 'created' } });
  }
  for (const [body, status, reason] of [
    ['[1]', 400, /not an object/],
    ['{"a"}', 400, /":" behind the name/],
    [`{"a":"${'x'.repeat(32)}"}`, 413, /more than 32 bytes/],
  ] as const) {
    const answer = await door.send('/logs/_doc', body);
    t.match(answer, { status, body: { error: { reason } } });
  }
});

t.test('what clients ask before they send is answered', async (t) => {
  const door = await startInput(t, { version: '9.1.0' });
  const ask = (path: string, method = 'GET'): ReturnType<TestDoor['send']> =>
    door.send(path, undefined, {}, { method });
  t.match((await ask('/')).body, { version: { number: '9.1.0', build_flavor: 'default' } });
  const head = await ask('/', 'HEAD');
  t.equal(head.status, 200);
  t.equal(head.headers.get('x-elastic-product'), 'Elasticsearch');
  for (const [path, body] of [
    ['/_cluster/health', { status: 'green' }],
    ['/_license', { license: { type: 'basic', status: 'active' } }],
    ['/_xpack', { features: { ilm: { available: true } } }],
    ['/_nodes/http', { nodes: { chukcha: { http: { publish_address: new URL(door.url).host } } } }],
    ['/_index_template/filebeat-8', { index_templates: [{ name: 'filebeat-8' }] }],
    ['/_template/logstash', { logstash: {} }],
    ['/_component_template/x', { component_templates: [{ name: 'x' }] }],
    ['/_ilm/policy/filebeat', { filebeat: { policy: {} } }],
    ['/_ingest/pipeline/p', { p: { processors: [] } }],
    ['/_data_stream/d', { data_streams: [{ name: 'd' }] }],
    ['/logs', { logs: { mappings: {} } }],
    ['/logs/_refresh', { _shards: { failed: 0 } }],
  ] as const) {
    t.match(await ask(path), { status: 200, body }, path);
  }
  t.match((await ask('/_cat/health')).text, /green/);
  for (const path of ['/_index_template/x', '/_ilm/policy/x', '/logs']) {
    t.match(await door.send(path, '{}', {}, { method: 'PUT' }), {
      status: 200,
      body: { acknowledged: true },
    });
  }
  await door.log.waitFor(
    'A client has set up something of Elasticsearch, which means nothing here.',
  );
  for (const [path, method] of [
    ['/logs/_search', 'POST'],
    ['/_cat/indices', 'GET'],
    ['/logs', 'DELETE'],
    ['/_security/user', 'GET'],
  ] as const) {
    const answer = await ask(path, method);
    t.equal(answer.status, 404, path);
    t.match(answer.body, { error: { reason: /documents are only taken: expected POST/ } });
  }
  t.match(await ask('/%E0%A4%A', 'GET'), { status: 400, body: { error: { reason: /%XX/ } } });
});

t.test('wrong credentials are told in the words of Elasticsearch', async (t) => {
  const door = await startInput(t, { users: ['elastic:changeme'] });
  t.match(await door.send('/_bulk', '{}'), {
    status: 401,
    body: { error: { type: 'security_exception', reason: /no credentials/ } },
  });
});

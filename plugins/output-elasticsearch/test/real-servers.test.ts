// Against real servers, put together from the jars that OpenSearch and Elasticsearch publish.
import { pluginErrorKind } from '@chukcha/plugin-api';
import { outputConformance } from '@chukcha/plugin-api/conformance';
import t from 'tap';
import { createModule } from '../src/elasticsearch-output.js';
import { messageOf } from './support/document-bytes.js';
import { createBatch, createContext, never, openOutput } from './support/open-output.js';
import { reasonWithoutServer, SearchServer } from './support/search-server.js';

/** A server alone takes up to a minute to start on a busy machine. */
const testMsMax = 240_000;

/** One shard, so that documents have one order. */
const template = {
  index_patterns: ['*'],
  priority: 0,
  template: { settings: { number_of_shards: 1, number_of_replicas: 0 } },
};

for (const product of ['opensearch', 'elasticsearch'] as const) {
  t.test(product, { skip: reasonWithoutServer(product), timeout: testMsMax }, async (t) => {
    const server = await SearchServer.start(product, { 'http.max_content_length': '2mb' });
    t.teardown(() => server.close());
    await server.call('PUT', '/_index_template/one-shard', template);
    const open = (options: object = {}) => openOutput({ hosts: server.host, ...options });

    t.test('conformance', async (t) => {
      let count = 0;
      const createTarget = async () => {
        count += 1;
        const index = `conformance-${count}`;
        return {
          open: () => open({ index }),
          received: async () => {
            const exists = await fetch(`http://${server.host}/${index}`, { method: 'HEAD' });
            if (exists.status === 404) return Buffer.alloc(0);
            return Buffer.concat((await server.sources(index)).map(messageOf));
          },
          close: async () => undefined,
        };
      };
      for (const { name, run } of outputConformance({ createTarget })) {
        // Tens of thousands of documents can take a real server longer than the suite waits: the next test has them, and the
        // recorder's conformance.
        if (!/4 MiB|does not need/.test(name)) t.test(name, run);
      }
    });

    t.test('a MiB that is no text is stored whole', async (t) => {
      const output = await open({ index: 'whole' });
      const bytes = Buffer.alloc(1024 * 1024, 0xfe);
      for (let at = 99; at < bytes.length; at += 100) bytes[at] = 0x0a;
      bytes[bytes.length - 1] = 0x0a;
      t.equal(await output.write(createBatch(bytes), never), undefined);
      const received = (await server.sources('whole')).map(messageOf);
      t.ok(Buffer.concat(received).equals(bytes));
    });

    t.test('a batch that comes again is stored once', async (t) => {
      const output = await open({ index: 'again' });
      const batch = createBatch('{"n":1}\nplain text\n{"n":3}\n');
      for (let round = 0; round < 3; round += 1)
        t.equal(await output.write(batch, never), undefined);
      t.same((await server.sources('again')).map(String), [
        '{"n":1}',
        '{"message":"plain text"}',
        '{"n":3}',
      ]);
      const later = createBatch('{"n":1}\n', 0, 'node1-chunk000000001');
      t.equal(await output.write(later, never), undefined);
      t.equal(await server.count('again'), 4);
    });

    t.test(
      'documents that do not fit are named with the reason, and the others are stored',
      async (t) => {
        const output = await open({ index: 'typed' });
        await server.call('PUT', '/typed', { mappings: { properties: { n: { type: 'long' } } } });
        const lines = [
          '{"n":1}',
          '{"n":"many"}',
          '{"n":{"a":1}}',
          '{"n":2',
          '{"n":2}',
          '{"x":"\xff"}',
          '{"n":3}',
        ];
        const outcome = await output.write(
          createBatch(Buffer.from(`${lines.join('\n')}\n`, 'latin1')),
          never,
        );
        t.same(
          outcome?.failures.map(({ index, kind }) => [index, kind]),
          [
            [1, 'data'],
            [2, 'data'],
            [5, 'data'],
          ],
        );
        t.match(
          outcome?.failures[0]?.reason,
          /400: mapper_parsing_exception: failed to parse field \[n\] of type \[long\]/,
        );
        t.equal(await server.count('typed'), 4);
        const strict = { mappings: { dynamic: 'strict', properties: { n: { type: 'long' } } } };
        await server.call('PUT', '/strict', strict);
        const strictOutput = await open({ index: 'strict' });
        const strictOutcome = await strictOutput.write(createBatch('{"n":1}\n{"m":1}\n'), never);
        t.match(strictOutcome, {
          failures: [{ index: 1, kind: 'data', reason: /strict_dynamic_mapping_exception/ }],
        });
      },
    );

    t.test('a request above the limit of the server is split', async (t) => {
      const output = await open({ index: 'large' });
      const line = `{"text":"${'x '.repeat(2_000)}"}\n`;
      const batch = createBatch(line.repeat(1_000));
      t.equal(
        await output.write(batch, never),
        undefined,
        `${batch.bytes.length} bytes go where 2 MiB are taken at a time`,
      );
      t.equal(await server.count('large'), 1_000);
      const tooLong = `{"n":1}\n{"text":"${'x '.repeat(1_500_000)}"}\n`;
      const outcome = await output.write(createBatch(tooLong, 0, 'node1-chunk000000001'), never);
      t.match(outcome, {
        failures: [{ index: 1, kind: 'data', reason: /takes no request of 3\d{6} bytes/ }],
      });
      t.equal(await server.count('large'), 1_001);
    });

    t.test('indexes by date, gzip, ids of fields', async (t) => {
      const output = await open({
        index: 'dated-{yyyy.MM}',
        gzip: true,
        id_field: 'key',
        action: 'index',
      });
      const lines = [
        '{"@timestamp":"2026-01-01T00:00:00Z","key":"a","v":1}',
        '{"@timestamp":"2026-02-01T00:00:00Z","key":"a"}',
        '{"@timestamp":"2026-01-02T00:00:00Z","key":"a","v":2}',
      ];
      t.equal(await output.write(createBatch(`${lines.join('\n')}\n`), never), undefined);
      t.same((await server.sources('dated-2026.01')).map(String), [lines[2]]);
      t.equal(await server.count('dated-2026.02'), 1);
    });

    t.test('a closed index and one that may not be created wait for a person', async (t) => {
      const output = await open({ index: 'closed' });
      await output.write(createBatch('{"n":1}\n'), never);
      await server.call('POST', '/closed/_close');
      const failing = async (index: string, pattern: RegExp): Promise<void> => {
        const target = await open({ index });
        const error = await target
          .write(createBatch('{"n":1}\n', 8), never)
          .catch((thrown: unknown) => thrown);
        t.equal(pluginErrorKind(error), 'operator', String(error));
        t.match(error, { message: pattern });
      };
      await failing('closed', /index_closed_exception/);
      await server.call('POST', '/closed/_open');
      t.equal(await output.write(createBatch('{"n":1}\n', 8), never), undefined, 'and it goes on');
      await server.call('PUT', '/_cluster/settings', {
        transient: { 'action.auto_create_index': 'false' },
      });
      await failing('absent', /index_not_found_exception.*absent/);
      const steps = await check(server, { index: 'absent' });
      const step = steps.find(({ name }) => name === 'index');
      t.match(step, {
        result: 'failed',
        detail: /creates none by itself/,
        fix: new RegExp(`^curl -X PUT 'http://${server.host}/absent'$`),
      });
      await server.call('PUT', '/_cluster/settings', {
        transient: { 'action.auto_create_index': null },
      });
      await server.call('PUT', '/closed/_settings', { 'index.blocks.write': true });
      await failing('closed', /cluster_block_exception/);
      const blocked = (await check(server, { index: 'closed' })).find(
        ({ name }) => name === 'index',
      );
      t.match(blocked, { result: 'failed', detail: /does not take writes/ });
      await runFix(server, blocked?.fix);
      t.equal(
        await output.write(createBatch('{"n":1}\n', 16), never),
        undefined,
        'the fix of check mends it',
      );
    });

    t.test('check compares the sample with the mapping, and its fix mends it', async (t) => {
      await server.call('PUT', '/checked', {
        mappings: { dynamic: 'strict', properties: { n: { type: 'long' } } },
      });
      const sample = '{"n":1,"name":"it\'s","deep":{"x":1.5}}\n';
      const failed = (await check(server, { index: 'checked' }, sample)).at(-2);
      t.match(failed, {
        name: 'mapping',
        result: 'failed',
        detail: /strict and lacks fields of the sample: name, deep\.x/,
      });
      const output = await open({ index: 'checked' });
      t.match(await output.write(createBatch(sample), never), { failures: [{ kind: 'data' }] });
      await runFix(server, failed?.fix);
      t.same(
        (await check(server, { index: 'checked' }, sample)).filter(({ result }) => result !== 'ok'),
        [],
      );
      t.equal(await output.write(createBatch(sample), never), undefined);
      const misfit = (await check(server, { index: 'checked' }, '{"n":"many"}\n')).at(-2);
      t.match(misfit, {
        name: 'mapping',
        result: 'failed',
        detail: /n is long and the sample has "many"/,
      });
      const absent = await check(server, { index: 'not-yet' }, sample);
      t.same(
        absent.map(({ name, result }) => `${name} ${result}`),
        ['reachable ok', 'version ok', 'authentication ok', 'index ok', 'rights ok'],
      );
      t.match(absent[1]?.detail, product === 'opensearch' ? /OpenSearch 2/ : /Elasticsearch 7/);
      t.equal((await fetch(`http://${server.host}/not-yet`)).status, 404, 'nothing was created');
    });

    // Of Elasticsearch, data streams are in a part that is not published for embedding.
    t.test(
      'a data stream',
      { skip: product === 'elasticsearch' && 'not in the published jars' },
      async (t) => {
        await server.call('PUT', '/_index_template/streams', {
          index_patterns: ['stream-*'],
          priority: 10,
          data_stream: {},
        });
        const output = await open({ index: 'stream-logs' });
        const batch = createBatch('{"@timestamp":"2026-01-01T00:00:00Z","n":1}\n{"n":2}\n');
        const outcome = await output.write(batch, never);
        t.match(outcome, { failures: [{ index: 1, kind: 'data', reason: /@timestamp/ }] });
        await output.write(batch, never);
        t.equal(await server.count('stream-logs'), 1, 'a repetition is stored once');
        const steps = await check(server, { index: 'stream-logs' }, '{"n":2}\n');
        t.match(
          steps.find(({ name }) => name === 'index'),
          { detail: /is a data stream of 1 backing index/ },
        );
        t.match(
          steps.find(({ name }) => name === 'data stream'),
          { result: 'failed', detail: /no field @timestamp/ },
        );
        const replacing = await open({ index: 'stream-logs', action: 'index' });
        const error = await replacing.write(batch, never).catch((thrown: unknown) => thrown);
        t.equal(pluginErrorKind(error), 'operator', String(error));
        await server.call('POST', '/stream-logs/_rollover');
        await output.write(batch, never);
        t.equal(
          await server.count('stream-logs'),
          2,
          'after a rollover a repetition is stored again, as documented',
        );
      },
    );

    t.test('a server that is killed is waited for, and has everything once', async (t) => {
      const output = await open({ index: 'killed' });
      const chunks = Array.from({ length: 20 }, (_, index) =>
        createBatch('{"n":1}\n'.repeat(500), index * 4_000),
      );
      const down = server.kill.bind(server);
      let failures = 0;
      for (const [index, batch] of chunks.entries()) {
        const write = output.write(batch, never);
        if (index === 10) await Promise.all([down(), write.catch(() => undefined)]);
        for (let isFirst = true; ; isFirst = false) {
          try {
            await (isFirst && index !== 10 ? write : output.write(batch, never));
            break;
          } catch (error) {
            failures += 1;
            t.equal(pluginErrorKind(error), 'transient', String(error));
            await server.restart();
          }
        }
      }
      t.ok(failures > 0);
      t.equal(await server.count('killed'), 10_000);
    });
  });
}

async function check(server: SearchServer, options: object, sample = '') {
  const steps = [];
  const module = createModule('CHUKCHA_TEST');
  for await (const step of module.check?.(
    { hosts: server.host, ...options },
    createContext(sample),
  ) ?? []) {
    steps.push(step);
  }
  return steps;
}

/** Does what the command of a fix says, without needing the program that it names. */
async function runFix(server: SearchServer, fix = ''): Promise<void> {
  const parts =
    /^curl -X (\w+) 'http:\/\/[^/]+(\/[^']*)' -H 'content-type: application\/json' -d '(.*)'$/.exec(
      fix,
    );
  if (parts === null) throw new Error(`not a command with a body: ${fix}`);
  const [, method = '', path = '', body = ''] = parts;
  await server.call(method, path, JSON.parse(body.replaceAll("'\\''", "'")) as object);
}

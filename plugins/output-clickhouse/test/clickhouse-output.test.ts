import { gunzipSync } from 'node:zlib';
import {
  type CheckStep,
  type Output,
  type PluginError,
  type PluginOptions,
  pluginErrorKind,
} from '@chukcha/plugin-api';
import {
  createTestLog,
  createTestOutputContext,
  outputConformance,
} from '@chukcha/plugin-api/conformance';
import { ClickHouseLogLevel, createClient } from '@clickhouse/client';
import t from 'tap';
import { check, open } from '../src/clickhouse-output.js';
import { errorMeanings } from '../src/error-classes.js';
import { FaultProxy } from './support/fault-proxy.js';
import { createBatch, withDefaults } from './support/plugin-options.js';
import { reasonWithoutEngine, TestClickHouse } from './support/test-clickhouse.js';

const skip = reasonWithoutEngine();
const never = new AbortController().signal;

if (skip !== false) {
  t.comment(`SKIPPED: ${skip}`);
  t.test('the output against a real engine', { skip }, (t) => t.end());
} else {
  const clickhouse = await TestClickHouse.start();
  const proxy = await FaultProxy.start(clickhouse.port);
  t.teardown(async () => {
    await proxy.close();
    await clickhouse.close();
  });
  await runTests(clickhouse, proxy);
}

async function runTests(clickhouse: TestClickHouse, proxy: FaultProxy): Promise<void> {
  let tableCount = 0;
  const openHere = (options: PluginOptions, sample = ''): Promise<Output> =>
    open(
      withDefaults({ host: '127.0.0.1', port: proxy.port, ...options }),
      createTestOutputContext({ sample: async () => Buffer.from(sample) }),
    );
  const createTable = async (columns = 'id UInt64, message String'): Promise<string> => {
    tableCount += 1;
    const table = `t${tableCount}`;
    await clickhouse.ask(
      `CREATE TABLE ${table} (${columns}) ENGINE = MergeTree ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 100`,
    );
    return table;
  };
  const count = async (table: string): Promise<number> =>
    Number(await clickhouse.ask(`SELECT count() FROM ${table}`));
  const checkHere = async (options: PluginOptions, sample = ''): Promise<CheckStep[]> => {
    const steps: CheckStep[] = [];
    const context = createTestOutputContext({ sample: async () => Buffer.from(sample) });
    const given = withDefaults({ host: '127.0.0.1', port: proxy.port, ...options });
    for await (const step of check(given, context)) steps.push(step);
    return steps;
  };
  const row = (id: number | string, message = `m${id}`): string => JSON.stringify({ id, message });

  await t.test('the conformance suite, with lines of text', async (t) => {
    const createTarget = async () => {
      tableCount += 1;
      const table = `t${tableCount}`;
      await clickhouse.ask(
        `CREATE TABLE ${table} (message String, at UInt64 DEFAULT rowNumberInAllBlocks()) ENGINE = MergeTree ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 100`,
      );
      return {
        open: (context: Parameters<typeof open>[1]) =>
          open(
            withDefaults({ host: '127.0.0.1', port: clickhouse.port, table, format: 'text' }),
            context,
          ),
        received: async () => {
          const hex = await clickhouse.ask(
            `SELECT hex(message) FROM ${table} ORDER BY _part, _part_offset`,
          );
          if (hex === '' && (await count(table)) === 0) return new Uint8Array();
          return Buffer.concat(
            hex.split('\n').map((line) => Buffer.concat([Buffer.from(line, 'hex'), Buffer.of(10)])),
          );
        },
        close: async () => undefined,
      };
    };
    for (const { name, run } of outputConformance({ createTarget })) await t.test(name, run);
  });

  await t.test(
    'JSON travels as the bytes that it is, by one insert named by the token',
    async (t) => {
      const table = await createTable();
      for (const compression of ['none', 'gzip']) {
        const output = await openHere({ table, compression });
        const messages = [row(1), `{ "message" : "\\u00e4 ${'long '.repeat(400)}" , "id":2}`];
        const batch = createBatch(messages);
        proxy.next();
        t.equal(await output.write(batch, never), undefined);
        t.equal(proxy.inserts.length, 1);
        const [{ body, headers, parameters } = never0()] = proxy.inserts;
        const isCompressed = headers['content-encoding'] === 'gzip';
        t.equal(isCompressed, compression === 'gzip');
        t.same(isCompressed ? gunzipSync(body) : body, batch.bytes);
        t.equal(parameters.get('insert_deduplication_token'), batch.token);
        t.equal(parameters.get('wait_end_of_query'), '1');
        t.equal(parameters.get('async_insert'), '0');
        t.equal(parameters.get('query'), `INSERT INTO default.${table} FORMAT JSONEachRow`);
        await output.close();
      }
      t.equal(await count(table), 4);
    },
  );

  await t.test(
    'a batch that comes again is stored once, by the same or another process',
    async (t) => {
      const table = await createTable();
      const batch = createBatch([row(1), row(2)]);
      for (let run = 0; run < 3; run += 1) {
        const output = await openHere({ table });
        await output.write(batch, never);
        await output.write(batch, never);
        await output.close();
      }
      t.equal(await count(table), 2);
      const output = await openHere({ table, deduplicate: false });
      await output.write(batch, never);
      await output.close();
      t.equal(await count(table), 4, 'the test can see what is stored twice');
    },
  );

  await t.test('an insert whose answer is lost is tried again and stored once', async (t) => {
    const table = await createTable();
    const output = await openHere({ table });
    const impatient = await openHere({ table, timeout_seconds: 2 });
    let rows = 0;
    for (const fault of ['drop', 'half', 'hang', 500, 503, 429, 408] as const) {
      const batch = createBatch([row(1), row(2)]);
      proxy.next(fault);
      const error = await thrownBy((fault === 'hang' ? impatient : output).write(batch, never));
      t.equal(pluginErrorKind(error), 'transient', `${fault}: ${error.message}`);
      await output.write(batch, never);
      rows += 2;
      t.equal(await count(table), rows, `${fault}`);
    }
    await impatient.close();
    await output.close();
  });

  await t.test(
    'an aborted insert ends soon, and its batch is stored once by the next try',
    async (t) => {
      const table = await createTable();
      const output = await openHere({ table });
      const batch = createBatch([row(1)]);
      proxy.next('hang');
      const abort = new AbortController();
      const write = output.write(batch, abort.signal);
      while ((await count(table)) === 0) await new Promise((resolve) => setImmediate(resolve));
      abort.abort(new Error('given up'));
      t.match(await thrownBy(write), { message: 'given up' });
      await output.write(batch, never);
      t.equal(await count(table), 1);
      await output.close();
    },
  );

  await t.test('a server that is down, killed or started late is waited for', async (t) => {
    const table = await createTable();
    const late = await FaultProxy.start(clickhouse.port);
    const { port } = late;
    await late.close();
    const log = createTestLog();
    const output = await open(
      withDefaults({ host: '127.0.0.1', port, table }),
      createTestOutputContext({ log }),
    );
    t.match(log.entries, [{ level: 'warn', fields: { reason: /ECONNREFUSED.*asked again/ } }]);
    t.equal(
      pluginErrorKind(await thrownBy(output.write(createBatch([row(1)]), never))),
      'transient',
    );
    await output.close();

    const other = await openHere({ table });
    const batch = createBatch([row(1)]);
    await other.write(batch, never);
    await clickhouse.kill();
    t.equal(pluginErrorKind(await thrownBy(other.write(batch, never))), 'transient');
    await clickhouse.restart();
    await other.write(batch, never);
    t.equal(await count(table), 1, 'the token outlives a kill of the server');
    await other.close();
  });

  await t.test(
    'a bad row in 100,000 is found by its number, and the others are stored',
    async (t) => {
      const table = await createTable();
      const output = await openHere({ table, compression: 'none' });
      const messages = Array.from({ length: 100_000 }, (_, id) => row(id, 'x'.repeat(20)));
      messages[50_000] = '{"id":"fifty thousand","message":"bad"}';
      const batch = createBatch(messages);
      proxy.next();
      const outcome = await output.write(batch, never);
      t.match(outcome, {
        failures: [{ index: 50_000, reason: /ClickHouse: .*key id.*\(code 27, CANNOT_PARSE/ }],
      });
      t.equal(outcome?.failures.length, 1);
      t.equal(await count(table), 99_999);
      t.equal(await clickhouse.ask(`SELECT sum(id) FROM ${table}`), String(4_999_950_000 - 50_000));
      t.ok(proxy.inserts.length <= 3, `${proxy.inserts.length} inserts`);
      t.same(await output.write(batch, never), outcome, 'the same again');
      t.equal(await count(table), 99_999);
      await output.close();
    },
  );

  await t.test('several bad rows of every kind are named, and the others are stored', async (t) => {
    const table = await createTable('id UInt64, time DateTime64(3), message String');
    const output = await openHere({ table });
    const bad = [
      'not json',
      '',
      '{"id":"x"}',
      '   ',
      '{"id":1,"message":"cut',
      '[1,2]',
      '{"id":1} trailing',
      '{"id":1,"time":"yesterday"}',
      '{"id":1,"id":2}',
      '"text"',
      '{"id":-1}',
      '{"id":1,',
    ];
    const messages = bad.flatMap((text, index) => [row(2 * index), row(2 * index + 1), text]);
    const outcome = await output.write(createBatch(messages), never);
    t.same(
      outcome?.failures.map(({ index }) => index),
      bad.map((_, index) => 3 * index + 2),
    );
    for (const { reason, kind } of outcome?.failures ?? []) {
      t.match(reason, /ClickHouse: .*code \d+, [A-Z_]+|no JSON object: it begins with|is empty/);
      t.equal(kind, undefined);
    }
    t.equal(await count(table), 2 * bad.length);
    t.equal(await clickhouse.ask(`SELECT uniqExact(id) FROM ${table}`), String(2 * bad.length));
    const alone = await output.write(createBatch(['{"id":"x"}']), never);
    t.match(alone, { failures: [{ index: 0, reason: /CANNOT_PARSE/ }] });
    t.equal(await output.write(createBatch([row(1)]), never), undefined);
    await output.close();
  });

  await t.test('what the server reads in its own way is judged by the server', async (t) => {
    const table = await createTable('id Float64, message String');
    const output = await openHere({ table });
    const lenient = ['{"id":1}{"id":1.5}', row(1), '{"id":2},', '{"id":"x"}', row(3)];
    t.match(await output.write(createBatch(lenient), never), { failures: [{ index: 3 }] });
    t.equal(await count(table), 5, 'what the server takes is no dead letter');
    await output.close();
  });

  await t.test('a rest whose answer is lost is sent again as the same rest', async (t) => {
    const table = await createTable();
    const output = await openHere({ table });
    const batch = createBatch([row(1), '{"id":"x"}', row(2)]);
    proxy.next('pass', 'drop');
    t.equal(pluginErrorKind(await thrownBy(output.write(batch, never))), 'transient');
    t.equal(await count(table), 2);
    proxy.inserts.length = 0;
    t.match(await output.write(batch, never), { failures: [{ index: 1 }] });
    t.equal(proxy.inserts.length, 1, 'the whole is not tried again');
    t.equal(await count(table), 2);
    t.match(await output.write(batch, never), { failures: [{ index: 1 }] });
    t.equal(await count(table), 2, 'also when the whole is tried again, as after a kill');
    await output.close();
  });

  await t.test('only what is still to be delivered is sent', async (t) => {
    const table = await createTable();
    const output = await openHere({ table });
    const batch = { ...createBatch([row(1), row(2), row(3), '{"id":"x"}', '']), only: [0, 2, 3] };
    t.match(await output.write(batch, never), { failures: [{ index: 3 }] });
    t.match(await output.write(batch, never), { failures: [{ index: 3 }] });
    t.equal(await clickhouse.ask(`SELECT groupArray(id) FROM ${table}`), '[1,3]');
    await output.close();
  });

  await t.test('many bad rows are left to the host, which halves the batch', async (t) => {
    const table = await createTable();
    const output = await openHere({ table });
    const messages = Array.from({ length: 80 }, (_, id) => row(id % 2 === 0 ? id : 'bad'));
    proxy.next();
    t.equal(pluginErrorKind(await thrownBy(output.write(createBatch(messages), never))), 'data');
    t.ok(proxy.inserts.length <= 34, `${proxy.inserts.length} inserts`);
    t.equal(await count(table), 0);
    t.equal(await halve(output, messages), 40);
    t.equal(await count(table), 40);
    await output.close();
  });

  await t.test('a constraint is a matter of rows, and so is a computed column', async (t) => {
    const table = await createTable(
      'id UInt64, message String, length UInt8 MATERIALIZED toUInt8(message), CONSTRAINT small CHECK id < 100',
    );
    const output = await openHere({ table });
    const batch = createBatch([row(1, '1'), row(100, '1'), row(2, '2')]);
    t.match(await output.write(batch, never), {
      failures: [{ index: 1, reason: /small.*violated/ }],
    });
    t.equal(await count(table), 2);
    const messages = [row(3, '3'), row(4, 'four'), row(5, '5')];
    const error = await thrownBy(output.write(createBatch(messages), never));
    t.equal(pluginErrorKind(error), 'data', 'no row is named there');
    t.equal(await halve(output, messages), 1);
    t.equal(await count(table), 4);
    await output.close();
  });

  await t.test('a view that fails is for a person, because the table has the rows', async (t) => {
    const table = await createTable('id UInt64, message String');
    await clickhouse.ask(
      `CREATE MATERIALIZED VIEW v_${table} ENGINE = MergeTree ORDER BY n AS SELECT toUInt64(message) AS n FROM ${table}`,
    );
    const output = await openHere({ table });
    const error = await thrownBy(output.write(createBatch([row(1, '1'), row(2, 'x')]), never));
    t.equal(pluginErrorKind(error), 'operator');
    t.match(error.message, /pushing to view.*mend the view/);
    await output.close();
  });

  await t.test(
    'a key without a column stops the output, which goes on when it is there',
    async (t) => {
      const table = await createTable();
      const messages = [
        row(1),
        '{"id":2,"message":"m","place":"Köln","size":1.5}',
        '{"id":3,"zone":true}',
      ];
      const batch = createBatch(messages);
      const output = await openHere({ table });
      for (const [column, type] of [
        ['place', 'String'],
        ['size', 'Float64'],
        ['zone', 'Bool'],
      ]) {
        const error = await thrownBy(output.write(batch, never));
        t.equal(pluginErrorKind(error), 'operator');
        const fix = `ALTER TABLE default.${table} ADD COLUMN ${column} ${type}`;
        t.ok(error.message.includes(fix), error.message);
        t.equal(await count(table), 0);
        await clickhouse.ask(fix);
      }
      t.equal(await output.write(batch, never), undefined);
      t.equal(await count(table), 3);
      await output.close();

      const other = await createTable();
      const strict = await openHere({ table: other, unknown_fields: 'dead_letter' });
      t.match(await strict.write(batch, never), { failures: [{ index: 1 }, { index: 2 }] });
      t.equal(await count(other), 1);
      await strict.close();
      const lax = await openHere({ table: other, unknown_fields: 'skip' });
      t.equal(await lax.write(createBatch(messages), never), undefined);
      t.equal(await count(other), 4);
      await lax.close();
    },
  );

  await t.test(
    'a wrong password stops the output, shows no secret, and can be mended',
    async (t) => {
      const table = await createTable();
      const secret = 'pässword: "x" & more';
      await clickhouse.setPassword(secret);
      const right = await openHere({ table, password: secret });
      await right.write(createBatch([row(1)]), never);
      const error = await thrownBy(openHere({ table, password: 'wrong-secret' }));
      t.equal(pluginErrorKind(error), 'operator');
      t.match(error.message, /Authentication failed.*CLICKHOUSE_PASSWORD/);
      t.notMatch(JSON.stringify([error, error.stack, error.cause]), /wrong-secret/);
      const [step, ...others] = await checkHere({ table, password: 'wrong-secret' });
      t.match(step, { name: 'user', result: 'failed', detail: /CLICKHOUSE_PASSWORD/ });
      t.same(others, []);

      await clickhouse.setPassword('changed');
      const batch = createBatch([row(2)]);
      t.equal(pluginErrorKind(await thrownBy(right.write(batch, never))), 'operator');
      await clickhouse.setPassword(secret);
      await right.write(batch, never);
      await right.close();
      t.equal(await count(table), 2);
      await clickhouse.setPassword('');
    },
  );

  await t.test(
    'a missing table, database or column is said with what mends it, and mended',
    async (t) => {
      const messages = [
        '{"id":"a","time":"2026-01-02T03:04:05.678Z","level":3,"ok":true,"rate":0.5,"big":18446744073709551615,"tags":["x"],"message":"hello"}',
        '{"id":"b","time":"2026-01-02T03:04:06Z","level":null,"ok":false,"rate":2,"big":1,"tags":[],"message":"world","extra":1}',
      ];
      const sample = messages.map((message) => `${message}\n`).join('');
      const where = { database: 'odd name', table: 'odd-`table' };
      const error = await thrownBy(openHere(where, sample));
      t.equal(pluginErrorKind(error), 'operator');
      t.match(error.message, /CREATE DATABASE `odd name`;/);
      const [database] = (await checkHere(where, sample)).slice(-1);
      t.match(database, { name: 'database', result: 'failed' });
      await clickhouse.ask(database?.fix ?? '');

      const missing = await thrownBy(openHere(where, sample));
      const [step] = (await checkHere(where, sample)).slice(-1);
      t.match(step, { name: 'table', result: 'failed' });
      t.ok(missing.message.includes(step?.fix ?? '?'), missing.message);
      await clickhouse.ask(step?.fix ?? '');
      t.equal(
        await clickhouse.ask(
          "SELECT groupArray(name || ' ' || type) FROM system.columns WHERE table = 'odd-`table'",
        ),
        "['id String','time DateTime64(3)','level Nullable(Int64)','ok Bool','rate Float64','big UInt64','tags String','message String','extra Nullable(Int64)']".replace(
          'big UInt64',
          'big Float64',
        ),
      );
      const output = await openHere(where, sample);
      t.equal(await output.write(createBatch(messages), never), undefined);
      t.match(
        await clickhouse.ask("SELECT engine_full FROM system.tables WHERE name = 'odd-`table'"),
        /^ReplacingMergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = \d+/,
      );
      t.same(
        (await checkHere(where, sample)).map(({ name, result }) => `${name} ${result}`),
        [
          'reachable ok',
          'version ok',
          'table ok',
          'rights ok',
          'repetitions ok',
          'columns ok',
          'sample ok',
        ],
      );
      await output.close();
    },
  );

  await t.test('a dropped table is missed by the next batch, and a new one is taken', async (t) => {
    const table = await createTable();
    const output = await openHere({ table });
    await output.write(createBatch([row(1)]), never);
    await clickhouse.ask(`DROP TABLE ${table} SYNC`);
    const batch = createBatch([row(2)]);
    const error = await thrownBy(output.write(batch, never));
    t.equal(pluginErrorKind(error), 'operator');
    const fix = /Create the table: (CREATE TABLE .*); or use/.exec(error.message)?.[1] ?? '';
    await clickhouse.ask(fix);
    await output.write(batch, never);
    t.equal(await count(table), 1);
    await output.close();
  });

  await t.test(
    'a table is created by the sample, or by the first batch when there is none',
    async (t) => {
      const sample = `${row('a')}\n`;
      const output = await openHere({ table: 'made_by_sample', create_table: true }, sample);
      t.equal(await clickhouse.ask('EXISTS TABLE made_by_sample'), '1');
      await output.close();
      const late = await openHere({ table: 'made_by_batch', create_table: true });
      t.equal(await clickhouse.ask('EXISTS TABLE made_by_batch'), '0');
      for (let run = 0; run < 2; run += 1)
        await late.write(createBatch([row('a'), row('b')]), never);
      await late.close();
      t.equal(
        await clickhouse.ask('SELECT count(), uniqExact(id) FROM made_by_batch FINAL'),
        '2\t2',
      );
      const text = await openHere({
        table: 'made_of_text',
        create_table: true,
        format: 'text',
        column: 'line',
      });
      await text.write(createBatch(['plain', '{"not":"json"', '']), never);
      await text.close();
      t.equal(
        await clickhouse.ask('SELECT groupArray(line) FROM made_of_text'),
        `['plain','{"not":"json"','']`,
      );
      t.match(
        await clickhouse.ask("SELECT engine_full FROM system.tables WHERE name = 'made_of_text'"),
        /window = \d+/,
      );
      const mixed = await openHere({ table: 'mixed', create_table: true });
      t.match(await thrownBy(mixed.write(createBatch(['plain', row(1)]), never)), {
        kind: 'operator',
        message: /do not say what it is like.*Set format/,
      });
      await mixed.close();
      const noId = await openHere({ table: 'without_id', create_table: true });
      await noId.write(createBatch(['{"event":"a"}']), never);
      await noId.close();
      t.match(
        await clickhouse.ask("SELECT engine_full FROM system.tables WHERE name = 'without_id'"),
        /^MergeTree ORDER BY tuple/,
      );
    },
  );

  await t.test(
    'the format is chosen by the table, said once, and not against all messages',
    async (t) => {
      const log = createTestLog();
      const openLogged = (table: string) =>
        open(
          withDefaults({ host: '127.0.0.1', port: proxy.port, table }),
          createTestOutputContext({ log }),
        );
      const lines = await createTable('message String, received DateTime DEFAULT now()');
      const text = await openLogged(lines);
      await text.write(createBatch([row(1), 'plain']), never);
      await text.write(createBatch(['{']), never);
      await text.close();
      t.equal(await count(lines), 3);
      t.same(
        log.entries.map(({ fields }) => fields['format']),
        ['text'],
      );
      const table = await createTable();
      const json = await openLogged(table);
      const strangers = Array.from({ length: 20 }, (_, index) => `line ${index}`);
      t.match(await thrownBy(json.write(createBatch(strangers), never)), {
        kind: 'operator',
        message: /no JSON objects.*format=text/,
      });
      t.match(await json.write(createBatch(['line']), never), { failures: [{ index: 0 }] });
      await json.close();
    },
  );

  await t.test('check says what is wrong, and every statement it gives mends it', async (t) => {
    tableCount += 1;
    const table = `t${tableCount}`;
    await clickhouse.ask(`CREATE TABLE ${table} (id UInt64) ENGINE = MergeTree ORDER BY id`);
    const sample = `${row(1)}\n{"id":2,"message":"m","at":1}\n`;
    const steps = await checkHere({ table }, sample);
    t.match(
      steps.map(({ name, result }) => `${name} ${result}`),
      [
        'reachable ok',
        'version ok',
        'table ok',
        'rights ok',
        'repetitions warning',
        'columns failed',
      ],
    );
    for (const { fix } of steps) if (fix !== undefined) await clickhouse.ask(fix);
    const mended = await checkHere({ table }, sample);
    t.same(
      mended.filter(({ result }) => result !== 'ok'),
      [],
    );
    t.equal(await count(table), 0, 'it has stored nothing');
    const [last] = (await checkHere({ table }, `${row('x')}\n`)).slice(-1);
    t.match(last, { name: 'sample', result: 'warning', detail: /set aside.*key id/ });
    const lines = await createTable('message String');
    t.match((await checkHere({ table: lines })).at(-1), {
      name: 'columns',
      result: 'ok',
      detail: /text/,
    });
    const [noColumn] = (await checkHere({ table: lines, format: 'text', column: 'line' })).slice(
      -1,
    );
    t.match(noColumn, { result: 'failed' });
    const output = await openHere({ table: lines, format: 'text', column: 'line' });
    const error = await thrownBy(output.write(createBatch(['a']), never));
    t.ok(error.message.includes(noColumn?.fix ?? '?'), error.message);
    await clickhouse.ask(noColumn?.fix ?? '');
    await output.write(createBatch(['a']), never);
    await output.close();
    await clickhouse.ask('CREATE TABLE forgetful (message String) ENGINE = Log');
    t.match(await checkHere({ table: 'forgetful' }), [
      {},
      {},
      {},
      {},
      { name: 'repetitions', detail: /engine Log/ },
    ]);
    t.match(await checkHere({ port: 1 }), [
      { name: 'reachable', result: 'failed', detail: /ECONNREFUSED/ },
    ]);
  });

  await t.test('too many parts are waited out, and inserts are to be larger', async (t) => {
    const table = await createTable();
    const output = await openHere({ table });
    const before = output.batching;
    const text =
      'Code: 252. DB::Exception: Too many parts (3001 with average size of 1.00 KiB) in table. Merges are processing significantly slower than inserts. (TOO_MANY_PARTS)';
    proxy.next({ status: 500, headers: { 'X-ClickHouse-Exception-Code': '252' }, text });
    const batch = createBatch([row(1)]);
    const startedMs = performance.now();
    const error = await thrownBy(output.write(batch, never));
    t.equal(pluginErrorKind(error), 'transient');
    t.ok(performance.now() - startedMs > 900, 'it has waited');
    const after = output.batching;
    t.equal(after?.bytesMax, 2 * (before?.bytesMax ?? 0));
    t.equal(after?.lingerMs, 2 * (before?.lingerMs ?? 0));
    t.equal(after?.inFlightMax, 1);
    await output.write(batch, never);
    t.equal(await count(table), 1);
    await output.close();
  });

  await t.test('an insert that is too large is cut', async (t) => {
    const table = `parts_${tableCount}`;
    await clickhouse.ask(
      `CREATE TABLE ${table} (id UInt64) ENGINE = MergeTree ORDER BY id PARTITION BY id`,
    );
    const output = await openHere({ table });
    const messages = Array.from({ length: 150 }, (_, id) => `{"id":${id}}`);
    t.equal(pluginErrorKind(await thrownBy(output.write(createBatch(messages), never))), 'data');
    t.equal(await halve(output, messages), 0);
    t.equal(await count(table), 150);
    proxy.next(413);
    t.equal(
      pluginErrorKind(await thrownBy(output.write(createBatch(['{"id":1}', '{"id":2}']), never))),
      'data',
    );
    proxy.next(413);
    t.match(await output.write(createBatch(['{"id":1}']), never), { failures: [{ index: 0 }] });
    await output.close();
  });

  await t.test('what answers and is no ClickHouse is for a person', async (t) => {
    const table = await createTable();
    const output = await openHere({ table });
    for (const fault of [404, 302, { status: 200, headers: {}, text: '<html>hello</html>' }]) {
      proxy.next(fault);
      const error = await thrownBy(output.write(createBatch([row(1)]), never));
      t.equal(pluginErrorKind(error), 'operator', error.message);
    }
    proxy.next({
      status: 200,
      headers: {},
      text: 'Code: 241. DB::Exception: Memory limit exceeded.',
    });
    const late = await thrownBy(output.write(createBatch([row(1)]), never));
    t.equal(pluginErrorKind(late), 'transient', 'an error behind a success is one');
    t.equal(await count(table), 0);
    await output.close();
  });

  await t.test('a huge batch is one insert, and its bad row is found', async (t) => {
    const table = await createTable();
    const output = await openHere({ table });
    const line = `${row(7, 'x'.repeat(80))}\n`;
    const bytes = Buffer.alloc(320_000 * line.length, line);
    bytes.write('{"id":"bad"', 200_001 * line.length);
    const outcome = await output.write(createBatch(bytes), never);
    t.match(outcome, { failures: [{ index: 200_001, reason: /CANNOT_PARSE|INCORRECT/ }] });
    t.equal(outcome?.failures.length, 1);
    t.equal(await count(table), 319_999);
    t.equal(
      await clickhouse.ask(`SELECT count() FROM system.parts WHERE table = '${table}' AND active`),
      '1',
    );
    await output.close();
  });

  await t.test(
    'async inserts are asked for with a wait, and the settings of the user win',
    async (t) => {
      const table = await createTable();
      const output = await openHere({
        table,
        async_insert: true,
        settings: ['async_insert_busy_timeout_ms=50', 'date_time_input_format=basic'],
      });
      t.equal(output.batching?.lingerMs, 100);
      proxy.next();
      await output.write(createBatch([row(1)]), never);
      t.match(Object.fromEntries(proxy.inserts[0]?.parameters ?? []), {
        async_insert: '1',
        wait_for_async_insert: '1',
        async_insert_deduplicate: '1',
        async_insert_busy_timeout_ms: '50',
        date_time_input_format: 'basic',
      });
      t.equal(await count(table), 1);
      await output.close();
    },
  );

  await t.test('two batches at a time go to one table', async (t) => {
    const table = await createTable();
    const output = await openHere({ table });
    const batches = Array.from({ length: 8 }, (_, at) =>
      createBatch([row(at), row(`bad${at}`), row(at + 100)]),
    );
    const outcomes = await Promise.all(batches.map((batch) => output.write(batch, never)));
    for (const outcome of outcomes) t.match(outcome, { failures: [{ index: 1 }] });
    t.equal(await count(table), 16);
    await output.close();
  });

  await t.test('the official client works with the server of these tests', async (t) => {
    const client = createClient({
      url: `http://127.0.0.1:${clickhouse.port}`,
      log: { level: ClickHouseLogLevel.OFF },
    });
    const table = await createTable();
    const values = [{ id: 1, message: 'a' }];
    const settings = { clickhouse_settings: { insert_deduplication_token: 'client' } };
    for (let round = 0; round < 2; round += 1)
      await client.insert({ table, values, format: 'JSONEachRow', ...settings });
    const result = await client.query({
      query: `SELECT * FROM ${table} WHERE id = {id: UInt64}`,
      query_params: { id: 1 },
      format: 'JSONEachRow',
    });
    t.same(await result.json(), [{ id: 1, message: 'a' }]);
    await t.rejects(client.query({ query: 'SELECT * FROM nowhere' }), {
      code: '60',
      type: 'UNKNOWN_TABLE',
    });
    await client.close();
  });

  await t.test('the names of error codes are those of the engine', async (t) => {
    const names = await clickhouse.ask(
      `SELECT errorCodeToName(arrayJoin([${[...errorMeanings.keys()].join()}])) FORMAT TSVRaw`,
    );
    t.same(
      names.split('\n'),
      [...errorMeanings.values()].map(({ name }) => name),
    );
  });
}

/** What a host does about a `data` error; resolves with how many messages were refused in the end. */
async function halve(output: Output, messages: readonly string[]): Promise<number> {
  try {
    const outcome = await output.write(createBatch(messages), never);
    return outcome?.failures.length ?? 0;
  } catch (error) {
    if (pluginErrorKind(error) !== 'data' || messages.length === 1) throw error;
    const middle = Math.ceil(messages.length / 2);
    return (
      (await halve(output, messages.slice(0, middle))) +
      (await halve(output, messages.slice(middle)))
    );
  }
}

async function thrownBy(promise: Promise<unknown>): Promise<PluginError> {
  try {
    await promise;
  } catch (error) {
    return error as PluginError;
  }
  throw new Error('Expected an error, and there was none.');
}

function never0(): never {
  throw new Error('Expected an insert.');
}

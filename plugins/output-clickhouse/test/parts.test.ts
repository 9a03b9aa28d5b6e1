import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { Agent, createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { type CheckStep, PluginError, pluginErrorKind } from '@chukcha/plugin-api';
import { createTestOutputContext } from '@chukcha/plugin-api/conformance';
import t from 'tap';
import { BatchDelivery, type Rows } from '../src/batch-delivery.js';
import { kindOf, toPluginError } from '../src/classify-error.js';
import { check, open } from '../src/clickhouse-output.js';
import { exchange } from '../src/exchange.js';
import listPlugins from '../src/hook.js';
import { inferColumns } from '../src/infer-columns.js';
import { InsertPace } from '../src/insert-pace.js';
import { insertSettings, parseSettings } from '../src/insert-settings.js';
import { findBlankMessages, MessageRows } from '../src/message-rows.js';
import { parseAddress } from '../src/parse-address.js';
import { resolveTarget } from '../src/resolve-target.js';
import { parseServerError, ServerError } from '../src/server-error.js';
import { ServerVersion } from '../src/server-version.js';
import { subsetToken } from '../src/subset-token.js';
import { ConnectionError } from '../src/transport-errors.js';
import { createBatch, withDefaults } from './support/plugin-options.js';

const never = new AbortController().signal;

t.test('the package offers the plugin', async (t) => {
  const [plugin, ...others] = await listPlugins();
  t.same(others, []);
  t.match(plugin, { name: 'clickhouse', kind: 'output' });
  const module = await plugin?.load();
  t.type(module?.open, 'function');
  t.equal(plugin?.options.properties['password']?.['writeOnly'], true);
});

t.test('addresses', (t) => {
  for (const [rest, options] of Object.entries({
    '//host:8123/db/table': { host: 'host', port: 8123, database: 'db', table: 'table' },
    '//host': { host: 'host' },
    '//host/': { host: 'host' },
    '//me:p%40ss%2F@host:80/d%20b': {
      host: 'host',
      port: 80,
      user: 'me',
      password: 'p@ss/',
      database: 'd b',
    },
    'https://host:443/db': { tls: true, host: 'host', port: 443, database: 'db' },
    'http://[::1]:1/': { tls: false, host: '::1', port: 1 },
    '//host/db?format=text&settings=a=1&settings=b=2': {
      host: 'host',
      database: 'db',
      format: 'text',
      settings: ['a=1', 'b=2'],
    },
    './analytics': { directory: './analytics' },
    '/var/analytics': { directory: '/var/analytics' },
    '../a': { directory: '../a' },
  }))
    t.same(parseAddress(rest), options, rest);
  for (const [rest, message] of Object.entries({
    analytics: /a directory as \.\/name/,
    '': /expected/,
    '//': /with a host/,
    '//host/db/table/more': /more behind the table/,
    '//u:secret#@host': /with a host|%23/,
    '//u:secret%@host': /%25/,
    '//u:secret@host:port': /with a host/,
  }))
    t.throws(() => parseAddress(rest), { message }, rest);
  for (const rest of ['//u:secret#@host', '//u:secret%@host', '//u:secret@host:port'])
    try {
      parseAddress(rest);
    } catch (error) {
      t.notMatch(String(error), /secret/);
    }
  t.end();
});

t.test('what the address leaves out comes from the environment', (t) => {
  const environment = {
    CLICKHOUSE_URL: 'https://envuser:envpass@env:9443/envdb/envtable',
    CLICKHOUSE_USER: 'user2',
    CLICKHOUSE_PASSWORD: 'password2',
    CLICKHOUSE_DATABASE: 'database2',
  };
  t.same(resolveTarget({}, {}, 'web'), {
    engine: {
      kind: 'server',
      host: '127.0.0.1',
      port: 8123,
      tls: false,
      user: 'default',
      password: '',
    },
    database: 'default',
    table: 'web',
  });
  t.match(resolveTarget({ tls: true }, {}, 'web'), { engine: { port: 8443 } });
  t.match(resolveTarget({ table: 'own' }, environment, 'web'), {
    engine: { host: 'env', port: 9443, tls: true, user: 'envuser', password: 'envpass' },
    database: 'envdb',
    table: 'own',
  });
  t.match(resolveTarget({ host: 'other' }, environment, 'web'), {
    engine: { host: 'other', port: 8123, tls: false, user: 'user2', password: 'password2' },
    database: 'database2',
    table: 'web',
  });
  t.same(resolveTarget({ directory: './a' }, environment, 'web'), {
    engine: { kind: 'directory', directory: './a' },
    database: 'default',
    table: 'web',
  });
  t.throws(() => resolveTarget({ host: 'a', directory: './a' }, {}, 'web'), {
    message: /both set/,
  });
  for (const CLICKHOUSE_URL of ['//u:secret@', './directory', 'http://u:secret@h/a/b/c'])
    t.throws(() => resolveTarget({}, { CLICKHOUSE_URL }, 'web'), {
      message: /^CLICKHOUSE_URL is not valid \((?!.*secret)/,
    });
  t.end();
});

t.test('errors of all versions are read', (t) => {
  const modern = parseServerError(
    "Code: 27. DB::Exception: Cannot parse input: expected '{' before: 'row says (at row 7)\\n': (at row 3)\n: While executing ParallelParsingBlockInputFormat. (CANNOT_PARSE_INPUT_ASSERTION_FAILED) (version 26.7.2.1)",
  );
  t.match(modern, { code: 27, row: 3, message: /^Cannot parse input: .*\(at row 3\)$/ });
  const old = parseServerError(
    "Code: 60, e.displayText() = DB::Exception: Table default.x doesn't exist., e.what() = DB::Exception",
  );
  t.match(old, { code: 60, row: undefined, message: "Table default.x doesn't exist." });
  t.equal(parseServerError('<html>Bad Gateway</html>'), undefined);
  t.equal(parseServerError('odd', 81)?.code, 81);
  t.equal(kindOf(new ServerError(4711, 'new')), 'transient', 'an unknown code keeps the messages');
  t.ok(new ServerError(27, 'x'.repeat(10_000)).message.length < 700);
  t.equal(kindOf(new ConnectionError('ECONNRESET', 'x')), 'transient');
  t.match(
    toPluginError(new ConnectionError('ENOTFOUND', 'x'), 'It', () => undefined),
    {
      kind: 'operator',
      message: /no host of this name/,
    },
  );
  t.match(
    toPluginError(new Error('odd'), 'It', () => undefined),
    { kind: 'transient' },
  );
  t.end();
});

t.test('settings fit the version of the server', (t) => {
  const version = (text: string): ServerVersion => {
    const parsed = ServerVersion.parse(text);
    if (parsed === undefined) throw new Error(text);
    return parsed;
  };
  const options = {
    unknownFields: 'stop',
    asyncInsert: false,
    deduplicate: true,
    more: {},
  } as const;
  const shape = { messageCount: 5, token: 'abc', ordered: true };
  t.same(insertSettings(options, shape, version('26.7.2.1')), {
    input_format_skip_unknown_fields: 0,
    date_time_input_format: 'best_effort',
    min_insert_block_size_rows: 6,
    min_insert_block_size_bytes: 0,
    input_format_parallel_parsing: 0,
    async_insert: 0,
    insert_deduplication_token: 'abc',
  });
  t.match(insertSettings({ ...options, asyncInsert: true }, shape, version('23.7')), {
    async_insert: 1,
    wait_for_async_insert: 1,
    async_insert_deduplicate: 1,
  });
  t.notMatch(
    Object.keys(
      insertSettings({ ...options, deduplicate: false }, shape, version('18.16.1')),
    ).join(),
    /async|token|parallel/,
  );
  const more = parseSettings(['max_threads=1', 'async_insert=a=b']);
  t.match(insertSettings({ ...options, more }, shape, version('25.1')), {
    max_threads: '1',
    async_insert: 'a=b',
  });
  for (const text of ['', 'hello', '<html>', '1']) t.equal(ServerVersion.parse(text), undefined);
  t.end();
});

t.test('messages are found by their index', (t) => {
  const bytes = Buffer.from('a\n\n b\n\t \r\nlast\n');
  const rows = new MessageRows(bytes);
  t.equal(rows.count, 5);
  t.same(
    [0, 1, 2, 3, 4].map((index) => rows.text(index)),
    ['a', '', ' b', '\t \r', 'last'],
  );
  t.same(rows.pieces([0, 1, 3, 4]).map(String), ['a\n\n', '\t \r\nlast\n']);
  t.same(rows.pieces([2]).map(String), [' b\n']);
  t.same(findBlankMessages(bytes), [1, 3]);
  t.end();
});

t.test('a subset has a token of its own, always the same', (t) => {
  t.equal(subsetToken('t', 3, [0, 1, 2]), 't');
  t.equal(subsetToken('t', 3, [0, 2]), subsetToken('t', 3, [0, 2]));
  const tokens = [[0, 2], [0, 1], [2], [0, 258], [0, 2, 0]].map((indexes) =>
    subsetToken('t', 999, indexes),
  );
  t.equal(new Set(tokens).size, tokens.length);
  t.end();
});

t.test('columns are made by what all messages have', (t) => {
  const columns = inferColumns(
    [
      {
        id: 1,
        at: '2026-01-02T03:04:05Z',
        a: 1,
        b: 1,
        c: null,
        d: true,
        title: '2026-01-02T03:04:05Z',
        created_at: '2026-01-02T03:04:05.123456Z',
      },
      {
        id: 2,
        at: 'now',
        a: 1.5,
        b: 'x',
        c: null,
        e: { deep: 1 },
        title: 'x',
        created_at: '2026-01-02T03:04:05Z',
      },
    ],
    'id',
  );
  t.same(Object.fromEntries(columns.map(({ name, type }) => [name, type])), {
    id: 'Int64',
    at: 'String',
    a: 'Float64',
    b: 'String',
    c: 'Nullable(String)',
    d: 'Nullable(Bool)',
    title: 'String',
    created_at: 'DateTime64(9)',
    e: 'String',
  });
  t.end();
});

t.test('the advice grows with every complaint, up to a limit, and comes back', async (t) => {
  const pace = new InsertPace(2, false);
  const first = pace.advice;
  const abort = AbortSignal.abort(new Error('no wait here'));
  for (let complaint = 0; complaint < 9; complaint += 1) await t.rejects(pace.slowDown(abort));
  t.same(pace.advice, {
    bytesMax: 64 * 1024 * 1024,
    messagesMax: 1_000_000,
    lingerMs: 8_000,
    inFlightMax: 1,
  });
  for (let success = 0; success < 600; success += 1) pace.succeeded();
  t.same(pace.advice, first);
});

t.test(
  'against a made-up server whose rows are known, every bad one is found, in every mix',
  async (t) => {
    // A fake: it refuses an insert as servers do, with the number of the first row that it cannot take. And as they do,
    // it takes what is not quite an object.
    const isTaken = (line: string): boolean => /^\{"id":\d+\},?$/.test(line);
    let seed = 20_261_125;
    const random = (): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return seed / 2 ** 32;
    };
    for (let round = 0; round < 300; round += 1) {
      const size = 1 + Math.floor(random() * 40);
      const share = random() ** 2;
      const messages = Array.from({ length: size }, (_, id) =>
        random() < share
          ? ['bad', '{"id":"bad"}', `{"id":${id}} bad`, '', `{"id":${id}},`][
              Math.floor(random() * 5)
            ]
          : `{"id":${id}}`,
      ) as string[];
      const stored = new Map<string, string[]>();
      const insert = async (rows: Rows): Promise<void> => {
        const lines = Buffer.concat(rows.pieces)
          .toString()
          .split('\n')
          .filter((line) => line !== '');
        const bad = lines.findIndex((line) => !isTaken(line));
        const hasNumber = random() < 0.8;
        if (bad !== -1)
          throw new ServerError(
            27,
            hasNumber ? `bad (at row ${bad + 1 + (lines[bad]?.includes('} ') ? 1 : 0)})` : 'bad',
          );
        if (random() < 0.2) throw new ConnectionError('ECONNRESET', 'before it came');
        // A name that it has seen is a repetition, whatever comes with it.
        if (!stored.has(rows.token)) stored.set(rows.token, lines);
        if (random() < 0.2) throw new ConnectionError('ECONNRESET', 'after it was stored');
      };
      const refused = await deliver(messages, insert);
      const good = messages.filter(isTaken);
      t.same([...stored.values()].flat().sort(), good.sort(), `round ${round}`);
      t.equal(refused, messages.length - good.length, `round ${round}`);
    }
  },
);

/** What a host does, for one batch: tries again, gives what is left by `only`, halves. */
async function deliver(
  messages: readonly string[],
  insert: (rows: Rows) => Promise<void>,
): Promise<number> {
  const whole = createBatch(messages);
  let delivery: BatchDelivery | undefined;
  let batch = whole;
  let refused = 0;
  for (;;) {
    delivery ??= new BatchDelivery({
      json: true,
      rowless: { find: findBlankMessages, reason: 'empty' },
      reasonOf: String,
      insertsMax: 10,
    });
    try {
      const failures = (await delivery.run(batch, insert))?.failures ?? [];
      refused += failures.filter(({ kind }) => kind === undefined).length;
      const only = failures.filter(({ kind }) => kind === 'transient').map(({ index }) => index);
      if (only.length === 0) return refused;
      batch = { ...whole, only };
      delivery = undefined;
    } catch (error) {
      if (kindOf(error) !== 'data') continue;
      if (batch.only !== undefined || messages.length === 1) throw error;
      const middle = Math.ceil(messages.length / 2);
      return (
        (await deliver(messages.slice(0, middle), insert)) +
        (await deliver(messages.slice(middle), insert))
      );
    }
  }
}

t.test('connections that are encrypted, or should be', async (t) => {
  const directory = t.testdir();
  const [keyPath, certPath] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=localhost'],
      ...['-addext', 'subjectAltName=DNS:localhost', '-keyout', keyPath, '-out', certPath],
    ],
    { stdio: 'ignore' },
  );
  // A fake: it knows its version, and has no table.
  const answer: RequestListener = (request, response) => {
    let statement = '';
    request.on('data', (piece) => {
      statement += String(piece);
    });
    request.on('end', () => {
      if (statement === 'SELECT version()') response.end('26.7.2.1\n');
      else
        response
          .writeHead(404, { 'x-clickhouse-exception-code': '60' })
          .end('Code: 60. DB::Exception: No table.');
    });
  };
  const secure = createHttpsServer(
    { key: readFileSync(keyPath), cert: readFileSync(certPath) },
    answer,
  );
  const plain = createHttpServer(answer);
  const [securePort, plainPort] = [await listen(secure), await listen(plain)];
  const firstStep = async (options: object): Promise<CheckStep | undefined> => {
    const given = withDefaults({ host: 'localhost', ...options });
    for await (const step of check(given, createTestOutputContext())) return step;
    return undefined;
  };
  t.match(await firstStep({ port: securePort, tls: true, ca_file: certPath }), { result: 'ok' });
  t.match(await firstStep({ port: securePort, tls: true }), {
    result: 'failed',
    detail: /certificate.*ca_file/,
  });
  t.match(await firstStep({ port: plainPort, tls: true }), {
    result: 'failed',
    detail: /option tls/,
  });
  t.match(await firstStep({ port: securePort }), { result: 'failed' });
  t.match(await firstStep({ port: plainPort, tls: true, ca_file: join(directory, 'none') }), {
    name: 'options',
    result: 'failed',
    detail: /ca_file could not be read/,
  });
  const error = await open(
    withDefaults({ host: 'localhost', port: securePort, tls: true }),
    createTestOutputContext(),
  ).catch((thrown: unknown) => thrown);
  t.ok(error instanceof PluginError);
  t.equal(pluginErrorKind(error), 'operator', 'it is not waited for');
  for (const server of [secure, plain]) {
    server.closeAllConnections();
    server.close();
  }
});

t.test('a server that answers before it has read everything is heard', async (t) => {
  const server = createHttpServer((request, response) => {
    response.writeHead(413).end('too large');
    // As servers do that let go of a client gently.
    response.once('finish', () => request.resume());
  });
  const port = await listen(server);
  const agent = new Agent({ keepAlive: true });
  for (const gzip of [false, true]) {
    const pieces = [randomBytes(32 * 1024 * 1024)];
    const given = { path: '/', headers: {}, pieces, gzip, timeoutMs: 10_000 };
    const remote = { host: 'localhost', port, tls: false, agent };
    t.match(await exchange(remote, given, never), { status: 413, text: 'too large' });
  }
  agent.destroy();
  server.closeAllConnections();
  server.close();
});

async function listen(server: Server): Promise<number> {
  server.listen(0, 'localhost');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

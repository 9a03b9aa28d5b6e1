import { request } from 'node:http';
import t, { type Test } from 'tap';
import type { NodeStatus } from '../../src/protocol/http-api.js';
import { formatBytes, formatRate, formatSpan } from '../../src/server/console/format-figures.js';
import type { NodeReport } from '../../src/server/console/node-report.js';
import { splitMessages, toShown } from '../../src/server/console/split-messages.js';
import { TrafficHistory } from '../../src/server/console/traffic-history.js';
import {
  call,
  errorOf,
  json,
  startServer,
  type TestServer,
  write,
} from '../support/test-server.js';

async function start(t: Test): Promise<TestServer> {
  const server = await startServer({ directory: t.testdir() });
  t.teardown(() => server.close());
  return server;
}

await t.test('the page reads from a status what a node writes into it', async (t) => {
  const server = await start(t);
  await write(server, 'a\n');
  const status = json(await call(server.url, '/status')) as NodeStatus;
  // The compiler compares the two; the page is compiled apart from the node.
  const report: NodeReport = status;
  t.match(report.categories, [{ name: 'logs', bytes: 2, writtenBytes: 2 }]);
});

await t.test('the page and all that it loads are served with a strict policy', async (t) => {
  const { url } = await start(t);
  const page = await call(url, '/console');
  t.equal(page.status, 200);
  t.equal(page.headers['content-type'], 'text/html; charset=utf-8');
  const names = [...page.body.toString().matchAll(/(?:src|href)="console\/([^"]+)"/g)].map(
    ([, name]) => name ?? '',
  );
  t.ok(names.length >= 4, `${names}`);
  const types = { css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml' };
  const seen = new Set<string>();
  for (let name = names.pop(); name !== undefined; name = names.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const { status, headers, body } = await call(url, `/console/${name}`);
    t.equal(status, 200, name);
    const type = types[(name.split('.').pop() ?? '') as keyof typeof types];
    t.ok(headers['content-type']?.startsWith(type), `${name} is ${headers['content-type']}`);
    for (const [, imported] of body.toString().matchAll(/from '\.\/([^']+)'/g)) {
      names.push(imported ?? '');
    }
    for (const [header, value] of [
      ['content-security-policy', /default-src 'none'.*script-src 'self'.*frame-ancestors 'none'/],
      ['x-content-type-options', /^nosniff$/],
      ['referrer-policy', /^no-referrer$/],
      ['cache-control', /^no-cache$/],
    ] as const) {
      t.match(headers[header], value, `${header} of ${name}`);
    }
    t.notMatch(headers['content-security-policy'], /unsafe|http|\*/);
  }
  t.ok(seen.has('node-watch.js'), 'modules that others import were asked for too');
});

await t.test('a browser that has a file already is told so, and HEAD has no body', async (t) => {
  const { url } = await start(t);
  const { headers, body } = await call(url, '/console/main.js');
  const tag = headers.etag ?? '';
  t.match(tag, /^"[\w-]{22}"$/);
  const known = await call(url, '/console/main.js', {
    headers: { 'If-None-Match': `"x", ${tag}` },
  });
  t.same([known.status, known.body.length, known.headers.etag], [304, 0, tag]);
  const other = await call(url, '/console/main.js', { headers: { 'If-None-Match': '"x"' } });
  t.same([other.status, other.body], [200, body]);
  const head = await call(url, '/console/main.js', { method: 'HEAD' });
  t.same([head.status, head.body.length], [200, 0]);
  t.equal(head.headers['content-length'], String(body.length));
  t.equal((await call(url, '/console', { method: 'HEAD' })).status, 200);
});

await t.test('nothing but the files of the console is served', async (t) => {
  const { url } = await start(t);
  for (const name of [
    'x.js',
    '..%2f..%2f..%2fpackage.json',
    '%2e%2e%2fapp.js',
    '..%5capp.js',
    'main.js%00',
    'main.js.map',
    'main.d.ts',
    'main.ts',
    'tsconfig.json',
    '__proto__',
    'constructor',
  ]) {
    const answer = await call(url, `/console/${name}`);
    t.match(errorOf(answer), { status: 404, code: 'not_found', message: /open \/console/ }, name);
  }
  for (const path of [
    '/console/',
    '/console/a/b',
    '/console/../app.js',
    '/console/../../package.json',
  ]) {
    t.equal(await statusOfRawPath(url, path), 404, path);
  }
  const posted = await call(url, '/console', { method: 'POST', body: 'x\n' });
  t.match(errorOf(posted), { status: 405, allow: 'GET, HEAD' });
  t.match(errorOf(await call(url, '/console?x=1')), { status: 400, code: 'invalid_request' });
});

/** Asks for a path as it stands, which a parser of addresses would shorten. */
function statusOfRawPath(url: string, path: string): Promise<number> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    request({ hostname, port, path }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

await t.test('a status counts what goes in and out of a category', async (t) => {
  const server = await start(t);
  const traffic = async (): Promise<unknown> => {
    const { categories } = json(await call(server.url, '/status')) as NodeStatus;
    return categories.map(({ writtenBytes, copiedBytes, readBytes }) => [
      writtenBytes,
      copiedBytes,
      readBytes,
    ]);
  };
  const stamp = { 'Chukcha-Producer': 'p', 'Chukcha-Sequence': 1 };
  const send = (): Promise<unknown> =>
    call(server.url, '/write?category=logs', { body: 'one\n', headers: stamp });
  await send();
  await send();
  t.same(await traffic(), [[4, 0, 0]], 'a duplicate does not count');
  const chunk = await write(server, 'two\n');
  const path = `/read?category=logs&chunk=${chunk}`;
  await call(server.url, path);
  t.same(await traffic(), [[8, 0, 8]], 'by the lane');
  await call(server.url, `${path}&off=4`, { headers: { 'X-Other': 'y' } });
  t.same(await traffic(), [[8, 0, 12]], 'a part');
  await call(server.url, `${path}&off=8`);
  t.same(await traffic(), [[8, 0, 12]], 'nothing');
  await call(server.url, '/stream?category=logs&wait_ms=0');
  t.same(await traffic(), [[8, 0, 20]], 'by a stream');
  await write(server, Buffer.alloc(200_000, `${'x'.repeat(99)}\n`));
  await call(server.url, `${path}&off=8`);
  t.same(await traffic(), [[200_008, 0, 200_020]], 'more than is read in one go');
});

t.test('figures have at most three digits and their unit', (t) => {
  t.same([0, 1, 999, 1000, 1023, 1024, 20 * 1024 ** 2, 1024 ** 5 * 3].map(formatBytes), [
    '0 B',
    '1 B',
    '999 B',
    '0.98 KiB',
    '1.00 KiB',
    '1.00 KiB',
    '20.0 MiB',
    '3.00 PiB',
  ]);
  t.same([Number.NaN, 0, 2048].map(formatRate), ['–', '0 B/s', '2.00 KiB/s']);
  t.same([0, 59.4, 61, 3_600, 90_061].map(formatSpan), [
    '0 s',
    '59 s',
    '1 min 1 s',
    '1 h 0 min',
    '1 d 1 h',
  ]);
  t.end();
});

t.test('rates come from the counters, and not across a restart or a silence', (t) => {
  const history = new TrafficHistory();
  const report = (writtenBytes: number, backlog: number, startedAt = 'x'): NodeReport =>
    ({
      startedAt,
      categories: [
        {
          name: 'logs',
          writtenBytes,
          copiedBytes: 0,
          readBytes: 0,
          groups: [{ group: 'g', bytes: backlog, chunks: 1 }],
        },
      ],
    }) as unknown as NodeReport;
  history.add(report(100, 50), 1_000);
  t.ok(Number.isNaN(history.rates().written), 'one report says nothing');
  history.add(report(300, 30), 2_000);
  t.equal(history.rates('logs').written, 200);
  t.equal(history.rates('other').written, 0);
  t.equal(history.drainRate('logs', 'g'), 20);
  history.add(report(5, 0, 'y'), 3_000);
  t.ok(Number.isNaN(history.rates().written), 'the node was started again');
  history.add(report(10, 0, 'y'), 4_000);
  t.equal(history.rates().written, 5);
  history.add(report(1_000, 0, 'y'), 60_000);
  t.ok(Number.isNaN(history.rates().written), 'nobody looked for a minute');
  t.same(history.samples.length, 5);
  history.add(report(1_000, 0, 'y'), 360_000);
  t.same(history.samples.length, 2, 'what is older than the charts is forgotten');
  t.end();
});

t.test('messages are made visible whatever they contain', (t) => {
  const { lines, rest } = splitMessages(Buffer.from('one\n\ntw\tö\nthr'));
  t.same(
    lines.map((line) => toShown(line).text),
    ['one', '', 'tw\tö'],
  );
  t.equal(Buffer.from(rest).toString(), 'thr');
  const shown = toShown(Buffer.from('a\u0000\u001b[31m\u007f\u0085\u202eb\u2028\ufeffc'));
  t.equal(shown.text, 'a␀␛[31m␡\\u{85}\\u{202e}b\\u{2028}\\u{feff}c');
  t.equal(toShown(Buffer.from([0xff, 0x61])).text, '\ufffda');
  t.end();
});

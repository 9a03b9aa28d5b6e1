import t from 'tap';
import { SeededRandom } from '../../src/common/seeded-random.js';
import { frameKinds } from '../../src/protocol/frames.js';
import { headers } from '../../src/protocol/http-api.js';
import { replicationPath, replicationQueryNames } from '../../src/protocol/replication.js';
import { routes } from '../../src/server/app.js';
import { fuzzRequest } from './fuzz-requests.js';
import { fuzzStream } from './fuzz-streams.js';
import { readAnswers } from './read-answers.js';

const facts = { authorizations: ['Bearer t'], hello: { cluster: 'c', node: 'node2' } };

t.test('the fuzz asks for every method of every route, with every parameter and header', (t) => {
  const texts = Array.from({ length: 30_000 }, (_, seed) =>
    fuzzRequest(new SeededRandom(seed), facts),
  );
  const seen = new Set<string>();
  const seenHeaders = new Set<string>();
  for (const text of texts) {
    const [first = '', ...lines] = (text.split('\r\n\r\n')[0] ?? '').split('\r\n');
    const [method, target = ''] = first.split(' ');
    const [path, query = ''] = target.split('?');
    seen.add(`${method} ${path}`);
    for (const pair of query.split('&')) seen.add(`${method} ${path} ${pair.split('=')[0]}`);
    for (const line of lines) seenHeaders.add((line.split(':')[0] ?? '').toLowerCase());
  }
  const segments: Readonly<Record<string, string>> = {
    group: 'a',
    node: 'node1',
    file: 'main.js',
    name: 'p',
  };
  for (const { path: pattern, methods, queryNames } of routes) {
    const path = pattern.replace(/<(\w+)>$/, (_, name: string) => segments[name] ?? name);
    for (const method of methods) {
      t.ok(seen.has(`${method} ${path}`), `${method} ${path}`);
      for (const name of queryNames) t.ok(seen.has(`${method} ${path} ${name}`), `${path} ${name}`);
    }
  }
  for (const name of [...Object.values(headers), 'authorization', 'transfer-encoding', 'expect']) {
    t.ok(seenHeaders.has(name), name);
  }
  t.end();
});

t.test('the fuzz opens every kind of stream and sends every kind of frame', (t) => {
  const texts = Array.from({ length: 2_000 }, (_, seed) =>
    fuzzStream(new SeededRandom(seed), facts),
  );
  const kinds = new Set<number>();
  for (const text of texts) kinds.add(text.charCodeAt(text.indexOf('\r\n\r\n') + 8));
  for (const [name, kind] of Object.entries(frameKinds)) t.ok(kinds.has(kind), name);
  for (const path of ['/produce', '/consume', replicationPath]) {
    t.ok(
      texts.some((text) => text.startsWith(`GET ${path}?`)),
      path,
    );
  }
  for (const name of replicationQueryNames) {
    t.ok(
      texts.some((text) => text.includes(`${name}=`)),
      name,
    );
  }
  t.end();
});

t.test('what is no answer is seen', (t) => {
  const good = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na\n';
  t.match(readAnswers(good + good, false), { answers: [{ body: 'a\n' }, {}], fault: undefined });
  t.match(readAnswers('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut', false), {
    fault: undefined,
  });
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n';
  t.match(readAnswers(chunked + good, false), { answers: [{ body: 'a' }, {}], fault: undefined });
  for (const [text, fault] of [
    [`${good}more`, /goes on with/],
    [`${good}more\r\n\r\n`, /status line/],
    ['HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n', /a header is/],
    ['HTTP/1.1 200 OK\r\nX: a\r\nx: b\r\n\r\n', /twice/],
    [chunked.replace('1\r\na', 'z\r\na'), /size/],
    [chunked.replace('Transfer', 'Content-Length: 1\r\nTransfer'), /two lengths/],
  ] as const) {
    t.match(readAnswers(text, false).fault, fault, text);
  }
  t.end();
});

import { readFileSync } from 'node:fs';
import t from 'tap';
import { errorCodes } from '../src/protocol/error-codes.js';
import * as limits from '../src/protocol/limits.js';
import { call, json, startServer, write } from './support/test-server.js';

t.test('the error table of the HTTP interface is the one of the code', (t) => {
  const rows = readFileSync('docs/http-api.md', 'utf8').matchAll(
    /^\| `(\w+)` \| (\d{3}) \| (yes|no) \| (.*) \|$/gm,
  );
  const documented = [...rows].map(([, code, status, retryable, meaning]) => ({
    code,
    status: Number(status),
    retryable: retryable === 'yes',
    meaning,
  }));
  const sent = Object.entries(errorCodes)
    .filter(([, { status }]) => status !== 0)
    .map(([code, meaning]) => ({ code, ...meaning }));
  t.same(documented, sent);
  t.end();
});

t.test('the limits of the README are those of the code', (t) => {
  const readme = readFileSync('README.md', 'utf8');
  const mib = (byteCount: number): string => `${byteCount / 1024 / 1024} MiB`;
  const seconds = (milliseconds: number): string => `${milliseconds / 1000} s`;
  for (const row of [
    `a message, with its newline | ${mib(limits.messageBytesMax)} `,
    `a batch of one write | ${mib(limits.batchBytesMaxDefault)} `,
    `first write that finds ${mib(limits.chunkBytesMaxDefault)} in it`,
    `category's name | 1 to ${limits.categoryNameLengthMax} of`,
    `a node's or a group's: ${limits.nodeNameLengthMax} `,
    `connections of a node | ${limits.connectionCountMax.toLocaleString('en')} `,
    `${seconds(limits.requestHeadMsMax)}, ${limits.requestMsMax / 60_000} min, ${seconds(limits.longPollMsMax)} `,
  ]) {
    t.ok(readme.includes(row), row);
  }
  t.end();
});

t.test(
  'every field of a status is in the document, and every one there is in a status',
  async (t) => {
    const server = await startServer({ directory: t.testdir() });
    await write(server, 'a\n');
    await call(server.url, '/groups/archive?category=logs', { method: 'PUT' });
    await server.store.scrub();
    const status = json(await call(server.url, '/status'));
    await server.close();
    const example = /curl "\$NODE\/status"\n(.*?)\n\n/s.exec(
      readFileSync('docs/http-api.md', 'utf8'),
    );
    t.same(fieldsOf(JSON.parse(example?.[1] ?? '')), fieldsOf(status));
  },
);

/** The names of all fields, in their order. */
function fieldsOf(value: unknown): string[] {
  const names: string[] = [];
  JSON.stringify(value, (name: string, inner: unknown) => {
    if (!/^\d*$/.test(name)) names.push(name);
    return inner;
  });
  return names;
}

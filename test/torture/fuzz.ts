import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SeededRandom } from '../../src/common/seeded-random.js';
import { CliNode } from '../support/cli.js';

/**
 * Sends requests with odd paths, parameters, headers and bodies to a node in a process of its own, from seeds, and
 * ends with 1 when the node ends, stops answering, answers 500, or grows.
 *
 *     nice node build/test/torture/fuzz.js --minutes 15 --seed 1
 */
const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string', default: '1' } },
});

const requestsPerSeed = 100;
const answerMsMax = 2_000;
/** How much a node may grow after its first part of the run: buffers and what is kept of its categories. */
const grownBytesMax = 150 * 1024 * 1024;

const methods = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'get', 'PRI'];
const pathsOf = [
  '/write',
  '/read',
  '/stream',
  '/ack',
  '/listChunks',
  '/listCategories',
  '/groups',
  '/groups/a',
  '/pipelines/a',
  '/seal',
  '/status',
  '/nodes/node1',
  '/livez',
  '/readyz',
  '/metrics',
  '/produce',
  '/consume',
  '/replication/stream',
  '/x',
];
const names = [
  'category',
  'chunk',
  'off',
  'max_size',
  'wait_ms',
  'min_bytes',
  'group',
  'from',
  'owner',
  'size',
  'version',
  'change',
  'force',
  'min_sync_replicas',
  'sync_each_write',
  'cluster',
  'node',
  'directory',
  'boot',
  'epoch',
  '__proto__',
  'x',
];
const texts = [
  'logs',
  'a',
  'node1',
  'node1-chunk000000000',
  'node1-chunk000000001',
  '0',
  '1',
  '-1',
  '2',
  '4096',
  '9007199254740993',
  '1e9',
  '0x1',
  'true',
  'earliest',
  'latest',
  'drain',
  '',
  '..',
  '../..',
  '%2e%2e%2f',
  '%00',
  '%0d%0aX-Evil:%201',
  '%',
  '%ff',
  '%F0%9F%98%80',
  '*',
  'NaN',
  'x'.repeat(300),
  'x'.repeat(9_000),
];
const headerLines = [
  'Connection: close',
  'Connection: Upgrade\r\nUpgrade: chukcha/1',
  'Expect: 100-continue',
  'Content-Encoding: gzip',
  'Content-Encoding: br',
  'Content-Type: multipart/form-data; boundary=x',
  'Transfer-Encoding: chunked',
  'Content-Length: 0',
  'Content-Length: 3',
  'Content-Length: 99999999999',
  'Content-Length: -1',
  'Chukcha-Producer: p',
  'Chukcha-Producer: \x80',
  'Chukcha-Sequence: 1',
  'Chukcha-Sequence: -1',
  'Authorization: Bearer x',
  'Authorization: Basic eA==',
  'Host: a',
  `X: ${'y'.repeat(17_000)}`,
  'Range: bytes=0-1',
  'A : b',
  ' folded',
];
const bodies = [
  '',
  'a\n',
  'a',
  '\n',
  'a\nb\n',
  '\0\n',
  '3\r\na\n\r\n0\r\n\r\n',
  '5\r\na',
  '\x1f\x8b\x08',
  '{}',
  '{"host":"a","state":"running","group":"\\u001b"}',
  'x'.repeat(70_000),
  `${'x'.repeat(70_000)}\n`,
];

/** Requests that are taken as they are, of which one part is made odd or none. */
const plain: readonly string[] = [
  'GET /read?category=logs&chunk=node1-chunk000000000&off=0&max_size=4096&wait_ms=0',
  'GET /stream?category=logs&group=a&from=earliest&wait_ms=0',
  'POST /ack?category=logs&chunk=node1-chunk000000000&size=2&group=a',
  'GET /listChunks?category=logs&group=a&version=1&wait_ms=1',
  'PUT /groups/a?category=logs&from=latest',
  'DELETE /groups/a?category=logs',
  'PUT /pipelines/a?kind=ship&category=logs',
  'POST /seal?category=logs',
  'POST /write?category=logs&sync_each_write=true',
  'POST /nodes/node1?change=drain&force=true',
  'GET /groups?category=logs',
  'GET /metrics',
  'GET /status',
  'GET /listCategories',
];

function nearlyPlain(random: SeededRandom): string {
  const words = random.pick(plain);
  const odd =
    random.integer(0, 1) === 0
      ? words
      : words.replace(/=([^&=]*)(?=&|$)/, () => `=${random.pick(texts)}`);
  const body = /^(POST .write|PUT .pipelines)/.test(words) ? random.pick(bodies) : '';
  return `${odd} HTTP/1.1\r\nHost: node\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

function requestOf(random: SeededRandom): string {
  if (random.integer(0, 1) === 0) return nearlyPlain(random);
  const query = Array.from(
    { length: random.integer(0, 5) },
    () => `${random.pick(names)}=${random.pick(texts)}`,
  );
  if (random.integer(0, 2) > 0) query.unshift('category=logs');
  const body = random.pick(bodies);
  const lines = Array.from({ length: random.integer(0, 3) }, () => random.pick(headerLines));
  const length = random.integer(0, 3) === 0 ? [] : [`Content-Length: ${body.length}`];
  const target = random.pick(pathsOf) + (random.integer(0, 9) === 0 ? random.pick(texts) : '');
  const method = random.pick(random.integer(0, 1) === 0 ? ['GET', 'POST'] : methods);
  const first = `${method} ${target}${query.length === 0 ? '' : `?${query.join('&')}`} HTTP/1.1`;
  return `${[first, 'Host: node', ...length, ...lines].join('\r\n')}\r\n\r\n${body}`;
}

/** Sends a request or two, in pieces, and resolves with what came until the end or the limit. */
async function send(url: string, random: SeededRandom, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let answer = '';
  socket.on('data', (piece: Buffer) => {
    answer = (answer + piece.toString('latin1')).slice(0, 20_000);
  });
  socket.on('error', () => undefined);
  const timer = setTimeout(() => socket.destroy(), answerMsMax);
  const bytes = Buffer.from(text, 'latin1');
  for (const piece of random.split(bytes, 3)) socket.write(piece);
  socket.end();
  // A connection that the node resets is one of its answers: `once` would throw.
  await new Promise<void>((resolve) => {
    socket.on('close', () => resolve());
  });
  clearTimeout(timer);
  return answer;
}

async function residentBytes(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^chukcha_resident_bytes (\S+)$/m.exec(text)?.[1]);
}

const directory = await mkdtemp(join(tmpdir(), 'chukcha-fuzz-'));
const node = await CliNode.start(directory, ['--disk-reserve', '0']);
const endMs = performance.now() + Number(values.minutes) * 60_000;
const startMs = performance.now();
let seed = Number(values.seed);
let requestCount = 0;
let baseBytes: number | undefined;
const statuses = new Map<string, number>();
const findings: string[] = [];
try {
  while (performance.now() < endMs && findings.length < 10) {
    const random = new SeededRandom(seed);
    const texts = Array.from({ length: requestsPerSeed }, () => requestOf(random));
    await Promise.all(
      texts.map(async (text) => {
        const answer = await send(node.url, random, text);
        requestCount += 1;
        for (const [, status = ''] of answer.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)) {
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }
        if (/^HTTP\/1\.1 500 |^X-Evil/m.test(answer)) {
          findings.push(
            `seed ${seed}: ${JSON.stringify(text.slice(0, 400))} -> ${answer.slice(0, 400)}`,
          );
        }
      }),
    );
    const live = await fetch(`${node.url}/livez`).then(({ status }) => status, String);
    if (live !== 200) {
      findings.push(`seed ${seed}: the node does not answer any more (${live})`);
      break;
    }
    if (performance.now() - startMs > Math.min(60_000, (endMs - startMs) / 4))
      baseBytes ??= await residentBytes(node.url);
    seed += 1;
  }
  const grownBytes = (await residentBytes(node.url).catch(() => Number.NaN)) - (baseBytes ?? 0);
  if (!(grownBytes < grownBytesMax)) findings.push(`resident memory grew by ${grownBytes} bytes`);
  console.log(
    JSON.stringify(
      {
        seeds: [Number(values.seed), seed - 1],
        requestCount,
        statuses: Object.fromEntries([...statuses].sort()),
        grownBytes,
        findings,
      },
      null,
      2,
    ),
  );
} finally {
  const { exit } = await node.stop();
  if (exit !== 0) findings.push(`the node ended with ${exit}`);
  await rm(directory, { recursive: true, force: true });
}
process.exitCode = findings.length === 0 ? 0 : 1;

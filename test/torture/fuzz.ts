import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { SeededRandom } from '../../src/common/seeded-random.js';
import { routes } from '../../src/server/app.js';
import { doors, type FuzzTarget, guardedNode, memberNode, openNode } from './fuzz-targets.js';
import type { ProbedMemory } from './heap-probe.js';
import { readAnswers } from './read-answers.js';

/**
 * Sends requests with odd paths, parameters, headers, bodies and frames to nodes and inputs in processes of their own,
 * from seeds: every route of the table, streams and replication, with and without TLS and tokens, and all inputs that
 * are servers. Ends with 1 when a process ends, stops answering, answers 500 or what is no answer, or keeps more
 * memory than it had after its first minutes, and when a route was never answered well.
 *
 *     nice node build/test/torture/fuzz.js --minutes 15 --seed 1
 *
 * With `--snapshots` it writes what each process keeps into a directory, six times, as heap snapshots, and does not
 * judge the resident memory: that takes a lot of it.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    /** Requests a second, over all processes. */
    rate: { type: 'string', default: '200' },
    snapshots: { type: 'string' },
  },
});

const requestsPerSeed = 100;
const connectionCountMax = 120;
const answerMsMax = 1_500;
const answerBytesMax = 256 * 1024;
const findingCountMax = 10;
const sampleMs = 30_000;
const snapshotCountMax = 6;

/**
 * What may be kept more than after the first part of the run: compiled code, and tables that are filled up to a limit. A
 * listener that was left behind by one of 16 requests made it 6 MiB in 18 minutes.
 */
const keptBytesMax = 5 * 1024 * 1024;

/** How much the resident memory may grow besides: the collector takes what it likes between two rounds. */
const residentBytesMax = 100 * 1024 * 1024;

/** So many requests reach every route. */
const requestsForAllRoutes = 20_000;

/** All headers that answers have; another one may come from a request. */
const answerHeaders: ReadonlySet<string> = new Set([
  ...['content-type', 'content-length', 'connection', 'keep-alive', 'date', 'transfer-encoding'],
  ...['retry-after', 'allow', 'www-authenticate', 'upgrade', 'etag', 'cache-control', 'vary'],
  ...['content-security-policy', 'x-content-type-options', 'x-frame-options', 'referrer-policy'],
  ...['cross-origin-opener-policy', 'cross-origin-resource-policy', 'x-elastic-product'],
  ...['chukcha-chunk-state', 'chukcha-chunk-size', 'chukcha-next-offset', 'chukcha-owner'],
  ...['chukcha-lag', 'chukcha-cluster-id', 'chukcha-list-version', 'accept-encoding'],
]);

interface Kept {
  readonly resident: number;
  readonly kept: number;
  readonly code: number;
}

interface Memory {
  readonly minute: number;
  /** By target: resident, what was in use after a collection, and how much of that was compiled code; bytes. */
  readonly bytes: Readonly<Record<string, Kept>>;
}

const findings: string[] = [];
const statuses = new Map<string, number>();
const openedStreams = new Set<string>();
const minutes = Number(values.minutes);
let snapshotCount = 0;
let requestCount = 0;

async function exchange(target: FuzzTarget, seed: number, random: SeededRandom): Promise<void> {
  const made = target.makeText(random);
  // Whatever the request was, what follows it must not be answered as something else.
  const isFollowed = made.isHttp && random.integer(0, 2) === 0;
  const text = isFollowed
    ? `${made.text}GET /livez HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n`
    : made.text;
  const answer = await send(target, made.port, random, text);
  requestCount += 1;
  if (!made.isHttp) return;
  const { answers, fault } = readAnswers(answer, made.text.startsWith('HEAD '));
  const what = new Set(fault === undefined ? [] : [fault]);
  for (const { status, headers, body } of answers) {
    statuses.set(`${target.name} ${status}`, (statuses.get(`${target.name} ${status}`) ?? 0) + 1);
    if (status === 500 || /"code":"internal/.test(body)) what.add('an internal error');
    if (status === 101) openedStreams.add(/^GET (\/[^?]*)/.exec(made.text)?.[1] ?? '');
    for (const name of headers.keys()) if (!answerHeaders.has(name)) what.add(`header ${name}`);
  }
  for (const reason of what) {
    findings.push(`${target.name}, seed ${seed}: ${reason}: ${quoted(text)} -> ${quoted(answer)}`);
  }
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 600));
}

/** Sends the bytes in pieces, and resolves with what came until the end or the limit. */
async function send(target: FuzzTarget, port: number, random: SeededRandom, text: string) {
  const socket = target.connect(port);
  const pieces: Buffer[] = [];
  let byteCount = 0;
  socket.on('data', (piece: Buffer) => {
    byteCount += piece.length;
    if (byteCount <= answerBytesMax) pieces.push(piece);
    else socket.destroy();
  });
  socket.on('error', () => undefined);
  const timer = setTimeout(() => socket.destroy(), answerMsMax);
  for (const piece of random.split(Buffer.from(text, 'latin1'), 3)) socket.write(piece);
  // Some clients stay; the others have said all that they have to say.
  if (random.integer(0, 9) > 0) socket.end();
  // A connection that the node resets is one of its answers: `once` would throw.
  await new Promise<void>((resolve) => {
    socket.on('close', () => resolve());
  });
  clearTimeout(timer);
  return Buffer.concat(pieces).toString('latin1');
}

/** The first one soon, the last one at the end. */
function isSnapshotDue(minute: number): boolean {
  if (values.snapshots === undefined || snapshotCount === snapshotCountMax) return false;
  return snapshotCount <= (snapshotCountMax - 1) * (minute / minutes);
}

async function memoryOf(targets: readonly FuzzTarget[], minute: number): Promise<Memory> {
  const entries = targets.map(async ({ name, pid }) => {
    const path = `${process.env['HEAP_PROBE_FILE']}.${pid}`;
    await rm(path, { force: true });
    if (isSnapshotDue(minute)) {
      const snapshot = `${name}-${minute}.heapsnapshot`;
      await writeFile(`${path}.snapshot`, resolve(values.snapshots ?? '', snapshot));
    }
    process.kill(pid, 'SIGUSR2');
    let text: string | undefined;
    // A process that has no time for it for so long does not answer requests either.
    for (let triesLeft = 300; text === undefined && triesLeft > 0; triesLeft -= 1) {
      await delay(100);
      text = await readFile(path, 'utf8').catch(() => undefined);
    }
    if (text === undefined) throw new Error(`${name} does not tell what memory it has.`);
    const { heapUsed, external, rss, code } = JSON.parse(text) as ProbedMemory;
    return [name, { resident: rss, kept: heapUsed + external, code }] as const;
  });
  const bytes = Object.fromEntries(await Promise.all(entries));
  if (isSnapshotDue(minute)) snapshotCount += 1;
  return { minute, bytes };
}

/** What every target has grown by since the first sample after a fourth of the run, or two minutes. */
function judgeMemory(samples: readonly Memory[], minutes: number): void {
  const base = samples.find(({ minute }) => minute >= Math.min(2, minutes / 4));
  const last = samples.at(-1);
  for (const [name, { resident, kept }] of Object.entries(last?.bytes ?? {})) {
    const before = base?.bytes[name];
    if (before === undefined) continue;
    const isLarger =
      values.snapshots === undefined && resident - before.resident > residentBytesMax;
    if (kept - before.kept > keptBytesMax || isLarger) {
      findings.push(
        `${name} keeps ${kept} bytes after ${before.kept}, and has ${resident} after ${before.resident}`,
      );
    }
  }
}

/** Which routes were never answered as they should be. */
async function judgeRoutes(targets: readonly FuzzTarget[]): Promise<void> {
  const texts = await Promise.all(targets.map(({ ask }) => ask('/metrics')));
  const answered = new Set(
    [...texts.join('\n').matchAll(/^chukcha_requests_total\{route="(.+?)",status="2\d\d"\}/gm)].map(
      ([, route]) => route,
    ),
  );
  const patterns = new Set(routes.map(({ path }) => path));
  for (const path of [...patterns, '/replication/stream']) {
    if (!answered.has(path) && !openedStreams.has(path)) findings.push(`${path} was never reached`);
  }
}

const root = await mkdtemp(join(tmpdir(), 'chukcha-fuzz-'));
process.env['HEAP_PROBE_FILE'] = join(root, 'heap');
const probe = pathToFileURL(join(import.meta.dirname, 'heap-probe.js')).href;
process.env['NODE_OPTIONS'] = `${process.env['NODE_OPTIONS'] ?? ''} --import ${probe}`;
const targets: FuzzTarget[] = [];
const samples: Memory[] = [];
const startMs = performance.now();
const minutesNow = (): number => Math.round((performance.now() - startMs) / 6_000) / 10;
let seed = Number(values.seed);
try {
  const open = await openNode(root);
  targets.push(open, await guardedNode(root), await memberNode(root));
  targets.push(await doors(root, `http://127.0.0.1:${open.makeText(new SeededRandom(1)).port}`));
  const under = new Set<Promise<void>>();
  let sampledMs = startMs;
  for (; minutesNow() < minutes && findings.length < findingCountMax; seed += 1) {
    const target = targets[seed % targets.length] as FuzzTarget;
    const seedMs = performance.now();
    for (let index = 0; index < requestsPerSeed; index += 1) {
      while (under.size >= connectionCountMax) await Promise.race(under);
      const random = new SeededRandom(seed * requestsPerSeed + index);
      const one = exchange(target, seed, random).finally(() => under.delete(one));
      under.add(one);
    }
    await delay((requestsPerSeed / Number(values.rate)) * 1_000 - (performance.now() - seedMs));
    if ((await target.ask('/livez')) === undefined) {
      findings.push(`seed ${seed}: ${target.name} does not answer any more`);
      break;
    }
    if (performance.now() - sampledMs < sampleMs) continue;
    sampledMs = performance.now();
    samples.push(await memoryOf(targets, minutesNow()));
    console.log(
      JSON.stringify({ seed, requestCount, findings: findings.length, ...samples.at(-1) }),
    );
  }
  await Promise.all(under);
  samples.push(await memoryOf(targets, minutesNow()));
  judgeMemory(samples, minutes);
  if (requestCount >= requestsForAllRoutes) await judgeRoutes(targets.slice(0, 3));
} finally {
  for (const { name, stop } of targets.reverse()) {
    const { exit, stderr } = await stop();
    if (exit !== 0) findings.push(`${name} ended with ${exit}: ${stderr.slice(-2_000)}`);
    const failures = stderr.split('\n').filter((line) => /^\S+ error /.test(line));
    for (const line of failures.slice(0, 5)) findings.push(`${name} logs ${line.slice(0, 500)}`);
  }
  await rm(root, { recursive: true, force: true });
}
const report = {
  seeds: [Number(values.seed), seed - 1],
  requestCount,
  statuses: Object.fromEntries([...statuses].sort()),
  findings,
};
console.log(JSON.stringify(report, null, 2));
process.exitCode = findings.length === 0 ? 0 : 1;

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChildServer } from './support/child-server.js';
import { makeLines } from './support/make-lines.js';
import { postLoad } from './support/post-load.js';
import { pretouch } from './support/pretouch.js';
import { median, percentile } from './support/statistics.js';
import { printTable } from './support/table.js';

const MIB = 1024 * 1024;
const roundCount = 9;
/** What is written before the pages that `pretouch` has freed are cold again. */
const roundBytes = 256 * MIB;

interface Round {
  readonly mibPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuSecondsPerGb: number;
}

/** `POST /write` with large batches, in turn with a plain Node server that appends the same bodies. */
export async function benchWriteBatches(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'chukcha-bench-'));
  const rows: string[][] = [];
  try {
    for (const batchBytes of [1 * MIB, 4 * MIB]) {
      for (const connectionCount of [1, 4]) {
        rows.push(await compare(directory, batchBytes, connectionCount));
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  printTable(
    [
      'batch x connections',
      'floor MiB/s',
      'chukcha MiB/s',
      'ratio',
      'p50 ms',
      'p99 ms',
      'CPU s/GB (floor)',
      'peak MiB',
    ],
    rows,
  );
}

async function compare(
  directory: string,
  batchBytes: number,
  connectionCount: number,
): Promise<string[]> {
  const body = makeLines(batchBytes);
  const floorRounds: Round[] = [];
  const nodeRounds: Round[] = [];
  let memoryPeakMib = 0;
  const fresh = join(directory, 'pretouch');
  // In turn, each on fresh files: what the machine does besides then touches both alike.
  for (let round = 0; round < roundCount; round += 1) {
    const floorPath = join(directory, 'floor');
    const floor = await ChildServer.start(['build/bench/support/floor-server.js', floorPath]);
    floorRounds.push(await measure(floor, fresh, '/', body, connectionCount));
    await floor.stop();
    rmSync(floorPath);
    const dataPath = join(directory, 'data');
    const node = await ChildServer.start([
      'bin/run.js',
      'serve',
      '--data',
      dataPath,
      '--listen',
      '127.0.0.1:0',
    ]);
    nodeRounds.push(await measure(node, fresh, '/write?category=bench', body, connectionCount));
    memoryPeakMib = Math.max(memoryPeakMib, node.memoryPeakMib());
    await node.stop();
    rmSync(dataPath, { recursive: true });
  }
  const rate = (rounds: readonly Round[]): number =>
    median(rounds.map((round) => round.mibPerSecond));
  const ratios = nodeRounds.map(
    (round, index) => round.mibPerSecond / (floorRounds[index]?.mibPerSecond ?? Number.NaN),
  );
  const cpu = (rounds: readonly Round[]): string =>
    median(rounds.map((round) => round.cpuSecondsPerGb)).toFixed(2);
  return [
    `${batchBytes / MIB} MiB x ${connectionCount}`,
    rate(floorRounds).toFixed(0),
    rate(nodeRounds).toFixed(0),
    median(ratios).toFixed(2),
    median(nodeRounds.map((round) => round.p50Ms)).toFixed(2),
    median(nodeRounds.map((round) => round.p99Ms)).toFixed(2),
    `${cpu(nodeRounds)} (${cpu(floorRounds)})`,
    memoryPeakMib.toFixed(0),
  ];
}

async function measure(
  server: ChildServer,
  pretouchPath: string,
  path: string,
  body: Buffer,
  connectionCount: number,
): Promise<Round> {
  const load = { url: server.url, path, body, connectionCount };
  await postLoad({ ...load, requestCount: 20 });
  pretouch(pretouchPath);
  const cpuBefore = server.cpuSeconds();
  const startMs = performance.now();
  const requestCount = Math.floor(roundBytes / body.length);
  const timesMs = await postLoad({ ...load, requestCount });
  const seconds = (performance.now() - startMs) / 1_000;
  const byteCount = requestCount * body.length;
  return {
    mibPerSecond: byteCount / MIB / seconds,
    p50Ms: percentile(timesMs, 0.5),
    p99Ms: percentile(timesMs, 0.99),
    cpuSecondsPerGb: (server.cpuSeconds() - cpuBefore) / (byteCount / 1e9),
  };
}

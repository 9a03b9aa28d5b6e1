import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchOptions } from './support/bench-options.js';
import type { ChildServer } from './support/child-server.js';
import {
  byteUnit,
  type Comparison,
  compare,
  comparisonHeads,
  requestUnit,
  togetherSchedule,
} from './support/compare.js';
import { runHttpLoad } from './support/http-load.js';
import { makeLines } from './support/make-lines.js';
import { NodeCluster } from './support/node-cluster.js';
import { pretouch } from './support/pretouch.js';
import { makeRequest, repeatRequest } from './support/requests.js';
import { startFloor, startRawResponder } from './support/servers.js';
import { median } from './support/statistics.js';
import { printTable } from './support/table.js';
import { memberSide } from './support/write-sides.js';

const MIB = 1024 * 1024;
const message = makeLines(200);
const batch = makeLines(1 * MIB);
const writeRequest = makeRequest('POST', '/write?category=bench', batch);
const warmUpMs = 1_000;
const timedMs = 500;
/** What is written before the pages that `pretouch` has freed are cold again. */
const backlogBytes = 256 * MIB;
const followRoundCount = 5;

/**
 * What a write costs that waits for a replica, beside the same write at the same node that does not; and how fast
 * replicas get what is stored, beside a copy of as many bytes over a loopback socket.
 */
export async function benchReplicated(options: BenchOptions): Promise<void> {
  await withCluster(2, async (cluster) => {
    const [node] = cluster.nodes;
    if (node === undefined) return;
    const comparisons: Comparison[] = [
      { body: message, unit: requestUnit, load: { connectionCount: 1 }, name: '200 B x 1' },
      { body: message, unit: requestUnit, load: { connectionCount: 64 }, name: '200 B x 64' },
      { body: batch, unit: byteUnit(MIB), load: { connectionCount: 4 }, name: '1 MiB x 4' },
    ].map(({ body, unit, load, name }) => ({
      name,
      unit,
      sides: [
        memberSide('replicated meanwhile', node, body, load),
        memberSide('min_sync_replicas=1', node, body, load, '&min_sync_replicas=1'),
      ],
      warmUp: { durationMs: warmUpMs },
      timed: { durationMs: timedMs },
      schedule: togetherSchedule,
    }));
    for (const comparison of comparisons) {
      printTable(
        comparisonHeads('body x connections', comparison.unit),
        await compare(comparison, options),
      );
    }
  });
  await benchFollow(options);
}

/** A node with some chunks, and nodes that join with nothing. */
async function benchFollow({ quick }: BenchOptions): Promise<void> {
  const rates: Record<'copy' | 'file' | 'one' | 'two', number[]> = {
    copy: [],
    file: [],
    one: [],
    two: [],
  };
  await withCluster(1, async (cluster, directory) => {
    const [node] = cluster.nodes;
    if (node === undefined) return;
    const load = { connectionCount: 4, takeRequests: repeatRequest(writeRequest) };
    await runHttpLoad(node.url, load, { requestCount: backlogBytes / MIB });
    for (let round = 0; round < (quick ? 1 : followRoundCount); round += 1) {
      rates.copy.push(await copyRate());
      rates.file.push(await fileRate(directory));
      rates.one.push(await followRate(cluster, directory, [`one${round}`]));
      rates.two.push(await followRate(cluster, directory, [`two${round}a`, `two${round}b`]));
    }
  });
  const copy = median(rates.copy);
  const row = (name: string, values: readonly number[]): readonly string[] => {
    const sorted = [...values].sort((a, b) => a - b);
    const range = `${sorted.at(0)?.toFixed(0)}-${sorted.at(-1)?.toFixed(0)}`;
    return [name, median(values).toFixed(0), range, (median(values) / copy).toFixed(2)];
  };
  printTable(
    [`${backlogBytes / MIB} MiB of stored chunks`, 'MB/s of each', 'lowest-highest', 'to the copy'],
    [
      row('loopback socket copy', rates.copy),
      row('copy into a file (floor)', rates.file),
      row('one replica', rates.one),
      row('two replicas at once', rates.two),
    ],
  );
}

async function followRate(
  cluster: NodeCluster,
  directory: string,
  names: readonly string[],
): Promise<number> {
  pretouch(join(directory, 'pretouch'));
  const bytesPerSecond = await cluster.follow(directory, names);
  for (const name of names) rmSync(join(directory, name), { recursive: true, force: true });
  return bytesPerSecond / 1e6;
}

/** How fast as many bytes go from one process to another and are thrown away there. */
async function copyRate(): Promise<number> {
  const request = makeRequest('GET', '/');
  return await loadRate(await startRawResponder(request.length, MIB), request);
}

/** How fast as many bytes go from one process to another that appends them to a file, one request after another. */
async function fileRate(directory: string): Promise<number> {
  const floorDirectory = join(directory, 'floor');
  mkdirSync(floorDirectory);
  const server = await startFloor(floorDirectory);
  pretouch(join(directory, 'pretouch'));
  const rate = await loadRate(server, writeRequest);
  rmSync(floorDirectory, { recursive: true });
  return rate;
}

async function loadRate(server: ChildServer, request: Buffer): Promise<number> {
  try {
    const load = { connectionCount: 1, takeRequests: repeatRequest(request) };
    const { seconds } = await runHttpLoad(server.url, load, { requestCount: backlogBytes / MIB });
    return backlogBytes / seconds / 1e6;
  } finally {
    await server.stop();
  }
}

async function withCluster(
  nodeCount: number,
  use: (cluster: NodeCluster, directory: string) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'chukcha-bench-'));
  try {
    const cluster = await NodeCluster.start(directory, nodeCount);
    await use(cluster, directory).finally(() => cluster.stop());
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

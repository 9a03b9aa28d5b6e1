import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchOptions } from './support/bench-options.js';
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
import { makeRequest, repeatRequest } from './support/requests.js';
import { startRawResponder } from './support/servers.js';
import { median } from './support/statistics.js';
import { printTable } from './support/table.js';
import { memberSide } from './support/write-sides.js';

const MIB = 1024 * 1024;
const message = makeLines(200);
const batch = makeLines(1 * MIB);
const warmUpMs = 1_000;
const timedMs = 500;
const backlogBytes = 1024 * MIB;
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

/** A node with a gigabyte, and nodes that join with nothing. */
async function benchFollow({ quick }: BenchOptions): Promise<void> {
  const rates: Record<'copy' | 'one' | 'two', number[]> = { copy: [], one: [], two: [] };
  await withCluster(1, async (cluster, directory) => {
    const [node] = cluster.nodes;
    if (node === undefined) return;
    const request = makeRequest('POST', '/write?category=bench', batch);
    const load = { connectionCount: 4, takeRequests: repeatRequest(request) };
    await runHttpLoad(node.url, load, { requestCount: backlogBytes / MIB });
    for (let round = 0; round < (quick ? 1 : followRoundCount); round += 1) {
      rates.copy.push(await copyRate());
      rates.one.push(await followRate(cluster, directory, [`one${round}`]));
      rates.two.push(await followRate(cluster, directory, [`two${round}a`, `two${round}b`]));
    }
  });
  const copy = median(rates.copy);
  printTable(
    ['1 GiB of stored chunks', 'MB/s of each', 'to the copy'],
    [
      ['loopback socket copy', copy.toFixed(0), '1'],
      ['one replica', median(rates.one).toFixed(0), (median(rates.one) / copy).toFixed(2)],
      ['two replicas at once', median(rates.two).toFixed(0), (median(rates.two) / copy).toFixed(2)],
    ],
  );
}

async function followRate(
  cluster: NodeCluster,
  directory: string,
  names: readonly string[],
): Promise<number> {
  const bytesPerSecond = await cluster.follow(directory, names);
  for (const name of names) rmSync(join(directory, name), { recursive: true, force: true });
  return bytesPerSecond / 1e6;
}

/** How fast as many bytes go from one process to another and are thrown away there. */
async function copyRate(): Promise<number> {
  const request = makeRequest('GET', '/');
  const server = await startRawResponder(request.length, MIB);
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

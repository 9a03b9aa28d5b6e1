import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '../src/index.js';
import type { BenchOptions } from './support/bench-options.js';
import type { ChildServer } from './support/child-server.js';
import { HeldConnections } from './support/held-connections.js';
import { runHttpLoad } from './support/http-load.js';
import { makeLines } from './support/make-lines.js';
import { planReads, sealedChunks } from './support/plan-reads.js';
import { cycleRequests, makeRequest, repeatRequest } from './support/requests.js';
import { startFloor, startNode } from './support/servers.js';
import { printTable } from './support/table.js';

const MB = 1_000_000;
const MIB = 1024 * 1024;
const category = 'bench';
const writePath = `/write?category=${category}`;
/** A line ends at every MB, so that reads of this size come whole. */
const batch = makeLines(1 * MB);
const stepBytes = 500 * MB;
const connectionCount = 4;

const idleCounts = [1_000, 5_000];
const stalledCount = 64;
const stalledBodyBytes = 1 * MIB;
/** Enough to load all code, and too few to make the heap grow ahead of what the connections need. */
const warmUpCount = 200;

/** Whose connections are measured, and where it takes writes. */
interface Holder {
  readonly name: string;
  readonly path: string;
  start(directory: string): Promise<ChildServer>;
}

const holders: readonly Holder[] = [
  { name: 'floor', path: '/', start: startFloor },
  { name: 'chukcha', path: writePath, start: startNode },
];

/** What a node holds while data moves through it, and for connections that do nothing or stop half-way. */
export async function benchMemory({ quick }: BenchOptions): Promise<void> {
  await onServer(startNode, (node) => moveData(node, (quick ? 1_500 : 10_000) * MB));
  const rows: string[][] = [];
  for (const { name, path, start } of holders) {
    await onServer(start, (server) => holdIdle(name, server, path, rows));
    await onServer(start, (server) => holdStalled(name, server, path, rows));
  }
  printTable(
    ['connections', 'server', 'RSS before MiB', 'RSS with them MiB', 'KiB per connection'],
    rows,
  );
}

async function onServer(
  start: (directory: string) => Promise<ChildServer>,
  run: (server: ChildServer) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'chukcha-bench-'));
  try {
    const server = await start(directory);
    await run(server).finally(() => server.stop());
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Writes, reads and acknowledges step by step, so that the disk never holds more than a step. */
async function moveData(node: ChildServer, totalBytes: number): Promise<void> {
  const writeRequest = makeRequest('POST', writePath, batch);
  const writeLoad = { connectionCount, takeRequests: repeatRequest(writeRequest) };
  const client = new Client({ server: node.url.origin });
  const startMib = node.memoryMib();
  const rows: string[][] = [];
  for (let movedBytes = stepBytes; movedBytes <= totalBytes; movedBytes += stepBytes) {
    await runHttpLoad(node.url, writeLoad, { requestCount: stepBytes / batch.length });
    const chunks = await sealedChunks(client, category);
    const reads = planReads(category, chunks, batch.length);
    const readLoad = {
      connectionCount,
      takeRequests: cycleRequests(reads),
      answerBodyBytes: batch.length,
    };
    await runHttpLoad(node.url, readLoad, { requestCount: reads.length });
    for (const { name, size } of chunks) await client.ack(category, name, size);
    rows.push([(movedBytes / 1e9).toFixed(1), node.memoryMib().toFixed(0)]);
  }
  printTable(['GB written and read', 'RSS MiB'], rows);
  const ends = [startMib, node.memoryPeakMib(), node.memoryMib()].map((mib) => mib.toFixed(0));
  printTable(['RSS at the start MiB', 'peak MiB', 'end MiB'], [ends]);
}

/** Connections that were used once and are kept open. */
async function holdIdle(
  name: string,
  server: ChildServer,
  path: string,
  rows: string[][],
): Promise<void> {
  const request = makeRequest('POST', path, makeLines(200));
  const beforeMib = await memoryBefore(server, request);
  const held = new HeldConnections(server.url);
  try {
    for (const count of idleCounts) {
      await held.grow(count, (connection) => connection.exchange(request));
      const withMib = await server.steadyMemoryMib();
      held.check();
      rows.push(toRow(`${count} idle`, name, beforeMib, withMib, count));
    }
  } finally {
    held.close();
  }
}

/** Connections that sent half of a body of 1 MiB and nothing more. */
async function holdStalled(
  name: string,
  server: ChildServer,
  path: string,
  rows: string[][],
): Promise<void> {
  const request = makeRequest('POST', path, makeLines(stalledBodyBytes));
  const half = request.subarray(0, request.length - stalledBodyBytes / 2);
  const beforeMib = await memoryBefore(server, makeRequest('POST', path, makeLines(200)));
  const held = new HeldConnections(server.url);
  try {
    await held.grow(stalledCount, (connection) => connection.send(half));
    const withMib = await server.steadyMemoryMib();
    held.check();
    const title = `${stalledCount} with 512 KiB of a body of 1 MiB`;
    rows.push(toRow(title, name, beforeMib, withMib, stalledCount));
  } finally {
    held.close();
  }
}

async function memoryBefore(server: ChildServer, request: Buffer): Promise<number> {
  const load = { connectionCount, takeRequests: repeatRequest(request) };
  await runHttpLoad(server.url, load, { requestCount: warmUpCount });
  return server.steadyMemoryMib();
}

function toRow(
  title: string,
  name: string,
  beforeMib: number,
  withMib: number,
  count: number,
): string[] {
  const kibEach = ((withMib - beforeMib) * 1024) / count;
  return [title, name, beforeMib.toFixed(0), withMib.toFixed(0), kibEach.toFixed(1)];
}

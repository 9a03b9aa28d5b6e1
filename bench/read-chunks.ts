import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type ListedChunk } from '../src/index.js';
import type { BenchOptions } from './support/bench-options.js';
import {
  byteUnit,
  compare,
  comparisonHeads,
  type Side,
  togetherSchedule,
} from './support/compare.js';
import { runHttpLoad } from './support/http-load.js';
import { makeLines } from './support/make-lines.js';
import { planReads, sealedChunks } from './support/plan-reads.js';
import { cycleRequests, makeRequest, repeatRequest } from './support/requests.js';
import { startNode, startRawResponder } from './support/servers.js';
import { printTable } from './support/table.js';

const MIB = 1024 * 1024;
const category = 'bench';
/** Five chunks of 20 MiB, each of 20 of these batches: a line ends at every MiB. */
const batch = makeLines(1 * MIB);
const dataBytes = 100 * MIB;
const warmUpBytes = 128 * MIB;
const roundBytes = 512 * MIB;

/** `GET /read` of sealed chunks in the page cache, in turn with a server that only sends as many bytes. */
export async function benchReadChunks(options: BenchOptions): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'chukcha-bench-'));
  const dataPath = join(directory, 'data');
  const rows: string[][] = [];
  try {
    const chunks = await fillChunks(dataPath);
    for (const readBytes of [1 * MIB, 4 * MIB]) {
      for (const connectionCount of [1, 4]) {
        const common = { connectionCount, answerBodyBytes: readBytes };
        const copyRequest = makeRequest('GET', '/');
        const copySide: Side = {
          name: 'loopback copy',
          start: () => startRawResponder(copyRequest.length, readBytes),
          load: { ...common, takeRequests: repeatRequest(copyRequest) },
        };
        const nodeSide: Side = {
          name: 'chukcha',
          start: () => startNode(dataPath),
          load: {
            ...common,
            takeRequests: cycleRequests(planReads(category, chunks, readBytes)),
          },
        };
        const comparison = {
          name: `${readBytes / MIB} MiB x ${connectionCount}`,
          sides: [copySide, nodeSide],
          unit: byteUnit(readBytes),
          warmUp: { requestCount: warmUpBytes / readBytes },
          timed: { requestCount: roundBytes / readBytes },
          schedule: togetherSchedule,
        };
        rows.push(...(await compare(comparison, options)));
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  printTable(comparisonHeads('read x connections', byteUnit(MIB)), rows);
}

/**
 * Writes the chunks that all rounds read, and checks once what comes back. They are sealed and on disk when
 * the node has stopped and started again, so no round meets their being flushed.
 */
async function fillChunks(dataPath: string): Promise<ListedChunk[]> {
  const writer = await startNode(dataPath);
  try {
    const request = makeRequest('POST', `/write?category=${category}`, batch);
    const load = { connectionCount: 1, takeRequests: repeatRequest(request) };
    await runHttpLoad(writer.url, load, { requestCount: dataBytes / batch.length });
  } finally {
    await writer.stop();
  }
  const reader = await startNode(dataPath);
  try {
    const client = new Client({ server: reader.url.origin });
    const chunks = await sealedChunks(client, category);
    for (const chunk of chunks) await checkContent(client, chunk);
    return chunks;
  } finally {
    await reader.stop();
  }
}

async function checkContent(client: Client, { name, size }: ListedChunk): Promise<void> {
  for (let offset = 0; offset < size; offset += batch.length) {
    const { bytes } = await client.read(category, {
      chunk: name,
      offset,
      byteCountMax: batch.length,
    });
    if (!bytes.equals(batch))
      throw new Error(`Chunk ${name} has other bytes at ${offset} than were written.`);
  }
}

import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { plugin } from '@chukcha/output-clickhouse';
import type { Output } from '@chukcha/plugin-api';
import { createTestOutputContext } from '@chukcha/plugin-api/conformance';
import type { BenchOptions } from './support/bench-options.js';
import { ChildServer } from './support/child-server.js';
import { formatRatios, median } from './support/statistics.js';
import { printTable } from './support/table.js';

const MIB = 1024 * 1024;
/** What the output advises. */
const batchBytes = 8 * MIB;
const requestsInFlight = 2;
const never = new AbortController().signal;

/** Messages are objects of about 200 bytes. */
const batch = makeObjects(batchBytes);
const messageCount = batch.filter((byte) => byte === 0x0a).length;

/** Sends one batch; the number names it. */
type Send = (number: number) => Promise<unknown>;

/**
 * What the ClickHouse output costs beside a plain loop that posts the same bytes over as many connections, to a target
 * that throws them away; and what it holds in memory.
 */
export async function benchClickhouseOutput({ quick, self }: BenchOptions): Promise<void> {
  const [roundCount, batchCount] = quick ? [5, 16] : [15, 48];
  const server = await ChildServer.start([
    fileURLToPath(new URL('./support/discarding-clickhouse.js', import.meta.url)),
  ]);
  const plainAgent = new Agent({ keepAlive: true, maxSockets: requestsInFlight });
  const [none, gzip] = [await openOutput(server.url, 'none'), await openOutput(server.url, 'gzip')];
  // First of all, because the most memory that a process ever held does not go down again.
  await showMemory(quick ? 50 : 250, none, gzip);
  const sides: readonly (readonly [name: string, send: Send])[] = [
    ['plain loop', (): Promise<void> => post(server.url, plainAgent)],
    self
      ? ['plain loop again', (): Promise<void> => post(server.url, plainAgent)]
      : ['output', (number) => write(none, number)],
    ['output, gzip', (number) => write(gzip, number)],
  ];
  const rates = sides.map((): number[] => []);
  for (let round = 0; round <= roundCount; round += 1) {
    const order = [...sides.keys()];
    for (const side of round % 2 === 0 ? order : order.toReversed()) {
      const rate = await measure(
        sides[side]?.[1] ?? post.bind(undefined, server.url, plainAgent),
        batchCount,
      );
      // The first round warms up.
      if (round > 0) rates[side]?.push(rate);
    }
  }
  printTable(
    ['8 MiB x 2', 'MiB/s', 'ratio (quartiles)'],
    sides.map(([name], side) => {
      const ratios = (rates[side] ?? []).map((rate, round) => rate / (rates[0]?.[round] ?? 0));
      return [name, median(rates[side] ?? []).toFixed(0), side === 0 ? '1' : formatRatios(ratios)];
    }),
  );
  const ratio = batch.length / gzipSync(batch, { level: 1 }).length;
  console.log(`gzip makes these messages ${ratio.toFixed(1)} times smaller.\n`);
  await Promise.all([none.close(), gzip.close()]);
  plainAgent.destroy();
  await server.stop();
}

async function openOutput(url: URL, compression: string): Promise<Output> {
  const { open } = await plugin.load();
  const options = {
    ...{ host: url.hostname, port: Number(url.port), compression, format: 'json' },
    ...{ column: 'message', id_column: 'id', unknown_fields: 'stop', settings: [] },
    ...{ timeout_seconds: 60 },
  };
  return open(options, createTestOutputContext());
}

function write(output: Output, number: number): Promise<unknown> {
  const place = { category: 'logs', cluster: 'c1', chunk: 'node1-chunk000000000' };
  const offset = number * batch.length;
  return output.write({ ...place, offset, bytes: batch, messageCount, token: `${number}` }, never);
}

/** As little as a client of Node can do. */
async function post(url: URL, agent: Agent): Promise<void> {
  const query = 'INSERT INTO default.logs FORMAT JSONEachRow';
  const sent = request({
    host: url.hostname,
    port: url.port,
    agent,
    method: 'POST',
    path: `/?${new URLSearchParams({ query })}`,
    headers: { 'Content-Length': batch.length },
  });
  sent.end(batch);
  const [response] = await once(sent, 'response');
  response.resume();
  await once(response, 'end');
}

/** MiB/s. */
async function measure(send: Send, batchCount: number): Promise<number> {
  const startedMs = performance.now();
  await sendAll(send, batchCount, requestsInFlight);
  return (batchCount * batch.length) / MIB / ((performance.now() - startedMs) / 1000);
}

async function sendAll(send: Send, batchCount: number, inFlight: number): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < batchCount) {
      next += 1;
      await send(next);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}

/** How much more than the batch itself the process has held, with one insert at a time and with two. */
async function showMemory(batchCount: number, none: Output, gzip: Output): Promise<void> {
  await sendAll((number) => write(none, number), 2, 1);
  const beforeMib = process.memoryUsage().rss / MIB;
  const rows: string[][] = [];
  for (const [name, output, inFlight] of [
    ['one at a time', none, 1],
    ['two at a time', none, 2],
    ['two at a time, gzip', gzip, 2],
  ] as const) {
    await sendAll((number) => write(output, number), batchCount, inFlight);
    const peakMib = process.resourceUsage().maxRSS / 1024;
    rows.push([name, (batchCount * 8).toFixed(0), (peakMib - beforeMib).toFixed(0)]);
  }
  printTable(['8 MiB, sent from one buffer', 'MiB sent', 'most memory above the start, MiB'], rows);
}

function makeObjects(byteCount: number): Buffer {
  const lines: string[] = [];
  for (let size = 0, id = 0; size < byteCount; id += 1) {
    const message = `GET /books/${id % 97} ${200 + (id % 5)} ${(id * 7919) % 1000} ms visitor=${(id * 104_729) % 100_000}`;
    const line = JSON.stringify({
      id: `e${id}`,
      time: 1_795_000_000 + id,
      level: 'info',
      message,
      padding: 'x'.repeat(60),
    });
    size += line.length + 1;
    lines.push(line);
  }
  return Buffer.from(`${lines.join('\n')}\n`);
}

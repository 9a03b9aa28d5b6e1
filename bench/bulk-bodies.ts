import { Agent, request as requestHttp } from 'node:http';
import type { Output, OutputBatch, PluginOptions } from '@chukcha/plugin-api';
import { createTestOutputContext } from '@chukcha/plugin-api/conformance';
import type { BenchOptions } from './support/bench-options.js';
import { ChildServer } from './support/child-server.js';
import { median } from './support/statistics.js';
import { printTable } from './support/table.js';

const MIB = 1024 * 1024;
const batchBytes = 4 * MIB;

/** Sizes of messages: short ones cost most, because each has an action line. */
const messageBytesOf = [100, 200, 1_000];

interface Side {
  readonly name: string;
  send(batch: OutputBatch): Promise<void>;
  close(): Promise<void>;
}

interface Figures {
  readonly milliseconds: number;
  readonly cpuMilliseconds: number;
}

/**
 * What making `_bulk` requests costs: batches of 4 MiB through the output, in turn with a loop that copies ready bodies of
 * the same bytes and posts them, both to a server that throws bytes away and answers with a result for each document.
 */
export async function benchBulkBodies({ quick, self }: BenchOptions): Promise<void> {
  const roundCount = quick ? 5 : 25;
  const rows: string[][] = [];
  for (const messageBytes of messageBytesOf) {
    const batch = createBatch(messageBytes);
    const server = await ChildServer.start([
      'build/bench/support/bulk-sink.js',
      String(batch.messageCount),
    ]);
    const sides = [
      createCopySide('copy loop', batch, server.url),
      ...(self
        ? [createCopySide('copy loop again', batch, server.url)]
        : [
            await createOutputSide('output', server.url, {}),
            await createOutputSide('output, gzip', server.url, { gzip: true }),
          ]),
    ];
    const results = await runRounds(sides, batch, roundCount);
    rows.push(...describe(messageBytes, sides, results));
    for (const side of sides) await side.close();
    await server.stop();
  }
  const memory = Math.round(process.resourceUsage().maxRSS / 1024);
  printTable(['message bytes', 'side', 'MiB/s', 'ratio', 'CPU ms/batch', 'ratio of CPU'], rows);
  console.log(`The most memory that the process held: ${memory} MiB.\n`);
}

async function runRounds(
  sides: readonly Side[],
  batch: OutputBatch,
  roundCount: number,
): Promise<Figures[][]> {
  const results: Figures[][] = sides.map(() => []);
  for (let round = -2; round < roundCount; round += 1) {
    const order = [...sides.keys()];
    if (round % 2 !== 0) order.reverse();
    for (const index of order) {
      const figures = await measure(sides[index] as Side, batch);
      // The first rounds warm up.
      if (round >= 0) results[index]?.push(figures);
    }
  }
  return results;
}

async function measure(side: Side, batch: OutputBatch): Promise<Figures> {
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  await side.send(batch);
  const milliseconds = performance.now() - startedMs;
  const { user, system } = process.cpuUsage(cpu);
  return { milliseconds, cpuMilliseconds: (user + system) / 1_000 };
}

function describe(
  messageBytes: number,
  sides: readonly Side[],
  results: readonly (readonly Figures[])[],
): string[][] {
  const base = results[0] ?? [];
  return sides.map(({ name }, index) => {
    const rounds = results[index] ?? [];
    const ratio = (of: (figures: Figures) => number): string =>
      median(rounds.map((figures, round) => of(base[round] as Figures) / of(figures))).toFixed(2);
    return [
      String(messageBytes),
      name,
      median(rounds.map(({ milliseconds }) => (batchBytes / MIB / milliseconds) * 1_000)).toFixed(
        0,
      ),
      ratio(({ milliseconds }) => milliseconds),
      median(rounds.map(({ cpuMilliseconds }) => cpuMilliseconds)).toFixed(1),
      ratio(({ cpuMilliseconds }) => cpuMilliseconds),
    ];
  });
}

async function createOutputSide(name: string, url: URL, options: PluginOptions): Promise<Side> {
  // As the host does it: by the descriptor.
  const { plugins } = await import('@chukcha/output-elasticsearch');
  const output: Output | undefined = await (await plugins[0]?.load())?.open(
    { hosts: url.origin, index: 'bench', body_bytes_max: 64 * MIB, ...options },
    createTestOutputContext(),
  );
  if (output === undefined) throw new Error('The package offers no plugin');
  const { signal } = new AbortController();
  return {
    name,
    send: async (batch) => {
      const outcome = await output.write(batch, signal);
      if (outcome !== undefined)
        throw new Error(
          `Expected every document to be taken: ${JSON.stringify(outcome).slice(0, 200)}`,
        );
    },
    close: () => output.close(),
  };
}

/** The floor: the same bytes copied once, posted, and the answer parsed. */
function createCopySide(name: string, batch: OutputBatch, url: URL): Side {
  const ready = createBody(batch);
  const copy = Buffer.allocUnsafeSlow(ready.length);
  const agent = new Agent({ keepAlive: true });
  return {
    name,
    send: () =>
      new Promise((resolve, reject) => {
        ready.copy(copy);
        const request = requestHttp(
          `${url.origin}/bench/_bulk`,
          {
            method: 'POST',
            agent,
            headers: { 'content-length': copy.length, 'content-type': 'application/x-ndjson' },
          },
          async (response) => {
            const pieces: Buffer[] = [];
            for await (const piece of response) pieces.push(piece as Buffer);
            const { items } = JSON.parse(Buffer.concat(pieces).toString()) as { items: unknown[] };
            if (items.length === batch.messageCount) resolve();
            else reject(new Error(`${items.length} results for ${batch.messageCount} documents`));
          },
        );
        request.once('error', reject);
        request.end(copy);
      }),
    close: async () => agent.destroy(),
  };
}

/** A body with action lines as long as the output's. */
function createBody({ bytes, offset }: OutputBatch): Buffer {
  const pieces: Buffer[] = [];
  const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let start = 0; start < lines.length; ) {
    const end = lines.indexOf(0x0a, start) + 1;
    pieces.push(
      Buffer.from(`{"create":{"_id":"0123456789abcdef-${offset + start}"}}\n`),
      lines.subarray(start, end),
    );
    start = end;
  }
  return Buffer.concat(pieces);
}

function createBatch(messageBytes: number): OutputBatch {
  const messageCount = Math.floor(batchBytes / messageBytes);
  const lines: string[] = [];
  for (let index = 0; index < messageCount; index += 1) {
    const start = `{"@timestamp":"2026-01-01T00:00:00Z","n":${index},"message":"`;
    lines.push(`${start.padEnd(messageBytes - 3, `GET /books/${index % 97} 200 `)}"}\n`);
  }
  return {
    category: 'bench',
    cluster: 'bench',
    chunk: 'bench-chunk000000000',
    offset: 64 * MIB,
    bytes: Buffer.from(lines.join('')),
    messageCount,
    token: 'bench',
  };
}

// Runs the benchmarks that are named, or all: `npm run bench -- write-batches --quick`.
import { statfsSync } from 'node:fs';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { benchBulkBodies } from './bulk-bodies.js';
import { benchClickhouseOutput } from './clickhouse-output.js';
import { benchIdleFiles } from './idle-files.js';
import { benchLineFormats } from './line-formats.js';
import { benchMemory } from './memory.js';
import { benchReadChunks } from './read-chunks.js';
import { benchReplicated } from './replicated.js';
import { benchShipAndSink } from './ship-and-sink.js';
import { benchShipMemory } from './ship-memory.js';
import { benchSinkPassThrough } from './sink-pass-through.js';
import type { BenchOptions } from './support/bench-options.js';
import { benchWriteBatches } from './write-batches.js';
import { benchWriteMessages } from './write-messages.js';
import { benchWriteTokens } from './write-tokens.js';

interface Benchmark {
  readonly summary: string;
  run(options: BenchOptions): Promise<void>;
}

const benchmarks: Readonly<Record<string, Benchmark>> = {
  'write-batches': {
    summary: 'POST /write of 1 and 4 MiB beside a plain server that appends',
    run: benchWriteBatches,
  },
  'write-messages': {
    summary: 'POST /write of single messages, pipelined and durable too',
    run: benchWriteMessages,
  },
  'write-tokens': {
    summary: 'POST /write at a node that asks for tokens, beside one that does not',
    run: benchWriteTokens,
  },
  'read-chunks': {
    summary: 'GET /read of 1 and 4 MiB beside a loopback copy of as many bytes',
    run: benchReadChunks,
  },
  replicated: {
    summary: 'POST /write that waits for a replica, and how fast a stored backlog is followed',
    run: benchReplicated,
  },
  memory: {
    summary: 'what a node holds while 10 GB pass, and for each connection',
    run: benchMemory,
  },
  'line-formats': {
    summary:
      'what the shipper makes of lines: raw, json and envelope beside a copy and JSON.stringify',
    run: benchLineFormats,
  },
  'bulk-bodies': {
    summary: 'batches to a target that throws them away, beside a loop that copies ready requests',
    run: benchBulkBodies,
  },
  'ship-and-sink': {
    summary: 'a file of 1 GB into a node and out of it, beside cat',
    run: benchShipAndSink,
  },
  'ship-memory': {
    summary: 'what ship holds in memory while it reads a file of 10 GB',
    run: benchShipMemory,
  },
  'sink-pass-through': {
    summary: 'a whole sink to a target that throws bytes away, beside a loop that reads and posts',
    run: benchSinkPassThrough,
  },
  'clickhouse-output': {
    summary: 'the ClickHouse output beside a plain loop of the same requests',
    run: benchClickhouseOutput,
  },
  'idle-files': {
    summary: 'what 20,000 idle files cost ship, and how soon a line of one is in the bus',
    run: benchIdleFiles,
  },
};

const usage = `npm run bench -- [NAME...] [--quick] [--self]

${Object.entries(benchmarks)
  .map(([name, { summary }]) => `  ${name.padEnd(20)}${summary}`)
  .join('\n')}

  --quick         fewer rounds, smaller volumes: whether the figures are sane
  --self          compare the first server with itself: the noise of the method
`;

/** Magic numbers of Linux, of file systems that data is kept on. */
const fileSystemNames: Readonly<Record<number, string>> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  16914836: 'tmpfs',
};

const { values, names, problem } = readArguments();
if (problem !== undefined || values.help) {
  console.error(problem === undefined ? usage : `${problem}\n\n${usage}`);
  process.exitCode = problem === undefined ? 0 : 2;
} else {
  describeMachine();
  for (const [name, { run }] of Object.entries(benchmarks)) {
    if (names.length > 0 && !names.includes(name)) continue;
    console.log(`## ${name}\n`);
    await run(values);
  }
}

function readArguments() {
  try {
    const { values, positionals: names } = parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        self: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    const unknown = names.filter((name) => !Object.hasOwn(benchmarks, name));
    const problem =
      unknown.length === 0 ? undefined : `There is no benchmark ${unknown.join(', ')}.`;
    return { values, names, problem };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { values: { quick: false, self: false, help: true }, names: [], problem };
  }
}

/** Says what the figures depend on, besides the code. */
function describeMachine(): void {
  const processors = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}`;
  const memoryGib = (totalmem() / 1024 ** 3).toFixed(0);
  const type = statfsSync(tmpdir()).type;
  const fileSystem = fileSystemNames[type] ?? `file system 0x${type.toString(16)}`;
  const load = (loadavg()[0] ?? Number.NaN).toFixed(1);
  console.log(
    `Node ${process.version}, ${processors}, ${memoryGib} GiB, ${tmpdir()} on ${fileSystem}, load before ${load}\n`,
  );
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '../src/index.js';
import type { BenchOptions } from './support/bench-options.js';
import { ChildServer } from './support/child-server.js';
import type { CopyLoopOptions } from './support/copy-loop.js';
import { makeJsonLines } from './support/make-lines.js';
import { startNode } from './support/servers.js';
import { median, percentile } from './support/statistics.js';
import { printTable } from './support/table.js';
import { readTraffic, type TrafficFigures } from './support/traffic.js';
import { type WatchedRun, watchCommand } from './support/watched-command.js';

const MIB = 1024 * 1024;
const lineBytes = 200;
const category = 'logs';

/** What a plain write may have, in whole lines. */
const writeBytes = 4_000_000;

/** An action line with an offset of seven or eight digits. */
const actionBytes = 46;

const speedHeads = [
  'target',
  'side',
  'MB/s of messages',
  'ratio (quartiles)',
  'MB/s with start and end',
  'ratio',
  'CPU s/GB',
];

const gzipRoundCountMax = 3;

interface Target {
  readonly name: string;
  readonly program: string;
  /** The bytes of messages in a full delivery, in whole lines, as the output advises. */
  readonly deliveryBytes: number;
  readonly sink: (url: URL) => readonly string[];
  readonly loop: Pick<CopyLoopOptions, 'path' | 'gzip' | 'actionBytes'>;
}

const clickhouse = {
  program: 'discarding-clickhouse',
  deliveryBytes: Math.floor((8 * MIB) / lineBytes) * lineBytes,
};
const clickhousePath = `/?${new URLSearchParams({ query: 'INSERT INTO default.logs FORMAT JSONEachRow' })}`;
/** Half of the lines that a read of 4 MiB brings, because all of them are more than 20,000. */
const elasticsearch = {
  program: 'bulk-sink',
  deliveryBytes: Math.ceil(Math.floor((4 * MIB) / lineBytes) / 2) * lineBytes,
};

const targets: readonly Target[] = [
  {
    name: 'clickhouse',
    ...clickhouse,
    sink: ({ host }) => ['--to', `clickhouse://${host}/default/logs`],
    loop: { path: clickhousePath, gzip: false, actionBytes: 0 },
  },
  {
    name: 'clickhouse, gzip',
    ...clickhouse,
    sink: ({ host }) => ['--to', `clickhouse://${host}/default/logs`, '--set', 'compression=gzip'],
    loop: { path: clickhousePath, gzip: true, actionBytes: 0 },
  },
  {
    name: 'elasticsearch',
    ...elasticsearch,
    sink: ({ host }) => ['--to', `elasticsearch://${host}/logs`],
    loop: { path: '/logs/_bulk', gzip: false, actionBytes },
  },
  {
    name: 'elasticsearch, gzip',
    ...elasticsearch,
    sink: ({ host }) => ['--to', `elasticsearch://${host}/logs`, '--set', 'gzip=true'],
    loop: { path: '/logs/_bulk', gzip: true, actionBytes },
  },
];

interface Round {
  readonly traffic: TrafficFigures;
  readonly run: WatchedRun;
}

/**
 * A whole sink, from sealed chunks of a real node to a target that throws bytes away, in turn with a plain loop that reads and
 * posts as much in as many requests, both as processes of their own; and the memory that the sink holds.
 */
export async function benchSinkPassThrough({ quick, self }: BenchOptions): Promise<void> {
  const [byteCount, roundCount] = quick ? [512 * MIB, 3] : [1024 * MIB, 7];
  const directory = mkdtempSync(join(tmpdir(), 'chukcha-bench-'));
  const node = await startNode(join(directory, 'data'));
  const memoryRows: string[][] = [];
  try {
    const storedBytes = await fill(node.url, byteCount);
    for (const target of targets) {
      const bed = new Bed(target, node, directory, storedBytes, self);
      // Where the processor compresses, rounds are long and alike.
      const count = target.loop.gzip ? Math.min(roundCount, gzipRoundCountMax) : roundCount;
      const { loops, sinks, idlePeakMib } = await bed.measure(count);
      printTable(speedHeads, describeSpeed(target, storedBytes, loops, sinks));
      memoryRows.push(describeMemory(target, loops, sinks, idlePeakMib));
    }
  } finally {
    await node.stop();
    rmSync(directory, { recursive: true, force: true });
  }
  printTable(
    ['MiB of a sink to', 'idle', 'at 1/4', 'at 1/2', 'at 3/4', 'peak', 'above idle', 'loop, peak'],
    memoryRows,
  );
}

/** Stores lines, seals the last chunk, and keeps all for somebody who never acknowledges. Tells how many bytes it were. */
async function fill(url: URL, byteCount: number): Promise<number> {
  const client = new Client({ server: url.origin });
  await client.registerGroup(category, 'keeper');
  const block = makeJsonLines(writeBytes);
  let storedBytes = 0;
  for (; storedBytes < byteCount; storedBytes += block.length)
    await client.write(category, [block]);
  await client.seal(category);
  client.close();
  return storedBytes;
}

/** One target with both sides. */
class Bed {
  readonly #target: Target;
  readonly #node: ChildServer;
  readonly #directory: string;
  readonly #storedBytes: number;
  readonly #self: boolean;
  #runCount = 0;

  constructor(
    target: Target,
    node: ChildServer,
    directory: string,
    storedBytes: number,
    self: boolean,
  ) {
    this.#target = target;
    this.#node = node;
    this.#directory = directory;
    this.#storedBytes = storedBytes;
    this.#self = self;
  }

  async measure(roundCount: number) {
    const program = fileURLToPath(new URL(`./support/${this.#target.program}.js`, import.meta.url));
    const server = await ChildServer.start([program]);
    const loops: Round[] = [];
    const sinks: Round[] = [];
    try {
      const idle = await watchCommand(this.#sinkWords(server.url, 'nothing'));
      for (let round = 0; round < roundCount; round += 1) {
        if (round % 2 === 0) loops.push(await this.#run(server.url, this.#loopWords(server.url)));
        const words = this.#self
          ? this.#loopWords(server.url)
          : this.#sinkWords(server.url, category);
        sinks.push(await this.#run(server.url, words));
        if (round % 2 !== 0) loops.push(await this.#run(server.url, this.#loopWords(server.url)));
      }
      return { loops, sinks, idlePeakMib: idle.peakMib };
    } finally {
      await server.stop();
    }
  }

  async #run(url: URL, words: readonly string[]): Promise<Round> {
    await readTraffic(url);
    const run = await watchCommand(words);
    const traffic = await readTraffic(url);
    // Where a delivery is half of a read, the ends of reads may go together.
    const requestCountMin = this.#storedBytes / (2 * this.#target.deliveryBytes);
    const { gzip } = this.#target.loop;
    if (traffic.requestCount < requestCountMin || (!gzip && traffic.byteCount < this.#storedBytes))
      throw new Error(
        `Only ${traffic.byteCount} bytes in ${traffic.requestCount} requests came through`,
      );
    return { run, traffic };
  }

  /** A group of its own for each run, which has everything before it. */
  #sinkWords(url: URL, from: string): string[] {
    this.#runCount += 1;
    const group = `${this.#target.program}-${this.#target.loop.gzip}-${this.#runCount}`;
    return [
      ...['bin/run.js', 'sink', '--once', '--server', this.#node.url.origin, '--category', from],
      ...['--group', group, '--state', join(this.#directory, `state-${group}`)],
      ...this.#target.sink(url),
    ];
  }

  #loopWords(url: URL): string[] {
    const program = fileURLToPath(new URL('./support/copy-loop.js', import.meta.url));
    const options: CopyLoopOptions = {
      node: this.#node.url.origin,
      target: url.origin,
      category,
      readBytes: this.#target.deliveryBytes,
      inFlight: 2,
      ...this.#target.loop,
    };
    return [program, JSON.stringify(options)];
  }
}

function describeSpeed(
  { name }: Target,
  storedBytes: number,
  loops: readonly Round[],
  sinks: readonly Round[],
): string[][] {
  const megabytes = storedBytes / 1e6;
  const passing = ({ traffic }: Round): number => (megabytes * 1_000) / traffic.milliseconds;
  const whole = ({ run }: Round): number => megabytes / run.seconds;
  const cpu = ({ run }: Round): number => (run.cpuSeconds * 1_000) / megabytes;
  const ratios = (of: (round: Round) => number): number[] =>
    sinks.map((sink, round) => of(sink) / of(loops[round] as Round));
  const row = (side: string, rounds: readonly Round[], isBase: boolean): string[] => [
    name,
    side,
    median(rounds.map(passing)).toFixed(0),
    isBase ? '1' : withQuartiles(ratios(passing)),
    median(rounds.map(whole)).toFixed(0),
    isBase ? '1' : median(ratios(whole)).toFixed(2),
    median(rounds.map(cpu)).toFixed(2),
  ];
  return [row('plain loop', loops, true), row('sink', sinks, false)];
}

function describeMemory(
  { name }: Target,
  loops: readonly Round[],
  sinks: readonly Round[],
  idleMib: number,
): string[] {
  const at = (share: number): string =>
    median(
      sinks.map(({ run: { memoryMib } }) => memoryMib[Math.floor(memoryMib.length * share)] ?? 0),
    ).toFixed(0);
  const peakOf = (rounds: readonly Round[]): number =>
    Math.max(...rounds.map(({ run }) => run.peakMib));
  return [
    name,
    idleMib.toFixed(0),
    ...[0.25, 0.5, 0.75].map(at),
    peakOf(sinks).toFixed(0),
    (peakOf(sinks) - idleMib).toFixed(0),
    peakOf(loops).toFixed(0),
  ];
}

function withQuartiles(ratios: readonly number[]): string {
  const [low, high] = [percentile(ratios, 0.25), percentile(ratios, 0.75)];
  return `${median(ratios).toFixed(2)} (${low.toFixed(2)}-${high.toFixed(2)})`;
}

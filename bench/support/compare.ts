import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchOptions } from './bench-options.js';
import type { ChildServer } from './child-server.js';
import { type HttpLoad, type LoadEnd, runHttpLoad } from './http-load.js';
import { pretouch } from './pretouch.js';
import { formatRatios, median, percentile } from './statistics.js';

const MIB = 1024 * 1024;

/** One of the servers that are compared, and the load that it gets. */
export interface Side {
  readonly name: string;
  /** Starts the server on an empty directory, which is removed after the round. */
  start(directory: string): Promise<ChildServer>;
  readonly load: HttpLoad;
}

export interface Comparison {
  readonly name: string;
  /** The first one is what the others are measured against. */
  readonly sides: readonly Side[];
  readonly unit: Unit;
  readonly warmUp: LoadEnd;
  readonly timed: LoadEnd;
  readonly schedule: Schedule;
}

/** How the rounds of the sides are put in turn, and with which processes. */
export interface Schedule {
  /** How often the servers are started anew, on empty directories. */
  readonly startCount: number;
  /**
   * How many rounds each side has between one start and its end. With more than one, all servers run at
   * once and the rounds follow each other closely, so that what else the machine does touches all sides
   * alike. With one, a server runs alone, and its files are gone before the next one starts.
   */
  readonly roundCount: number;
  /** Whether a round writes so much that cold pages would be measured. */
  readonly pretouch: boolean;
}

/** For rounds after which a server still has much to flush, which must not meet the next side's round. */
export const aloneSchedule: Schedule = { startCount: 8, roundCount: 1, pretouch: true };

/** For short rounds that leave little or nothing behind. */
export const togetherSchedule: Schedule = { startCount: 3, roundCount: 6, pretouch: false };

const startCountQuick = 2;

/** How a rate and the processor time of a server are told. */
export interface Unit {
  readonly rateHead: string;
  readonly rateOfRequest: number;
  readonly cpuHead: string;
  readonly requestsOfCpu: number;
}

/** For requests that are many and small. */
export const requestUnit: Unit = {
  rateHead: 'requests/s',
  rateOfRequest: 1,
  cpuHead: 'CPU us/request',
  requestsOfCpu: 1e6,
};

/** For requests that each move `byteCount` bytes. */
export function byteUnit(byteCount: number): Unit {
  return {
    rateHead: 'MiB/s',
    rateOfRequest: byteCount / MIB,
    cpuHead: 'CPU s/GB',
    requestsOfCpu: 1e9 / byteCount,
  };
}

interface Round {
  readonly requestCount: number;
  readonly seconds: number;
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuSeconds: number;
  readonly loadCpuSeconds: number;
  /** Processor time of everything else on the machine, the kernel's own threads included. */
  readonly otherCpuSeconds: number;
  readonly memoryPeakMib: number;
}

export function comparisonHeads(title: string, unit: Unit): string[] {
  return [
    title,
    'server',
    unit.rateHead,
    'ratio (quartiles)',
    'p50 ms',
    'p99 ms',
    unit.cpuHead,
    'peak MiB',
    'load busy',
    'others busy',
  ];
}

/**
 * Measures the sides in turn and returns a row of figures for each: medians over the rounds, and the median
 * of the ratios within a round with their quartiles.
 *
 * Every other round goes backwards, so that no side always meets what the other one left behind. Processor
 * time is counted after the warm-up, so a server's start is not in it; the peak of its memory has all.
 * `load busy` and `others busy` are processors: near 1, the load itself was measured; far above 0, the
 * machine was not quiet.
 */
export async function compare(
  comparison: Comparison,
  { quick, self }: BenchOptions,
): Promise<string[][]> {
  const sides = self ? withItself(comparison.sides) : comparison.sides;
  const tracks = sides.map((side, index) => new Track(comparison, side, `files-${index}`));
  const { startCount, roundCount } = comparison.schedule;
  const directory = mkdtempSync(join(tmpdir(), 'chukcha-bench-'));
  try {
    for (let start = 0; start < (quick ? startCountQuick : startCount); start += 1) {
      const inTurn = start % 2 === 0 ? tracks : tracks.toReversed();
      const groups = roundCount === 1 ? inTurn.map((track) => [track]) : [inTurn];
      for (const group of groups) await runRounds(group, directory, roundCount);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return tracks.map((track) => toRow(comparison, track, tracks[0] ?? track));
}

/** The first side twice: what differs between the two is the noise of the method. */
function withItself([first]: readonly Side[]): Side[] {
  return first === undefined ? [] : [first, { ...first, name: `${first.name} again` }];
}

async function runRounds(
  group: readonly Track[],
  directory: string,
  roundCount: number,
): Promise<void> {
  try {
    for (const track of group) await track.start(directory);
    for (let round = 0; round < roundCount; round += 1) {
      for (const track of round % 2 === 0 ? group : group.toReversed()) await track.measure();
    }
  } finally {
    for (const track of group) await track.stop();
  }
}

/** A side with its server and what was measured of it. */
class Track {
  readonly side: Side;
  readonly rounds: Round[] = [];
  readonly #comparison: Comparison;
  readonly #name: string;
  #server: ChildServer | undefined;
  #directory = '';

  constructor(comparison: Comparison, side: Side, name: string) {
    this.#comparison = comparison;
    this.side = side;
    this.#name = name;
  }

  async start(directory: string): Promise<void> {
    this.#directory = join(directory, this.#name);
    mkdirSync(this.#directory);
    this.#server = await this.side.start(this.#directory);
    await runHttpLoad(this.#server.url, this.side.load, this.#comparison.warmUp);
  }

  async measure(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    const { schedule, timed, unit } = this.#comparison;
    if (schedule.pretouch) pretouch(join(this.#directory, 'pretouch'));
    const machineBefore = machineCpuSeconds();
    const cpuBefore = server.cpuSeconds();
    const result = await runHttpLoad(server.url, this.side.load, timed);
    const cpuSeconds = server.cpuSeconds() - cpuBefore;
    const machineSeconds = machineCpuSeconds() - machineBefore;
    const { requestCount, seconds, timesMs, cpuSeconds: loadCpuSeconds } = result;
    this.rounds.push({
      requestCount,
      seconds,
      rate: (requestCount * unit.rateOfRequest) / seconds,
      p50Ms: percentile(timesMs, 0.5),
      p99Ms: percentile(timesMs, 0.99),
      cpuSeconds,
      loadCpuSeconds,
      otherCpuSeconds: Math.max(0, machineSeconds - cpuSeconds - loadCpuSeconds),
      memoryPeakMib: server.memoryPeakMib(),
    });
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
    this.#server = undefined;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Processor time that the whole machine has used so far, in seconds. */
function machineCpuSeconds(): number {
  return (
    cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) /
    1_000
  );
}

function toRow({ name, unit }: Comparison, track: Track, base: Track): string[] {
  const { rounds } = track;
  const middle = (figure: (round: Round) => number): number => median(rounds.map(figure));
  // Processor time is counted in ticks of 10 ms, so its sum tells more than a median.
  const sum = (figure: (round: Round) => number): number =>
    rounds.reduce((total, round) => total + figure(round), 0);
  const seconds = sum((round) => round.seconds);
  return [
    name,
    track.side.name,
    middle((round) => round.rate).toFixed(0),
    track === base ? '1' : ratioText(rounds, base.rounds),
    middle((round) => round.p50Ms).toFixed(2),
    middle((round) => round.p99Ms).toFixed(2),
    (
      (sum((round) => round.cpuSeconds) * unit.requestsOfCpu) /
      sum((round) => round.requestCount)
    ).toFixed(2),
    Math.max(...rounds.map((round) => round.memoryPeakMib)).toFixed(0),
    (sum((round) => round.loadCpuSeconds) / seconds).toFixed(2),
    (sum((round) => round.otherCpuSeconds) / seconds).toFixed(2),
  ];
}

function ratioText(rounds: readonly Round[], baseRounds: readonly Round[]): string {
  return formatRatios(
    rounds.map(({ rate }, index) => rate / (baseRounds[index]?.rate ?? Number.NaN)),
  );
}

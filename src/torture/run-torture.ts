import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../common/clock.js';
import { SeededRandom } from '../common/seeded-random.js';
import { sleep } from '../common/wait.js';
import { describeMachine } from '../processes/describe-machine.js';
import type { NodeProcess } from '../processes/node-process.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import { BatchLedger, type Findings } from './batch-ledger.js';
import { BatchWriter } from './batch-writer.js';
import { listQuarantine } from './chunk-files.js';
import { Cluster } from './cluster.js';
import { converge } from './convergence.js';
import { type FaultKind, planFaults } from './fault-plan.js';
import { GroupReader } from './group-reader.js';
import { Tormentor } from './tormentor.js';
import type { Finding, KindFigures, TortureReport } from './torture-report.js';
import { writeKinds } from './write-kinds.js';

export interface TortureOptions {
  readonly nodeCount: number;
  readonly seconds: number;
  readonly seed: number;
  readonly etcdProgram: string;
  readonly minSyncReplicas: number;
  /** Where data and logs are kept; `undefined` takes a temporary directory, which stays when something was found. */
  readonly keepDirectory: string | undefined;
  /** The built command line of this package. */
  readonly cliPath: string;
  /** Is told what happens. */
  readonly tell: (sentence: string) => void;
}

const groups = ['first', 'second'] as const;
const categories = ['events', 'audit'] as const;

/** A start takes a second where nothing else runs. */
const startMsMax = 60_000;

/** Far enough apart that no two writers draw the same numbers. */
const seedStep = 1_000;

/**
 * Starts a cluster, breaks it at random while writers write and groups read, gives back what was taken, and reports
 * what became of every batch. The signal ends the faults early; the rest is done all the same.
 *
 * Throws `invalid_option` when there is no etcd, and `timeout` when the cluster does not start.
 */
export async function runTorture(
  options: TortureOptions,
  signal: AbortSignal,
): Promise<TortureReport> {
  const { keepDirectory } = options;
  const directory = keepDirectory ?? (await mkdtemp(join(tmpdir(), 'chukcha-torture-')));
  await mkdir(directory, { recursive: true });
  let isKept = true;
  const { cliPath, etcdProgram, nodeCount } = options;
  const cluster = await Cluster.open({ directory, cliPath, etcdProgram, nodeCount }).catch(
    async (error: unknown) => {
      if (keepDirectory === undefined) await rm(directory, { recursive: true, force: true });
      throw error;
    },
  );
  try {
    const report = await new TortureRun(options, cluster, directory).run(signal);
    isKept = keepDirectory !== undefined || !report.passed;
    return isKept ? { ...report, directory } : report;
  } finally {
    await Promise.all(cluster.nodes.map((node) => node.kill()));
    try {
      if (isKept) await saveSmallDisk(cluster.smallDiskNode, directory);
    } finally {
      await cluster.close();
    }
    if (!isKept) await rm(directory, { recursive: true, force: true });
  }
}

/** What is in memory only would be gone with its mount. */
async function saveSmallDisk(
  { dataDirectory, name }: NodeProcess,
  directory: string,
): Promise<void> {
  const copy = join(directory, name);
  if (dataDirectory === copy) return;
  // A lock has a socket in it, and is nobody's any more.
  const filter = (path: string): boolean => !path.endsWith('running.lock');
  await cp(dataDirectory, copy, { recursive: true, filter });
}

class TortureRun {
  readonly #options: TortureOptions;
  readonly #cluster: Cluster;
  readonly #ledger = new BatchLedger(groups);
  readonly #writers: readonly BatchWriter[];
  readonly #readers: readonly GroupReader[];
  readonly #startMs = systemClock.monotonicMs();

  constructor(options: TortureOptions, cluster: Cluster, directory: string) {
    this.#options = options;
    this.#cluster = cluster;
    const { nodes } = cluster;
    const { seed } = options;
    this.#writers = writeKinds(options.minSyncReplicas).map(
      (kind, index) =>
        new BatchWriter(
          {
            name: `writer${index + 1}`,
            kind,
            // Stamped and plain ones of each kind go to different categories.
            category: categories[(index + Math.floor(index / 2)) % 2] ?? categories[0],
            nodes,
            home: index % nodes.length,
            seed: seed + (index + 1) * seedStep,
            tell: (sentence) => this.#tell(sentence),
          },
          this.#ledger,
        ),
    );
    this.#readers = groups.flatMap((group, groupIndex) =>
      categories.map((category, index) => {
        const random = new SeededRandom(seed - (groupIndex * 2 + index + 1) * seedStep);
        const home = (groupIndex + index) % nodes.length;
        const rereads = groupIndex > 0;
        return new GroupReader({ group, category, nodes, home, rereads, random }, this.#ledger);
      }),
    );
    this.#tell(`data and logs are in ${directory}`);
  }

  async run(signal: AbortSignal): Promise<TortureReport> {
    const { seconds, seed } = this.#options;
    const startedAt = new Date().toISOString();
    await this.#startCluster();
    const version = await this.#version();
    const abandoning = new AbortController();
    const writing = Promise.all(this.#writers.map((writer) => writer.run(abandoning.signal)));
    const reading = Promise.all(this.#readers.map((reader) => reader.run()));
    const failed = Promise.all([writing, reading]).then(() => undefined);
    const tormentor = new Tormentor(this.#cluster, (sentence) => this.#tell(sentence));
    const beginMs = systemClock.monotonicMs();
    const plan = planFaults(new SeededRandom(seed), {
      nodeNames: this.#cluster.nodes.map(({ name }) => name),
      smallDiskNode: this.#cluster.smallDiskNode.name,
      seconds,
    });
    await Promise.race([tormentor.run(plan, signal), failed]);
    const restMs = beginMs + seconds * 1_000 - systemClock.monotonicMs();
    await sleep(systemClock, Math.max(0, restMs), signal).catch(() => undefined);
    const tormentedSeconds = Math.round((systemClock.monotonicMs() - beginMs) / 1_000);
    const notConverged = await Promise.race([this.#converge(writing), failed]);
    abandoning.abort();
    for (const reader of this.#readers) reader.stop();
    await Promise.all([writing, reading]);
    return this.#report({
      startedAt,
      tormentedSeconds,
      notConverged: notConverged ?? null,
      faults: Object.fromEntries(tormentor.counts) as Partial<Record<FaultKind, number>>,
      version,
      quarantined: await this.#quarantined(),
    });
  }

  async #startCluster(): Promise<void> {
    const { nodes } = this.#cluster;
    this.#tell('the nodes start');
    for (const node of nodes) await node.begin();
    for (const node of nodes) {
      if (await node.waitUntilReady(startMsMax)) continue;
      throw new Error(`${node.name} did not start: ${node.lastLine}`);
    }
    // Before the first write: a chunk is deleted when all groups that are known have acknowledged it.
    for (const category of categories) {
      for (const group of groups) await this.#registerGroup(category, group);
    }
  }

  async #registerGroup(category: string, group: string): Promise<void> {
    const deadlineMs = systemClock.monotonicMs() + startMsMax;
    const isKnown = async (): Promise<boolean> => {
      for (const { client } of this.#cluster.nodes) {
        const known = (await client?.groups(category)) ?? [];
        if (!known.some((backlog) => backlog.group === group)) return false;
      }
      return true;
    };
    await this.#cluster.nodes[0]?.client?.registerGroup(category, group);
    while (!(await isKnown())) {
      if (systemClock.monotonicMs() > deadlineMs) {
        throw new Error(`Not all nodes have heard of group ${group} of ${category}.`);
      }
      await sleep(systemClock, 100);
    }
  }

  async #version(): Promise<string> {
    const status = await this.#cluster.nodes[0]?.client?.status();
    return status?.version ?? 'unknown';
  }

  #converge(writing: Promise<unknown>): Promise<string | undefined> {
    return converge({
      cluster: this.#cluster,
      categories,
      groups,
      writers: this.#writers,
      readers: this.#readers,
      writing,
      onAllRead: () => this.#ledger.findLost(),
      onReturned: (sentence) => this.#ledger.returned.add(sentence),
      tell: (sentence) => this.#tell(sentence),
    }).catch((error: unknown) => `The check itself failed: ${errorMessage(error)}`);
  }

  async #quarantined(): Promise<Finding> {
    const names = await Promise.all(
      this.#cluster.nodes.map(async (node) =>
        (await listQuarantine(node, categories)).map((name) => `${name} at ${node.name}`),
      ),
    );
    return { count: names.flat().length, sentences: names.flat() };
  }

  #report(parts: {
    readonly startedAt: string;
    readonly tormentedSeconds: number;
    readonly notConverged: string | null;
    readonly faults: TortureReport['faults'];
    readonly version: string;
    readonly quarantined: Finding;
  }): TortureReport {
    const { seed, minSyncReplicas, nodeCount } = this.#options;
    const { version, ...rest } = parts;
    const { lost, corrupt, returned, refused, strangeDuplicates } = this.#ledger;
    const { duplicates, explainedDuplicates } = this.#ledger.countReads();
    const ends = this.#cluster.nodes.flatMap((node) => node.unexpectedEnds);
    const problemCount = lost.count + corrupt.count + returned.count + refused.count + ends.length;
    return {
      passed: problemCount === 0 && rest.notConverged === null,
      seed,
      ...rest,
      totalSeconds: Math.round((systemClock.monotonicMs() - this.#startMs) / 1_000),
      versions: { node: process.version, chukcha: version, etcd: this.#cluster.etcd.version },
      machine: describeMachine(),
      nodes: nodeCount,
      minSyncReplicas,
      smallDisk: this.#cluster.smallDiskSummary,
      written: this.#figures(),
      // A batch that waited when the faults ended was answered since.
      longestWithoutWriteMs: Math.round(
        Math.max(...this.#writers.map((writer) => writer.longestMs)),
      ),
      lost: findingOf(lost),
      corrupt: findingOf(corrupt),
      returned: findingOf(returned),
      duplicates: {
        count: duplicates,
        explained: explainedDuplicates,
        sentences: strangeDuplicates.sentences,
      },
      refused: findingOf(refused),
      endedByThemselves: { count: ends.length, sentences: ends },
      nodeErrors: this.#nodeErrors(),
      directory: null,
    };
  }

  #figures(): KindFigures[] {
    return this.#writers.map((writer) => {
      const batches = [...this.#ledger.batches].filter(({ kind }) => kind === writer.kind);
      return {
        kind: writer.kind.name,
        batches: batches.length,
        bytes: batches.reduce((sum, { byteCount }) => sum + byteCount, 0),
        answered: batches.filter(({ isAnswered }) => isAnswered).length,
        retries: writer.retryCount,
        knownRepetitions: writer.duplicateCount,
        longestMs: Math.round(writer.longestMs),
      };
    });
  }

  #nodeErrors(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { errors } of this.#cluster.nodes) {
      for (const [sentence, count] of errors) counts[sentence] = (counts[sentence] ?? 0) + count;
    }
    return counts;
  }

  #tell(sentence: string): void {
    const seconds = (systemClock.monotonicMs() - this.#startMs) / 1_000;
    this.#options.tell(`${seconds.toFixed(1).padStart(7)} s  ${sentence}`);
  }
}

function findingOf({ count, sentences }: Findings): Finding {
  return { count, sentences };
}

import { cp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../common/clock.js';
import { makeDirectory } from '../common/make-directory.js';
import { SeededRandom } from '../common/seeded-random.js';
import { sleep } from '../common/wait.js';
import type { NodeProcess } from '../processes/node-process.js';
import { TemporaryDirectory } from '../processes/temporary-directory.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { BatchLedger } from './batch-ledger.js';
import { BatchWriter } from './batch-writer.js';
import { listQuarantine } from './chunk-files.js';
import { Cluster } from './cluster.js';
import { converge } from './convergence.js';
import { type FaultKind, planFaults } from './fault-plan.js';
import { gatherReport } from './gather-report.js';
import { GroupReader } from './group-reader.js';
import { Trespasser } from './secure/trespasser.js';
import { listTrespasses } from './secure/trespasses.js';
import { Tormentor } from './tormentor.js';
import type { Finding, TortureReport } from './torture-report.js';
import { writeKinds } from './write-kinds.js';

export interface TortureOptions {
  readonly nodeCount: number;
  readonly seconds: number;
  readonly seed: number;
  readonly etcdProgram: string;
  readonly minSyncReplicas: number;
  /** Whether the cluster runs with TLS, certificates and tokens, and somebody without a right to it tries everything. */
  readonly isSecure: boolean;
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
const trespasserSeedStep = 500;

/** What somebody who has no right to it is after. */
const trespassPlace = {
  category: categories[0],
  group: groups[0],
  chunk: 'node1-chunk000000000',
  node: 'node2',
} as const;

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
  const temporary =
    keepDirectory === undefined
      ? await TemporaryDirectory.make(tmpdir(), 'chukcha-torture-')
      : undefined;
  const directory = temporary?.path ?? (await makeKeepDirectory(keepDirectory ?? ''));
  let isKept = true;
  const cluster = await Cluster.open({ ...options, directory, categories }).catch(
    async (error: unknown) => {
      await temporary?.remove();
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
    if (isKept) temporary?.keep();
    else await temporary?.remove();
  }
}

async function makeKeepDirectory(directory: string): Promise<string> {
  let present: string[];
  try {
    await makeDirectory(directory);
    present = await readdir(directory);
  } catch (cause) {
    throw new ChukchaError(
      'invalid_option',
      `--keep is ${directory}, which cannot be made (${errorMessage(cause)}): expected a directory that this user may write to.`,
      { cause },
    );
  }
  // What nodes and etcd remember of an earlier run would count as faults of this one.
  if (present.length === 0) return directory;
  throw new ChukchaError(
    'invalid_option',
    `--keep is ${directory}, which has something in it (${present[0]}): expected an empty directory, or one that is not there.`,
  );
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
  readonly #trespasser: Trespasser | undefined;
  readonly #startMs = systemClock.monotonicMs();

  constructor(options: TortureOptions, cluster: Cluster, directory: string) {
    this.#options = options;
    this.#cluster = cluster;
    const { nodes, callers, security } = cluster;
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
            callers,
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
        const place = { group, category, nodes, callers, home };
        return new GroupReader({ ...place, rereads, random }, this.#ledger);
      }),
    );
    this.#trespasser =
      security &&
      new Trespasser({
        nodes,
        trespasses: () => listTrespasses(security, trespassPlace),
        letIn: security.letIn,
        random: new SeededRandom(seed + trespasserSeedStep),
      });
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
    const trespassing = this.#trespasser?.run();
    const failed = Promise.all([writing, reading, trespassing]).then(() => undefined);
    const tormentor = new Tormentor(this.#cluster, (sentence) => this.#tell(sentence));
    const beginMs = systemClock.monotonicMs();
    const plan = planFaults(new SeededRandom(seed), {
      nodeNames: this.#cluster.nodes.map(({ name }) => name),
      smallDiskNode: this.#cluster.smallDiskNode.name,
      seconds,
      isSecure: this.#cluster.security !== undefined,
    });
    await Promise.race([tormentor.run(plan, signal), failed]);
    const restMs = beginMs + seconds * 1_000 - systemClock.monotonicMs();
    await sleep(systemClock, Math.max(0, restMs), signal).catch(() => undefined);
    const tormentedSeconds = Math.round((systemClock.monotonicMs() - beginMs) / 1_000);
    const notConverged = await Promise.race([this.#converge(writing), failed]);
    abandoning.abort();
    for (const reader of this.#readers) reader.stop();
    this.#trespasser?.stop();
    await Promise.all([writing, reading, trespassing]);
    return gatherReport({
      options: this.#options,
      cluster: this.#cluster,
      ledger: this.#ledger,
      writers: this.#writers,
      trespasser: this.#trespasser,
      totalMs: systemClock.monotonicMs() - this.#startMs,
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
    const { nodes, callers } = this.#cluster;
    const deadlineMs = systemClock.monotonicMs() + startMsMax;
    const isKnown = async (): Promise<boolean> => {
      for (const node of nodes) {
        const known = (await callers.client(node, 'reader')?.groups(category)) ?? [];
        if (!known.some((backlog) => backlog.group === group)) return false;
      }
      return true;
    };
    const [first] = nodes as readonly [NodeProcess, ...NodeProcess[]];
    await callers.client(first, 'reader')?.registerGroup(category, group);
    while (!(await isKnown())) {
      if (systemClock.monotonicMs() > deadlineMs) {
        throw new Error(`Not all nodes have heard of group ${group} of ${category}.`);
      }
      await sleep(systemClock, 100);
    }
  }

  async #version(): Promise<string> {
    const { nodes, callers } = this.#cluster;
    const [first] = nodes as readonly [NodeProcess, ...NodeProcess[]];
    const status = await callers.client(first, 'observer')?.status();
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

  #tell(sentence: string): void {
    const seconds = (systemClock.monotonicMs() - this.#startMs) / 1_000;
    this.#options.tell(`${seconds.toFixed(1).padStart(7)} s  ${sentence}`);
  }
}

import { systemClock } from '../common/clock.js';
import { sleep } from '../common/wait.js';
import type { NodeProcess } from '../processes/node-process.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import type { BatchWriter } from './batch-writer.js';
import { findDifference, listChunkFiles, readChunkFiles } from './chunk-files.js';
import type { Cluster } from './cluster.js';
import type { GroupReader } from './group-reader.js';

/** A cluster that is left alone does each of these in a few seconds; the rest is for a machine that is busy. */
const limitMs = 90_000;
const pollMs = 200;

/** Rounds of a reader after which it has surely seen what was listed when they began. */
const wholeRoundCountMin = 3;

/** How long a chunk that was acknowledged could take to come back after a start. */
const comeBackMs = 3_000;

export interface ConvergenceParts {
  readonly cluster: Cluster;
  readonly categories: readonly string[];
  readonly groups: readonly string[];
  readonly writers: readonly BatchWriter[];
  readonly readers: readonly GroupReader[];
  /** Resolves when all writers have ended. */
  readonly writing: Promise<unknown>;
  /** To be called when every group has read all there is. */
  readonly onAllRead: () => void;
  /** Is told of a chunk that is there again after everything was acknowledged and gone. */
  readonly onReturned: (sentence: string) => void;
  readonly tell: (sentence: string) => void;
}

/** What did not come about in time, as a sentence. */
class Unfinished extends Error {
  override readonly name = 'Unfinished';
}

/**
 * Gives the cluster back all that was taken from it, and waits until everything is as it must be: all that was
 * written is at all nodes, read by all groups, acknowledged and gone. Resolves with the sentence that says what
 * did not come about; `undefined` when everything did.
 */
export async function converge(parts: ConvergenceParts): Promise<string | undefined> {
  try {
    await healAll(parts);
    await endWriting(parts);
    await compareNodes(parts);
    await readAll(parts);
    await acknowledgeAll(parts);
    await startAnew(parts);
    return undefined;
  } catch (error) {
    if (error instanceof Unfinished) return error.message;
    throw error;
  }
}

async function healAll({ cluster, tell }: ConvergenceParts): Promise<void> {
  tell('everything runs and is reachable again');
  await cluster.heal();
  await cluster.etcd.waitUntilReady();
  await waitForNodes(cluster);
}

async function waitForNodes({ nodes }: Cluster): Promise<void> {
  for (const node of nodes) {
    if (await node.waitUntilReady(limitMs)) continue;
    throw new Unfinished(
      `${node.name} did not take calls within ${limitMs / 1_000} s; it said last: ${node.lastLine}`,
    );
  }
}

/** What is left then is not acknowledged, so that there is something to compare. */
async function endWriting(parts: ConvergenceParts): Promise<void> {
  const { cluster, categories, writers, readers, writing, tell } = parts;
  tell('the last batches are written');
  for (const reader of readers) reader.holdsAcks = true;
  for (const writer of writers) writer.stop();
  let hasEnded = false;
  void writing.then(() => {
    hasEnded = true;
  });
  await waitUntil(async () =>
    hasEnded ? undefined : `a writer has still no answer: ${describeWriters(writers)}`,
  );
  await waitUntil(async () => {
    for (const node of cluster.nodes) {
      const client = cluster.callers.client(node, 'reader');
      for (const category of categories) await client?.seal(category);
    }
    return undefined;
  });
}

async function compareNodes({ cluster, categories, tell }: ConvergenceParts): Promise<void> {
  tell('the files of all nodes are compared');
  const [first, ...others] = cluster.nodes as readonly [NodeProcess, ...NodeProcess[]];
  await waitUntil(async () => {
    const files = await readChunkFiles(first, categories);
    for (const other of others) {
      const difference = findDifference(
        [first.name, files],
        [other.name, await readChunkFiles(other, categories)],
      );
      if (difference !== undefined) return `the nodes do not hold the same: ${difference}`;
    }
    return undefined;
  });
}

async function readAll({ readers, onAllRead, tell }: ConvergenceParts): Promise<void> {
  tell('everything is read');
  const startCounts = new Map(readers.map((reader) => [reader, reader.wholeRoundCount]));
  await waitUntil(async () => {
    const late = readers.find((reader) => {
      const start = startCounts.get(reader) ?? 0;
      // It counts anew after each round that brought something.
      if (reader.wholeRoundCount < start) startCounts.set(reader, 0);
      return reader.wholeRoundCount < start + wholeRoundCountMin;
    });
    return late && `reader ${late.name} has not read everything; ${late.lastProblem}`;
  });
  onAllRead();
}

async function acknowledgeAll(parts: ConvergenceParts): Promise<void> {
  const { cluster, categories, groups, readers, tell } = parts;
  tell('everything is acknowledged');
  for (const reader of readers) reader.holdsAcks = false;
  await waitUntil(async () => {
    for (const node of cluster.nodes) {
      const client = cluster.callers.client(node, 'reader');
      for (const category of categories) {
        for (const group of groups) {
          const listing = await client?.listChunks(category, { group });
          const [chunk] = listing?.chunks ?? [];
          if (chunk !== undefined) {
            return `${category}/${chunk.name} waits for ${group} at ${node.name} (${readers.map((reader) => reader.lastProblem).join('; ')})`;
          }
        }
      }
    }
    return undefined;
  });
  await waitUntilEmpty(parts);
}

/** Nothing may come back when the nodes are started once more. */
async function startAnew(parts: ConvergenceParts): Promise<void> {
  const { cluster, categories, onReturned, tell } = parts;
  tell('all nodes are killed and started once more');
  await Promise.all(cluster.nodes.map((node) => node.kill()));
  for (const node of cluster.nodes) await node.begin();
  await waitForNodes(cluster);
  await sleep(systemClock, comeBackMs);
  for (const node of cluster.nodes) {
    for (const name of await listChunkFiles(node, categories)) {
      onReturned(`${name} is at ${node.name} again after everything was acknowledged and gone.`);
    }
  }
}

async function waitUntilEmpty({ cluster, categories }: ConvergenceParts): Promise<void> {
  await waitUntil(async () => {
    for (const node of cluster.nodes) {
      const [name] = await listChunkFiles(node, categories);
      if (name !== undefined)
        return `${name} is still on the disk of ${node.name}, although every group has acknowledged it`;
    }
    return undefined;
  });
}

/** @param look resolves with what is missing; a failure counts as that too */
async function waitUntil(look: () => Promise<string | undefined>): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + limitMs;
  for (;;) {
    const missing = await look().catch(errorMessage);
    if (missing === undefined) return;
    if (systemClock.monotonicMs() > deadlineMs) {
      throw new Unfinished(`After ${limitMs / 1_000} s of quiet, ${missing}.`);
    }
    await sleep(systemClock, pollMs);
  }
}

function describeWriters(writers: readonly BatchWriter[]): string {
  return writers.map(({ name, lastProblem }) => `${name} (${lastProblem})`).join(', ');
}

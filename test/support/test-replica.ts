import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, systemClock, type Timer } from '../../src/common/clock.js';
import { ChangeSignal } from '../../src/common/wait.js';
import type { ReplicaHello } from '../../src/protocol/replication.js';
import type { Peer } from '../../src/replication/membership.js';
import { Replication } from '../../src/replication/replication.js';
import { nodeDisk } from '../../src/storage/node-disk.js';
import { OpenFiles } from '../../src/storage/open-files.js';
import { Store } from '../../src/storage/store.js';
import type { MemoryNetwork } from './memory-network.js';
import { RecordingLogger } from './recording-logger.js';
import { SeededRandom } from './seeded-random.js';

export interface TestReplicaOptions {
  readonly name: string;
  /** The names of all nodes. */
  readonly names: readonly string[];
  readonly directory: string;
  readonly network: MemoryNetwork;
  readonly chunkBytesMax?: number;
  readonly mayHaveLost?: boolean;
  readonly firstIndex?: number;
  readonly replicationTimeoutMs?: number;
}

/** A store that replicates others in this process, on the real clock and disk. */
export interface TestReplica {
  readonly name: string;
  readonly store: Store;
  readonly replication: Replication;
  readonly log: RecordingLogger;
  /** Leaves everything as a killed process does. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

let bootCount = 0;

/** The system's clock, for a process that can be killed: nothing that it waits for happens then. */
class ProcessClock implements Clock {
  readonly #timers = new Set<Timer>();
  #isStopped = false;

  wallMs(): number {
    return systemClock.wallMs();
  }

  monotonicMs(): number {
    return systemClock.monotonicMs();
  }

  after(delayMs: number, run: () => void): Timer {
    if (this.#isStopped) return { cancel: () => undefined };
    const timer = systemClock.after(delayMs, () => {
      this.#timers.delete(timer);
      run();
    });
    this.#timers.add(timer);
    return timer;
  }

  defer(run: () => void): void {
    systemClock.defer(run);
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers) timer.cancel();
  }
}

export async function startReplica(options: TestReplicaOptions): Promise<TestReplica> {
  const { name, names, directory, network } = options;
  bootCount += 1;
  const log = new RecordingLogger();
  const clock = new ProcessClock();
  const random = new SeededRandom(bootCount);
  const store = await Store.open(
    {
      dataDirectory: directory,
      nodeName: name,
      chunkBytesMax: options.chunkBytesMax ?? 1024 * 1024,
      rotateIntervalMs: 600_000,
      flushIntervalMs: 50,
      diskReserve: 0,
      retentionOf: () => undefined,
      scrubIntervalMs: 0,
      membership: {
        mayHaveLost: options.mayHaveLost ?? false,
        firstIndexOf: () => options.firstIndex ?? 0,
      },
    },
    { disk: nodeDisk, clock, random, log },
  );
  const url = `memory:${name}`;
  const hello: ReplicaHello = {
    cluster: 'c',
    node: name,
    directory: name,
    boot: String(bootCount),
    epoch: 1,
  };
  const peers: Peer[] = names
    .filter((other) => other !== name)
    .map((other) => ({ name: other, url: `memory:${other}` }));
  const files = new OpenFiles({ disk: nodeDisk, clock });
  const replication = new Replication(
    { nodeName: name, replicationTimeoutMs: options.replicationTimeoutMs ?? 5_000 },
    {
      store,
      files,
      network: network.of(url),
      membership: { hello, peers, changed: new ChangeSignal(), check: () => undefined },
      clock,
      random,
      log,
      onIndexesReserved: () => undefined,
    },
  );
  replication.start();
  network.listen(url, (from, open) => replication.accept(from, open));
  const end = async (): Promise<void> => {
    network.unlisten(url);
    await replication.close();
    await files.close();
  };
  return {
    name,
    store,
    replication,
    log,
    kill: async () => {
      await end();
      clock.stop();
    },
    close: async () => {
      await end();
      await store.close();
    },
  };
}

/** The content of every chunk of a category that a node holds, by name. */
export async function contents(
  directory: string,
  { store }: TestReplica,
  categoryName: string,
): Promise<Record<string, string>> {
  const category = await store.knownCategory(categoryName);
  const found: Record<string, string> = {};
  for (const { name, size } of category?.view.chunks ?? []) {
    const bytes = await readFile(join(directory, categoryName, name), 'latin1');
    found[name] = bytes.slice(0, size);
  }
  return found;
}

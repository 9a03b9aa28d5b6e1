import { ChangeSignal } from '../../src/common/wait.js';
import type { Peer } from '../../src/replication/membership.js';
import { Replication } from '../../src/replication/replication.js';
import type { Appended } from '../../src/storage/batch.js';
import type { Category } from '../../src/storage/category.js';
import { OpenFiles } from '../../src/storage/open-files.js';
import { Store } from '../../src/storage/store.js';
import type { CrashMode } from './crash-content.js';
import { CrashDisk } from './crash-disk.js';
import { FakeClock } from './fake-clock.js';
import { MemoryNetwork } from './memory-network.js';
import { RecordingLogger } from './recording-logger.js';
import type { SeededRandom } from './seeded-random.js';

const directory = '/data';
const categoryName = 'logs';
const flushIntervalMs = 1_000;
const stepMs = 100;

/** In virtual time: longer than a node waits for peers after a start, and than anything that is tried again. */
const settleStepCountMax = 400;

interface Life {
  readonly disk: CrashDisk;
  readonly clock: FakeClock;
  readonly store: Store;
  readonly replication: Replication;
  readonly log: RecordingLogger;
}

/** A batch that was answered, and what was promised with it. */
interface PromisedBatch {
  readonly text: string;
  readonly node: string;
  readonly isSynced: boolean;
  readonly isReplicated: boolean;
  /** Nodes that lost what they had not flushed since it was stored. */
  readonly cutNodes: Set<string>;
  /** Everything that was written before was made durable on all nodes since. */
  isFlushed: boolean;
  isAcked: boolean;
}

/**
 * Stores that replicate each other, on disks that lose what was not synced, a network that can be cut and a clock of
 * their own; with a list of what was promised. Everything happens in this process and from one seed.
 */
export class ReplicaTrial {
  readonly network = new MemoryNetwork();
  readonly names: readonly string[];
  readonly #random: SeededRandom;
  readonly #lives = new Map<string, Life>();
  readonly #disks = new Map<string, CrashDisk>();
  readonly #mayHaveLost = new Set<string>();
  readonly #batches: PromisedBatch[] = [];
  /** Everything that was ever sent, answered or not. */
  readonly #submitted = new Set<string>();
  /** Everything that was in a chunk when that was acknowledged, also what peers confirmed only later. */
  readonly #acked = new Set<string>();
  #bootCount = 0;

  constructor(names: readonly string[], random: SeededRandom) {
    this.names = names;
    this.#random = random;
  }

  get running(): string[] {
    return [...this.#lives.keys()];
  }

  get stopped(): string[] {
    return this.names.filter((name) => !this.#lives.has(name));
  }

  async start(name: string): Promise<void> {
    this.#bootCount += 1;
    const disk = this.#disks.get(name) ?? new CrashDisk();
    const clock = new FakeClock();
    const log = new RecordingLogger();
    const mayHaveLost = this.#mayHaveLost.delete(name);
    const store = await Store.open(
      {
        dataDirectory: directory,
        nodeName: name,
        chunkBytesMax: 400,
        rotateIntervalMs: 600_000,
        flushIntervalMs,
        diskReserve: 0,
        retentionOf: () => undefined,
        scrubIntervalMs: 0,
        membership: { mayHaveLost, firstIndexOf: () => 0 },
      },
      { disk, clock, random: this.#random, log },
    );
    const url = `memory:${name}`;
    const peers: Peer[] = this.names
      .filter((other) => other !== name)
      .map((other) => ({ name: other, url: `memory:${other}` }));
    const boot = String(this.#bootCount);
    const replication = new Replication(
      { nodeName: name, replicationTimeoutMs: 3_000 },
      {
        store,
        files: new OpenFiles({ disk, clock }),
        network: this.network.of(url),
        membership: {
          hello: { cluster: 'c', node: name, directory: name, boot, epoch: 1 },
          peers,
          changed: new ChangeSignal(),
          check: () => undefined,
        },
        clock,
        random: this.#random,
        log,
        onIndexesReserved: () => undefined,
      },
    );
    this.#lives.set(name, { disk, clock, store, replication, log });
    replication.start();
    this.network.listen(url, (from, open) => replication.accept(from, open));
  }

  /** Ends a process without a word. */
  crash(name: string, mode: CrashMode): void {
    const life = this.#life(name);
    this.#lives.delete(name);
    this.network.unlisten(`memory:${name}`);
    this.#disks.set(name, life.disk.crash(mode, this.#random));
    if (mode === 'process dies') return;
    this.#mayHaveLost.add(name);
    for (const batch of this.#batches) if (!batch.isFlushed) batch.cutNodes.add(name);
  }

  /** Lets time pass for all that run. */
  async pass(milliseconds: number): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += stepMs) {
      for (const { clock } of this.#lives.values()) clock.advance(stepMs);
      await this.#turns();
    }
  }

  /** Writes without waiting for the answer, which may come later or never. */
  async write(name: string, how: { isSynced: boolean; isReplicated: boolean }): Promise<void> {
    const { store, replication } = this.#life(name);
    const text = `${this.#submitted.size} ${this.#random.hex(this.#random.integer(4, 60))}\n`;
    this.#submitted.add(text);
    const category = await store.category(categoryName);
    const note = (): void => {
      this.#batches.push({
        text,
        node: name,
        ...how,
        cutNodes: new Set(),
        isFlushed: false,
        isAcked: this.#acked.has(text),
      });
    };
    const life = this.#lives.get(name);
    const done = how.isReplicated && how.isSynced ? replication.board.wantDurable('logs') : null;
    const stored = (appended: Appended): void => {
      if (this.#lives.get(name) !== life) return;
      if (!how.isReplicated) {
        note();
        return;
      }
      const { chunk, offset, size } = appended;
      replication.board.wait({
        category: categoryName,
        end: { index: Number(chunk?.slice(-9)), offset: (offset ?? 0) + size },
        replicaCount: 1,
        isDurable: how.isSynced,
        confirmed: () => {
          done?.();
          if (this.#lives.get(name) === life) note();
        },
        overdue: () => done?.(),
      });
    };
    const bytes = Buffer.from(text);
    category.submit({
      pieces: [bytes],
      byteCount: bytes.length,
      sync: how.isSynced,
      stored,
      failed: () => done?.(),
    });
    await this.#turns();
  }

  async seal(name: string): Promise<void> {
    const category = await this.#life(name).store.category(categoryName);
    void category.seal();
    await this.#turns();
  }

  /** Acknowledges some of the chunks that are whole at a node. */
  async ack(name: string, share: number): Promise<void> {
    const { store, disk } = this.#life(name);
    const category = await store.category(categoryName);
    for (const { name: chunk, complete, size } of category.view.list('default')) {
      if (!complete || this.#random.fraction() > share) continue;
      const content = (await disk.readFile(`${directory}/${categoryName}/${chunk}`))
        .toString('latin1')
        .slice(0, size);
      // From now on nobody has to find them, even when the process dies before it answers.
      for (const text of this.#submitted) if (content.includes(text)) this.#acked.add(text);
      for (const batch of this.#batches) batch.isAcked ||= this.#acked.has(batch.text);
      category.ack(chunk, size, 'default').catch(() => undefined);
    }
    await this.#turns();
  }

  /** Has everything run, reach everything and come to rest: all nodes hold the same. */
  async settle(): Promise<void> {
    this.network.heal();
    for (const name of this.stopped) await this.start(name);
    for (let step = 0; step < settleStepCountMax; step += 1) {
      await this.pass(stepMs * 2);
      if (step >= 10 && (await this.#isSame())) {
        await this.pass(2 * flushIntervalMs);
        for (const batch of this.#batches) batch.isFlushed = true;
        return;
      }
    }
    throw new Error(`The nodes do not become the same: ${await this.#describe()}`);
  }

  /** Throws when something is missing that was promised, or is there that was never written. */
  async check(): Promise<void> {
    const [first] = this.running;
    if (first === undefined) throw new Error('Nothing runs');
    const texts = (await this.#contents(first)).map(([, text]) => text);
    const lines = new Set(texts.flatMap((text) => text.split('\n').slice(0, -1)));
    for (const line of lines) {
      if (!this.#submitted.has(`${line}\n`)) throw new Error(`never written: ${line}`);
    }
    for (const batch of this.#batches) {
      if (batch.isAcked || lines.has(batch.text.trimEnd()) || mayBeLost(batch)) continue;
      throw new Error(
        `lost: ${batch.text.trimEnd()} of ${batch.node}, synced ${batch.isSynced}, replicated ${batch.isReplicated}, cut ${[...batch.cutNodes]}`,
      );
    }
  }

  /** Seals and acknowledges everything; throws when anything is left. */
  async drain(): Promise<void> {
    for (const name of this.names) await this.seal(name);
    await this.settle();
    for (let round = 0; round < 3; round += 1) {
      for (const name of this.running) await this.ack(name, 1);
      await this.settle();
    }
    for (const name of this.running) {
      const files = (await this.#life(name).disk.listDirectory(`${directory}/${categoryName}`)).map(
        (entry) => entry.name,
      );
      if (files.length > 0) throw new Error(`${name} still has ${files} after the last ack`);
    }
  }

  async #isSame(): Promise<boolean> {
    const all = await Promise.all(this.running.map((name) => this.#contents(name)));
    return new Set(all.map((contents) => JSON.stringify(contents))).size === 1;
  }

  /** Chunks with their content and whether they are sealed, by name. */
  async #contents(name: string): Promise<(readonly [string, string, string])[]> {
    const { store, disk } = this.#life(name);
    const category: Category = await store.category(categoryName);
    return Promise.all(
      category.view.chunks
        .filter(({ size }) => size > 0)
        .map(async (chunk) => {
          const bytes = await disk.readFile(chunk.path);
          return [chunk.name, bytes.toString('latin1', 0, chunk.size), chunk.state] as const;
        }),
    );
  }

  async #describe(): Promise<string> {
    const lines = await Promise.all(
      this.running.map(async (name) => {
        const contents = await this.#contents(name);
        const chunks = contents.map(([chunk, text, state]) => `${chunk} ${text.length} ${state}`);
        return `${name}: ${chunks.join(', ')} | ${this.#life(name)
          .log.entries.slice(-3)
          .map((entry) => entry.sentence)
          .join(' / ')}`;
      }),
    );
    return lines.join('\n');
  }

  /** Until what has begun has come as far as it can without the clock. */
  async #turns(): Promise<void> {
    for (let turn = 0; turn < 12; turn += 1) await new Promise(setImmediate);
  }

  #life(name: string): Life {
    const life = this.#lives.get(name);
    if (life === undefined) throw new Error(`${name} does not run`);
    return life;
  }
}

/** Whether the batch was promised against less than what happened. */
function mayBeLost({ node, isSynced, isReplicated, cutNodes }: PromisedBatch): boolean {
  if (isSynced) return false;
  return isReplicated ? cutNodes.size > 1 : cutNodes.has(node);
}

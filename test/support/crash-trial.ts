import type { ProducerStamp } from '../../src/protocol/http-api.js';
import type { Category } from '../../src/storage/category.js';
import type { Store } from '../../src/storage/store.js';
import type { CrashMode } from './crash-content.js';
import { CrashDisk, type CrashPoint } from './crash-disk.js';
import { FakeClock } from './fake-clock.js';
import type { SeededRandom } from './seeded-random.js';
import { type CategoryView, expect, type LedgerBatch, StoreLedger } from './store-ledger.js';
import { openStore } from './test-store.js';

/** How often the store of a trial flushes, on its fake clock. */
const flushIntervalMs = 1_000;

const directory = '/data';

/** Ends a trial's process in the middle of a call; the trial can start the next one. */
class ProcessDied extends Error {}

export interface TrialBatch {
  /** The length of each line, with its newline. @default two lines of 40 bytes */
  readonly lineBytes?: readonly number[];
  readonly sync?: boolean;
  readonly stamp?: ProducerStamp;
}

/**
 * A store on a disk that loses what was not synced, with a ledger of its answers. A call during which the
 * process dies ends `runUntilDeath`.
 */
export class CrashTrial {
  readonly ledger = new StoreLedger();
  readonly #random: SeededRandom;
  readonly #chunkBytesMax: number;
  #disk = new CrashDisk();
  #died = deathOf(this.#disk);
  #clock = new FakeClock();
  #running: Store | undefined;

  constructor(random: SeededRandom, chunkBytesMax: number) {
    this.#random = random;
    this.#chunkBytesMax = chunkBytesMax;
  }

  get disk(): CrashDisk {
    return this.#disk;
  }

  /** Starts a process, and checks what it shows. */
  async start(crashPoint?: CrashPoint): Promise<void> {
    if (crashPoint !== undefined) this.#disk.crashAt(crashPoint);
    this.#clock = new FakeClock();
    const options = { directory, flushIntervalMs, chunkBytesMax: this.#chunkBytesMax };
    const opening = openStore({ ...options, disk: this.#disk, clock: this.#clock });
    this.#running = await this.#alive(opening);
    this.ledger.started(await this.#alive(this.#views()));
  }

  /** Runs until the end, or until the process dies on the way. */
  async runUntilDeath(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof ProcessDied)) throw error;
    }
    // Calls that were under way together died together.
    await this.#disk.quiet();
  }

  /** Checks what must hold after any crash, and that everything goes on as after a first start. */
  async prove(): Promise<void> {
    await this.start();
    this.#disk.limit({});
    await this.repeatStamped();
    await this.drain();
    this.crash('power cut, nothing left');
    await this.start();
    await this.close();
    await this.start();
    await this.check();
  }

  /** Ends the process, if it lives still, and leaves the disk to the next one as the crash does. */
  crash(mode: CrashMode): void {
    this.#leave(mode);
    this.ledger.crashed(mode);
  }

  /** Ends the process as its owner does. */
  async close(): Promise<void> {
    await this.#alive(this.#store.close());
    this.ledger.closed();
    this.#leave('process dies');
  }

  /** Leaves room for so many bytes, and no more. */
  async fillDisk(freeBytes: number): Promise<void> {
    const space = await this.#disk.space();
    this.#disk.limit({ bytesMax: space.totalBytes - space.freeBytes + freeBytes });
  }

  /** Makes the next sync of such a file fail, and what it should have made durable lost. */
  failNextSync(path: RegExp): void {
    this.#disk.failNextSync(path);
    this.ledger.diskFails();
  }

  async append(category: string, options: TrialBatch = {}): Promise<void> {
    const { lineBytes = [40, 40], stamp, sync = false } = options;
    await this.submit(this.ledger.newBatch(category, lineBytes, stamp), sync);
  }

  /** Hands a batch to the store, the first time or again. */
  async submit(batch: LedgerBatch, sync = false): Promise<void> {
    const { bytes, stamp } = batch;
    const disk = this.#disk;
    const category = await this.#category(batch.category);
    if (category === undefined) return;
    this.ledger.submitted(batch);
    const answered = new Promise<void>((resolve, reject) => {
      category.submit({
        pieces: this.#random.split(bytes, 3),
        byteCount: bytes.length,
        sync,
        stamp,
        stored: (appended) => {
          // Looked at when it is said and not a moment later: the process may die in between.
          if (disk.isCrashed) return;
          try {
            resolve(this.ledger.stored(batch, appended, sync));
          } catch (error) {
            reject(error);
          }
        },
        failed: (error) => {
          if (disk.isCrashed) return;
          this.ledger.failed(batch, codeOf(error) === 'storage_failed');
          resolve(this.#refused(error));
        },
      });
    });
    await this.#alive(answered);
  }

  async seal(category: string): Promise<void> {
    const opened = await this.#category(category);
    if (opened !== undefined) await this.#alive(opened.seal());
  }

  /** Lets the time pass after which what was written is made durable. */
  async flush(): Promise<void> {
    this.#clock.advance(flushIntervalMs);
    await this.#alive(this.#disk.quiet());
  }

  async register(
    category: string,
    group: string,
    from: 'earliest' | 'latest' = 'earliest',
  ): Promise<void> {
    const opened = await this.#category(category);
    if (opened === undefined) return;
    const acked = from === 'latest' ? opened.view.list(group).map(({ name }) => name) : [];
    this.ledger.registering(category, group, acked);
    const isNew = await this.#answer(opened.registerGroup(group, from));
    if (isNew !== undefined) this.ledger.registered(category, group, isNew ? acked : []);
  }

  async removeGroup(category: string, group: string): Promise<void> {
    const opened = await this.#category(category);
    if (opened === undefined) return;
    this.ledger.removing(category, group);
    const wasThere = await this.#answer(opened.removeGroup(group));
    if (wasThere !== undefined) this.ledger.removed(category, group);
  }

  /** The sealed chunks that the group has still to acknowledge. */
  async ackable(category: string, group: string): Promise<readonly string[]> {
    const chunks = (await this.#category(category))?.view.list(group) ?? [];
    return chunks.filter(({ complete }) => complete).map(({ name }) => name);
  }

  /** @returns whether the disk had room for the acknowledgement */
  async ack(category: string, group: string, chunk: string): Promise<boolean> {
    const opened = await this.#category(category);
    if (opened === undefined) return false;
    const size = opened.view.chunk(chunk)?.size ?? 0;
    this.ledger.acking(category, group, chunk);
    const acked = await this.#answer(opened.ack(chunk, size, group).then(() => true));
    if (acked) this.ledger.acked(category, group, chunk);
    return acked ?? false;
  }

  /** Compares what the store shows with what it has answered. */
  async check(): Promise<void> {
    await this.#alive(this.#disk.quiet());
    this.ledger.check(await this.#alive(this.#views()));
  }

  /** Sends every batch with a stamp again; those that must be there are not stored a second time. */
  async repeatStamped(sync = false): Promise<void> {
    for (const batch of this.ledger.batches) {
      if (batch.stamp !== undefined) await this.submit(batch, sync);
    }
    await this.check();
  }

  /** Writes, reads and acknowledges as after a first start, until nothing is left. */
  async drain(): Promise<void> {
    for (const category of this.ledger.categories) {
      await this.append(category, { sync: true });
      await this.seal(category);
      await this.check();
      const { groups } = await this.#view(category);
      for (const group of ['default', ...groups.keys()]) {
        for (const chunk of await this.ackable(category, group)) {
          await this.ack(category, group, chunk);
        }
      }
      await this.check();
      const { chunks } = await this.#view(category);
      expect(chunks.length === 0, `${chunks[0]?.name} is there after the last acknowledgement`);
    }
  }

  async #views(): Promise<CategoryView[]> {
    return Promise.all(this.ledger.categories.map((name) => this.#view(name)));
  }

  async #view(name: string): Promise<CategoryView> {
    const category = await this.#store.knownCategory(name);
    if (category === undefined)
      return { category: name, chunks: [], hidden: [], groups: new Map() };
    // A group that does not exist is shown every chunk.
    const chunks = category.view.list('nobody').map(async ({ name: chunk, complete, size }) => {
      const content = await this.#disk.readFile(`${directory}/${name}/${chunk}`);
      return { name: chunk, isSealed: complete, content, size };
    });
    const groups = category.view
      .groups()
      .map(({ group }) => [group, category.view.list(group).map((chunk) => chunk.name)] as const);
    return {
      category: name,
      chunks: await Promise.all(chunks),
      hidden: category.hiddenChunks,
      groups: new Map(groups),
    };
  }

  #leave(mode: CrashMode): void {
    this.#disk = this.#disk.crash(mode, this.#random);
    this.#died = deathOf(this.#disk);
    this.#running = undefined;
  }

  get #store(): Store {
    if (this.#running === undefined) throw new Error('No process is running');
    return this.#running;
  }

  /** The category; `undefined` when there is no room for a new one. */
  #category(name: string): Promise<Category | undefined> {
    return this.#answer(this.#store.category(name));
  }

  /** The answer; `undefined` for a refusal that the state of the disk explains. */
  #answer<T>(call: Promise<T>): Promise<T | undefined> {
    return this.#alive(call).catch((error: unknown) => this.#refused(error));
  }

  /** What the store may answer: no room, or no more writes after a sync that failed. */
  #refused(error: unknown): undefined {
    const code = codeOf(error);
    if (code !== 'storage_failed' && code !== 'disk_full') throw error;
  }

  #alive<T>(call: Promise<T>): Promise<T> {
    return Promise.race([call, this.#died]);
  }
}

async function rejectWhenDead(disk: CrashDisk): Promise<never> {
  await disk.crashed;
  throw new ProcessDied();
}

/** Rejects when the process on the disk dies, which nobody may be waiting for. */
function deathOf(disk: CrashDisk): Promise<never> {
  const death = rejectWhenDead(disk);
  death.catch(() => undefined);
  return death;
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}

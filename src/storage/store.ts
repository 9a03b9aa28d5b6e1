import type { Clock } from '../common/clock.js';
import { detachedText } from '../common/detached-text.js';
import { forEachLimited } from '../common/for-each-limited.js';
import type { Logger } from '../common/logger.js';
import type { Random } from '../common/random.js';
import { ChangeSignal } from '../common/wait.js';
import { ChukchaError, errorCode, errorMessage } from '../protocol/chukcha-error.js';
import type { DiskStatus } from '../protocol/http-api.js';
import { categoryCountMax as categoryCountMaxDefault } from '../protocol/limits.js';
import { checkCategoryName } from '../protocol/names.js';
import { replaceFile } from './atomic-file.js';
import { Ballast } from './ballast.js';
import { Caretaker, type ScrubStatus } from './caretaker.js';
import { Category } from './category.js';
import { drainingError } from './category-writer.js';
import { noDamage } from './damage-counts.js';
import { type DataLayout, dataLayout, listCategories, listOrNone } from './data-layout.js';
import { type Disk, hasSystemCode } from './disk.js';
import { writeError } from './disk-error.js';
import { DiskGuard, type DiskReserve } from './disk-guard.js';
import { Flusher } from './flusher.js';
import type { RetentionLimits } from './retention.js';
import { type StoreListener, silentListener } from './store-listener.js';

export interface StoreOptions {
  readonly dataDirectory: string;
  readonly nodeName: string;
  /** A chunk with this many bytes before a write is sealed, and the write goes to a new one. */
  readonly chunkBytesMax: number;
  /** A chunk that has been open for so long is sealed, in milliseconds. */
  readonly rotateIntervalMs: number;
  /** How often what was written is made durable in the background. */
  readonly flushIntervalMs: number;
  /** How much of the disk is kept free of messages. */
  readonly diskReserve: DiskReserve;
  /** The limits of a category; `undefined` for one that is kept until it is acknowledged. */
  readonly retentionOf: (category: string) => RetentionLimits | undefined;
  /** How long after a check of all chunks the next one begins, in milliseconds; 0 for never. */
  readonly scrubIntervalMs: number;
  /** @default `categoryCountMax` of the protocol */
  readonly categoryCountMax?: number;
  /** What there is to know of a member of a cluster; `undefined` for a node that stands alone. */
  readonly membership?: StoreMembership | undefined;
}

export interface StoreMembership {
  /** Whether what was written last before this start may be lost here, and be at a peer all the same. */
  readonly mayHaveLost: boolean;
  /** The first index that a category may use that is new to this directory. */
  readonly firstIndexOf: (category: string) => number;
}

export interface StorePorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** How many categories are opened or closed at a time: enough to keep the threads for the disk busy. */
const categoryCountAtOnce = 16;

/** All categories of a node's data directory. The caller makes sure that no other process uses it. */
export class Store {
  readonly disk: Disk;
  /** Notified when a category that was not known came into being. */
  readonly categoriesChanged = new ChangeSignal();
  /** What was found damaged since this start, and what became of it. */
  readonly damage = noDamage();
  readonly #layout: DataLayout;
  readonly #startId: string;
  readonly #stoppedCleanly: boolean;
  readonly #options: StoreOptions;
  readonly #ports: StorePorts;
  readonly #ballast: Ballast;
  readonly #flusher: Flusher;
  readonly #guard: DiskGuard;
  readonly #caretaker: Caretaker;
  readonly #categories = new Map<string, Promise<Category>>();
  readonly #opened = new Map<string, Category>();
  #listener = silentListener;
  #closing = false;

  private constructor(
    options: StoreOptions,
    ports: StorePorts,
    guard: DiskGuard,
    stoppedCleanly: boolean,
  ) {
    this.#layout = dataLayout(options.dataDirectory);
    this.#stoppedCleanly = stoppedCleanly;
    this.#guard = guard;
    this.disk = ports.disk;
    this.#startId = ports.random.hex(4);
    this.#options = options;
    this.#ports = ports;
    this.#ballast = new Ballast(ports.disk, `${this.#layout.stateDirectory}/ballast`);
    this.#flusher = new Flusher(ports.clock, options.flushIntervalMs);
    this.#caretaker = new Caretaker(options, {
      ...ports,
      categories: () => this.#openCategories(),
    });
  }

  /** Opens every category of the directory and recovers what a crash left behind. */
  static async open(options: StoreOptions, ports: StorePorts): Promise<Store> {
    const { stateDirectory } = dataLayout(options.dataDirectory);
    await ports.disk.makeDirectory(stateDirectory);
    const stoppedCleanly = await takeCleanMarker(ports.disk, stateDirectory);
    if (!stoppedCleanly) {
      // Categories may have been made by a process that ended before it could make their names durable.
      await ports.disk.syncDirectory(options.dataDirectory);
      await ports.disk.syncDirectory(stateDirectory);
    }
    const guard = await DiskGuard.open(
      { directory: options.dataDirectory, reserve: options.diskReserve },
      ports,
    );
    const store = new Store(options, ports, guard, stoppedCleanly);
    await store.#openAll();
    store.#caretaker.start();
    return store;
  }

  /** The category, which comes into being when it is first asked for. Throws `invalid_name` or `draining`. */
  category(named: string): Promise<Category> {
    const known = this.#categories.get(named);
    if (known !== undefined) return known;
    const name = detachedText(checkCategoryName(named));
    if (this.#closing) return Promise.reject(drainingError());
    const { membership } = this.#options;
    const opening = Category.open(
      {
        name,
        nodeName: this.#options.nodeName,
        ...this.#layout.category(name),
        chunkBytesMax: this.#options.chunkBytesMax,
        rotateIntervalMs: this.#options.rotateIntervalMs,
        stoppedCleanly: this.#stoppedCleanly,
        isMember: membership !== undefined,
        mayHaveLost: membership?.mayHaveLost ?? false,
        firstIndex: membership?.firstIndexOf(name) ?? 0,
      },
      {
        ...this.#ports,
        flusher: this.#flusher,
        ballast: this.#ballast,
        guard: this.#guard,
        damage: this.damage,
        listener: () => this.#listener,
      },
    ).then(
      (category) => {
        this.#opened.set(name, category);
        return category;
      },
      (error: unknown) => {
        // A category that could not be opened (a full disk, say) is tried again by the next call.
        this.#categories.delete(name);
        throw writeError(
          error,
          `${this.#options.dataDirectory}/${name}`,
          'the category was not opened',
        );
      },
    );
    this.#categories.set(name, opening);
    this.categoriesChanged.notify();
    return opening;
  }

  /**
   * As `category`, for a client: makes no new one when the node has as many as it takes. Throws `too_many_categories`
   * then.
   */
  categoryForClient(name: string): Promise<Category> {
    const { categoryCountMax = categoryCountMaxDefault } = this.#options;
    if (this.#categories.size < categoryCountMax || this.#categories.has(checkCategoryName(name)))
      return this.category(name);
    return Promise.reject(tooManyCategories(name, categoryCountMax));
  }

  /** Has somebody hear what happens from now on. */
  listen(listener: StoreListener): void {
    this.#listener = listener;
  }

  /** The category when it is open already, for those who have no time for a promise. */
  openCategory(name: string): Category | undefined {
    return this.#opened.get(name);
  }

  /** The categories that are open, for those who have no time for a promise. */
  get openCategories(): Iterable<Category> {
    return this.#opened.values();
  }

  /** The category when it is known on this node. Throws `invalid_name`. */
  knownCategory(name: string): Promise<Category | undefined> {
    return this.#categories.get(checkCategoryName(name)) ?? Promise.resolve(undefined);
  }

  /**
   * Names the state of a category's list of chunks: two equal texts stand for the same list, also when the
   * node was started again in between.
   */
  listVersion(category: Category | undefined): string {
    return `${this.#startId}.${category?.view.version ?? 'none'}`;
  }

  /** The names of the categories that were ever written to, sorted. */
  async listCategories(): Promise<string[]> {
    const categories = await this.categories();
    return categories.filter((category) => category.exists).map((category) => category.name);
  }

  /** The categories that this node knows, by name; also those that only have groups so far. */
  async categories(): Promise<Category[]> {
    const categories = await this.#openCategories();
    return categories.sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  /** The room on the disk, and whether writes are taken. */
  get diskStatus(): DiskStatus {
    return this.#guard.status;
  }

  /** Why no write is taken now; `undefined` when they are. */
  refusal(): ChukchaError | undefined {
    return this.#guard.refusal();
  }

  /** The last check of all chunks since this start; `undefined` when none has ended. */
  get lastScrub(): ScrubStatus | undefined {
    return this.#caretaker.lastScrub;
  }

  /** Checks all chunks now, as it is done from time to time. */
  scrub(): Promise<void> {
    return this.#caretaker.scrub();
  }

  /** Refuses further writes, then makes durable and seals what was accepted. */
  async close(): Promise<void> {
    await this.#stop();
    const isDurable = !this.#guard.hasFailed && !this.#flusher.isDirty;
    if (isDurable) await leaveCleanMarker(this.disk, this.#layout.stateDirectory);
  }

  async #openAll(): Promise<void> {
    await this.#ballast.restore();
    try {
      const names = await listCategories(this.disk, this.#layout);
      await forEachLimited(names, categoryCountAtOnce, (name) => this.#openAtStart(name));
    } catch (error) {
      // Those that were opened may have begun chunks for what they saved of damaged ones.
      await this.#stop();
      throw error;
    }
  }

  /** A full disk is no reason not to start: of a category without a chunk, nothing is missed until it is written to. */
  async #openAtStart(name: string): Promise<void> {
    try {
      await this.category(name);
    } catch (error) {
      const { home } = this.#layout.category(name);
      const isFull = errorCode(error) === 'disk_full';
      if (!isFull || (await listOrNone(this.disk, home.directory)).length > 0) throw error;
      this.#ports.log.warn('A category without chunks is opened when it is written to.', {
        category: name,
        error: errorMessage(error),
      });
    }
  }

  async #stop(): Promise<void> {
    this.#closing = true;
    await this.#caretaker.close();
    const categories = await this.#openCategories();
    await forEachLimited(categories, categoryCountAtOnce, (category) => category.close());
    await this.#flusher.close();
    this.#guard.close();
  }

  /** Those that could be opened; one that could not is tried again when it is asked for. */
  async #openCategories(): Promise<Category[]> {
    const outcomes = await Promise.allSettled(this.#categories.values());
    return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  }
}

function tooManyCategories(category: string, countMax: number): ChukchaError {
  return new ChukchaError(
    'too_many_categories',
    `The node has ${countMax} categories and makes no new one (${category}): write to those that there are, or stop the ` +
      'node and remove what is not needed any more; nothing was stored.',
    { fields: { category, limit: countMax } },
  );
}

/** Stands in the state directory from a clean stop until the next start. */
const cleanMarkerName = 'stopped-cleanly.json';

/** Tells whether the marker was there; from now on it is not, so that a crash is noticed. */
async function takeCleanMarker(disk: Disk, stateDirectory: string): Promise<boolean> {
  try {
    await disk.removeFile(`${stateDirectory}/${cleanMarkerName}`);
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) return false;
    throw error;
  }
  await disk.syncDirectory(stateDirectory);
  return true;
}

async function leaveCleanMarker(disk: Disk, stateDirectory: string): Promise<void> {
  // Without it the next start only takes longer, so a full disk is no reason to fail here.
  await replaceFile(disk, `${stateDirectory}/${cleanMarkerName}`, '{"version":1}\n').catch(
    () => undefined,
  );
}

import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import type { Random } from '../common/random.js';
import { ChangeSignal } from '../common/wait.js';
import { checkCategoryName, isCategoryName } from '../protocol/names.js';
import { replaceFile } from './atomic-file.js';
import { Ballast } from './ballast.js';
import { Category } from './category.js';
import { drainingError } from './category-writer.js';
import { type Disk, hasSystemCode } from './disk.js';
import { writeError } from './disk-error.js';
import { Flusher } from './flusher.js';

export interface StoreOptions {
  readonly dataDirectory: string;
  readonly nodeName: string;
  /** A chunk with this many bytes before a write is sealed, and the write goes to a new one. */
  readonly chunkBytesMax: number;
  /** How often what was written is made durable in the background. */
  readonly flushIntervalMs: number;
}

export interface StorePorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Everything but messages is kept below this directory; its name is not one that a category can have. */
const stateDirectoryName = '.chukcha';

/** All categories of a node's data directory. The caller makes sure that no other process uses it. */
export class Store {
  readonly disk: Disk;
  /** Notified when a category that was not known came into being. */
  readonly categoriesChanged = new ChangeSignal();
  readonly #startId: string;
  readonly #stoppedCleanly: boolean;
  readonly #options: StoreOptions;
  readonly #ports: StorePorts;
  readonly #ballast: Ballast;
  readonly #flusher: Flusher;
  readonly #categories = new Map<string, Promise<Category>>();
  readonly #opened = new Map<string, Category>();
  #closing = false;

  private constructor(options: StoreOptions, ports: StorePorts, stoppedCleanly: boolean) {
    this.#stoppedCleanly = stoppedCleanly;
    this.disk = ports.disk;
    this.#startId = ports.random.hex(4);
    this.#options = options;
    this.#ports = ports;
    this.#ballast = new Ballast(
      ports.disk,
      `${options.dataDirectory}/${stateDirectoryName}/ballast`,
    );
    this.#flusher = new Flusher(ports.clock, options.flushIntervalMs);
  }

  /** Opens every category of the directory and recovers what a crash left behind. */
  static async open(options: StoreOptions, ports: StorePorts): Promise<Store> {
    const stateDirectory = `${options.dataDirectory}/${stateDirectoryName}`;
    await ports.disk.makeDirectory(stateDirectory);
    const stoppedCleanly = await takeCleanMarker(ports.disk, stateDirectory);
    const store = new Store(options, ports, stoppedCleanly);
    await store.#ballast.restore();
    // A category of which all chunks are gone, or that only has groups, is known by its state alone.
    const names = new Set<string>();
    for (const directory of [options.dataDirectory, stateDirectory]) {
      for (const name of await listCategoryDirectories(ports.disk, directory)) names.add(name);
    }
    for (const name of names) {
      const category = await store.category(name);
      if (!stoppedCleanly && category.exists) {
        await ports.disk.syncDirectory(`${options.dataDirectory}/${name}`);
      }
    }
    return store;
  }

  /** The category, which comes into being when it is first asked for. Throws `invalid_name` or `draining`. */
  category(name: string): Promise<Category> {
    const known = this.#categories.get(name);
    if (known !== undefined) return known;
    checkCategoryName(name);
    if (this.#closing) return Promise.reject(drainingError());
    const opening = Category.open(
      {
        name,
        nodeName: this.#options.nodeName,
        directory: `${this.#options.dataDirectory}/${name}`,
        stateDirectory: `${this.#stateDirectory}/${name}`,
        chunkBytesMax: this.#options.chunkBytesMax,
        stoppedCleanly: this.#stoppedCleanly,
      },
      { ...this.#ports, flusher: this.#flusher, ballast: this.#ballast },
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

  /** The category when it is open already, for those who have no time for a promise. */
  openCategory(name: string): Category | undefined {
    return this.#opened.get(name);
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
    return `${this.#startId}.${category?.listVersion ?? 'none'}`;
  }

  /** The names of the categories that were ever written to, sorted. */
  async listCategories(): Promise<string[]> {
    const categories = await this.#openCategories();
    return categories
      .filter((category) => category.exists)
      .map((category) => category.name)
      .sort();
  }

  /** Refuses further writes, then makes durable and seals what was accepted. */
  async close(): Promise<void> {
    this.#closing = true;
    const categories = await this.#openCategories();
    await Promise.all(categories.map((category) => category.close()));
    await this.#flusher.close();
    const isDurable = categories.every((category) => !category.hasFailed);
    if (isDurable) await leaveCleanMarker(this.disk, this.#stateDirectory);
  }

  get #stateDirectory(): string {
    return `${this.#options.dataDirectory}/${stateDirectoryName}`;
  }

  /** Those that could be opened; one that could not is tried again when it is asked for. */
  async #openCategories(): Promise<Category[]> {
    const outcomes = await Promise.allSettled(this.#categories.values());
    return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  }
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

async function listCategoryDirectories(disk: Disk, path: string): Promise<string[]> {
  try {
    const entries = await disk.listDirectory(path);
    return entries
      .filter((entry) => entry.kind === 'directory' && isCategoryName(entry.name))
      .map((entry) => entry.name);
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) return [];
    throw error;
  }
}

import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import type { Random } from '../common/random.js';
import { ChangeSignal } from '../common/wait.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { checkCategoryName, isCategoryName } from '../protocol/names.js';
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
  readonly #options: StoreOptions;
  readonly #ports: StorePorts;
  readonly #flusher: Flusher;
  readonly #categories = new Map<string, Promise<Category>>();
  #closing = false;

  private constructor(options: StoreOptions, ports: StorePorts) {
    this.disk = ports.disk;
    this.#startId = ports.random.hex(4);
    this.#options = options;
    this.#ports = ports;
    this.#flusher = new Flusher(ports.clock, options.flushIntervalMs);
  }

  /** Opens every category of the directory and recovers what a crash left behind. */
  static async open(options: StoreOptions, ports: StorePorts): Promise<Store> {
    const store = new Store(options, ports);
    const stateDirectory = `${options.dataDirectory}/${stateDirectoryName}`;
    await ports.disk.makeDirectory(stateDirectory);
    // A category of which all chunks are gone, or that only has groups, is known by its state alone.
    const names = new Set<string>();
    for (const directory of [options.dataDirectory, stateDirectory]) {
      for (const name of await listCategoryDirectories(ports.disk, directory)) names.add(name);
    }
    for (const name of names) await store.category(name);
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
        stateDirectory: `${this.#options.dataDirectory}/${stateDirectoryName}/${name}`,
        chunkBytesMax: this.#options.chunkBytesMax,
      },
      { ...this.#ports, flusher: this.#flusher },
    ).catch((error: unknown) => {
      // A category that could not be opened (a full disk, say) is tried again by the next call.
      this.#categories.delete(name);
      throw error instanceof ChukchaError
        ? error
        : writeError(error, `${this.#options.dataDirectory}/${name}`);
    });
    this.#categories.set(name, opening);
    this.categoriesChanged.notify();
    return opening;
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
    const categories = await Promise.all(this.#categories.values());
    return categories
      .filter((category) => category.exists)
      .map((category) => category.name)
      .sort();
  }

  /** Refuses further writes, then makes durable and seals what was accepted. */
  async close(): Promise<void> {
    this.#closing = true;
    const categories = await Promise.all(this.#categories.values());
    await Promise.all(categories.map((category) => category.close()));
    await this.#flusher.close();
  }
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

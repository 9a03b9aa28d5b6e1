import { ChangeSignal } from '../common/wait.js';
import { type ChunkName, formatChunkName, parseChunkName } from '../protocol/names.js';
import type { SealRecord } from './batch-index.js';

/** Where the chunks of a category and what belongs to them are. */
export interface ChunkHome {
  /** The chunks themselves. */
  readonly directory: string;
  /** The indexes of their batches. */
  readonly indexDirectory: string;
}

/** The path of the index of a chunk's batches. */
export function chunkIndexPath(home: ChunkHome, chunkName: string): string {
  return `${home.indexDirectory}/${chunkName}${indexSuffix}`;
}

/** What the name of a chunk's index ends with. */
export const indexSuffix = '.batches';

/** The chunk of an index by the name of its file; `undefined` when it is not an index. */
export function parseIndexName(fileName: string): ChunkName | undefined {
  if (!fileName.endsWith(indexSuffix)) return undefined;
  return parseChunkName(fileName.slice(0, -indexSuffix.length));
}

/**
 * What a node knows of one chunk that it holds. A chunk is open, then sealed, then removed; its writer or the
 * acknowledgement moves it, and every move wakes the readers that wait. Only what a cluster has decided about a node
 * that was lost makes a sealed chunk open again.
 */
export class Chunk {
  readonly owner: string;
  readonly index: number;
  readonly name: string;
  readonly path: string;
  readonly indexPath: string;
  /** Notified when the chunk has grown, was sealed, or was removed. */
  readonly changed = new ChangeSignal();
  /** Called when the chunk is removed, so that whoever keeps its file open lets go of the space. */
  onRemoved: (() => void) | undefined;
  #size: number;
  #state: 'open' | 'sealed' | 'removed';
  #seal: SealRecord | undefined;

  private constructor(name: ChunkName, home: ChunkHome, size: number, seal?: SealRecord) {
    this.owner = name.owner;
    this.index = name.index;
    this.name = formatChunkName(name);
    this.path = `${home.directory}/${this.name}`;
    this.indexPath = chunkIndexPath(home, this.name);
    this.#size = size;
    this.#state = seal === undefined ? 'open' : 'sealed';
    this.#seal = seal;
  }

  static open(name: ChunkName, home: ChunkHome, size = 0): Chunk {
    return new Chunk(name, home, size);
  }

  static sealed(name: ChunkName, home: ChunkHome, seal: SealRecord): Chunk {
    return new Chunk(name, home, seal.size, seal);
  }

  /** Bytes that readers may have: always whole batches. */
  get size(): number {
    return this.#size;
  }

  get state(): 'open' | 'sealed' | 'removed' {
    return this.#state;
  }

  /** What it is for good; `undefined` while it is open. */
  get sealRecord(): SealRecord | undefined {
    return this.#seal;
  }

  grow(byteCount: number): void {
    if (this.#state !== 'open') throw new Error(`${this.name} is ${this.#state} and cannot grow`);
    this.#size += byteCount;
    this.changed.notify();
  }

  /** Takes off an end that belongs elsewhere. */
  shrink(size: number): void {
    if (this.#state !== 'open' || size > this.#size) {
      throw new Error(`${this.name} is ${this.#state} and cannot shrink to ${size}`);
    }
    this.#size = size;
    this.changed.notify();
  }

  seal(record: SealRecord): void {
    if (this.#state !== 'open') return;
    if (record.size !== this.#size) {
      throw new Error(`${this.name} has ${this.#size} bytes and is not sealed at ${record.size}`);
    }
    this.#state = 'sealed';
    this.#seal = record;
    this.changed.notify();
  }

  /** It is not what it will be for good after all. */
  unseal(): void {
    if (this.#state !== 'sealed') throw new Error(`${this.name} is ${this.#state}`);
    this.#state = 'open';
    this.#seal = undefined;
    this.changed.notify();
  }

  markRemoved(): void {
    this.#state = 'removed';
    this.changed.notify();
    this.onRemoved?.();
  }
}

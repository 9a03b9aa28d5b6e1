import { ChangeSignal } from '../common/wait.js';
import { type ChunkName, formatChunkName, parseChunkName } from '../protocol/names.js';

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
 * What a node knows of one chunk that it holds. A chunk is open, then sealed, then removed; the owner's
 * writer or the acknowledgement moves it, and every move wakes the readers that wait.
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
  #sealedAtMs: number | undefined;

  private constructor(name: ChunkName, home: ChunkHome, size: number, sealedAtMs?: number) {
    this.owner = name.owner;
    this.index = name.index;
    this.name = formatChunkName(name);
    this.path = `${home.directory}/${this.name}`;
    this.indexPath = chunkIndexPath(home, this.name);
    this.#size = size;
    this.#state = sealedAtMs === undefined ? 'open' : 'sealed';
    this.#sealedAtMs = sealedAtMs;
  }

  static open(name: ChunkName, home: ChunkHome): Chunk {
    return new Chunk(name, home, 0);
  }

  static sealed(name: ChunkName, home: ChunkHome, size: number, sealedAtMs: number): Chunk {
    return new Chunk(name, home, size, sealedAtMs);
  }

  /** Bytes that readers may have: always whole batches. */
  get size(): number {
    return this.#size;
  }

  get state(): 'open' | 'sealed' | 'removed' {
    return this.#state;
  }

  /** When it was sealed, by the wall clock, in milliseconds since 1970; `undefined` before. */
  get sealedAtMs(): number | undefined {
    return this.#sealedAtMs;
  }

  grow(byteCount: number): void {
    if (this.#state !== 'open') throw new Error(`${this.name} is ${this.#state} and cannot grow`);
    this.#size += byteCount;
    this.changed.notify();
  }

  seal(atMs: number): void {
    if (this.#state !== 'open') return;
    this.#state = 'sealed';
    this.#sealedAtMs = atMs;
    this.changed.notify();
  }

  markRemoved(): void {
    this.#state = 'removed';
    this.changed.notify();
    this.onRemoved?.();
  }
}

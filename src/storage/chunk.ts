import { ChangeSignal } from '../common/wait.js';
import { type ChunkName, formatChunkName } from '../protocol/names.js';

/**
 * What a node knows of one chunk that it holds. A chunk is open, then sealed, then removed; the owner's
 * writer or the acknowledgement moves it, and every move wakes the readers that wait.
 */
export class Chunk {
  readonly owner: string;
  readonly index: number;
  readonly name: string;
  readonly path: string;
  /** Notified when the chunk has grown, was sealed, or was removed. */
  readonly changed = new ChangeSignal();
  /** Called when the chunk is removed, so that whoever keeps its file open lets go of the space. */
  onRemoved: (() => void) | undefined;
  #size: number;
  #state: 'open' | 'sealed' | 'removed';

  constructor(name: ChunkName, directory: string, size: number, state: 'open' | 'sealed') {
    this.owner = name.owner;
    this.index = name.index;
    this.name = formatChunkName(name);
    this.path = `${directory}/${this.name}`;
    this.#size = size;
    this.#state = state;
  }

  /** Bytes that readers may have: always whole batches. */
  get size(): number {
    return this.#size;
  }

  get state(): 'open' | 'sealed' | 'removed' {
    return this.#state;
  }

  grow(byteCount: number): void {
    if (this.#state !== 'open') throw new Error(`${this.name} is ${this.#state} and cannot grow`);
    this.#size += byteCount;
    this.changed.notify();
  }

  seal(): void {
    if (this.#state !== 'open') return;
    this.#state = 'sealed';
    this.changed.notify();
  }

  markRemoved(): void {
    this.#state = 'removed';
    this.changed.notify();
    this.onRemoved?.();
  }
}
